"""SynthRVOS, the generated data set: Ref-YouTube-VOS's layout and a kind for every expression."""

from collections.abc import Sequence
from typing import ClassVar

from ifirvos.registry import DATASETS

from .ref_youtube_vos import RefYouTubeVOSDataset


@DATASETS.register_module()
class SynthRVOSDataset(RefYouTubeVOSDataset):
    """SynthRVOS as ``tools/dataset_converters/make_synth_rvos.py`` writes it.

    Args:
        data_root: Its folder.
        split: ``'train'``, ``'valid'`` or ``'comp'`` (looks never seen in training).
        kinds: The kinds of expressions to keep; None keeps all.
        kind_suffix: Appended to every kind, so that a metric can tell two splits apart.
        **kwargs: Arguments of :class:`RefYouTubeVOSDataset`.

    Raises:
        ValueError: If no expression is of one of ``kinds``, or one has no kind.
    """

    RELEASES: ClassVar[dict] = {}  # as many clips as were asked for

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        kinds: Sequence[str] | None = None,
        kind_suffix: str = '',
        **kwargs,
    ) -> None:
        self.kinds = None if kinds is None else frozenset(kinds)
        self.kind_suffix = kind_suffix
        super().__init__(data_root, split=split, **kwargs)

    def load_annotations(self) -> tuple[dict[str, Sequence[str]], list[dict]]:
        """See :meth:`BaseRVOSDataset.load_annotations`."""
        self._kinds_seen = set()
        videos, expressions = super().load_annotations()
        unknown = (self.kinds or set()) - self._kinds_seen
        if unknown:
            raise ValueError(
                f'{self.ann_file} has no expression of kind {sorted(unknown)}: it has {sorted(self._kinds_seen)}. '
                'Write it anew with tools/dataset_converters/make_synth_rvos.py if it is of an older version.'
            )
        return videos, expressions

    def parse_expression(self, video_id: str, exp_id: str, raw: dict) -> dict | None:
        """See :meth:`RefYouTubeVOSDataset.parse_expression`."""
        if 'kind' not in raw:
            raise ValueError(f'Expression {exp_id} of video {video_id} in {self.ann_file} has no kind.')
        self._kinds_seen.add(raw['kind'])
        if self.kinds is not None and raw['kind'] not in self.kinds:
            return None
        expression = super().parse_expression(video_id, exp_id, raw)
        return dict(expression, kind=expression['kind'] + self.kind_suffix)
