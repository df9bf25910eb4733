"""How well the score tells whether the object is in the clip, and in which frames."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from ifirvos.clip_score import SHARE, clip_score
from ifirvos.registry import METRICS

from ..functional.absence import auc_interval, keeping_threshold, refusal_rate, roc_auc
from .expression_metric import ExpressionMetric
from .samples import annotation, group_name, is_annotated, meta, prediction, union


@dataclass(frozen=True)
class PresenceScore:
    """Score and presence of the object of one sentence in every frame."""

    video_id: str
    exp_id: str
    text: str
    group: str | None
    scores: np.ndarray  # (T,)
    shown: np.ndarray  # bool (T,)
    clip_score: float

    @property
    def key(self) -> tuple[str, str]:
        return self.video_id, self.exp_id

    @property
    def present(self) -> bool:
        return bool(self.shown.any())


@METRICS.register_module()
class AbsenceMetric(ExpressionMetric):
    """How well scores separate sentences that fit an object from those that do not, in percent.

    A sample is one expression on its whole video, as for :class:`RVOSMetric`; the expression is absent if no frame has
    its object. The clip's score is the mean of the highest ``pred_track_instances.scores`` of its frames, since the
    object may be out of view in the others.

    Logged under ``absence/``:

    - ``AUC`` of the clip's score;
    - ``threshold``, the highest that the share ``keep`` of the present sentences reaches;
    - ``refused``, the share of absent sentences below it, and ``kept``, the share of present ones that reach it;
    - ``frame_AUC`` of the frames' scores, with the object against without, in the clips that have both;
    - ``n_present``, ``n_absent``.

    Groups compare the present sentences of the group with all absent ones, at the common threshold. The interval
    resamples videos with all their sentences. Without an absent sentence nothing is measured, which is logged.

    Args:
        keep: Share of the present sentences that the threshold keeps.
        share: Share of the frames whose scores count for the clip; 1: all.
        groups: Groups whose present sentences count; None: all do.
        **kwargs: Arguments of :class:`ExpressionMetric`.
    """

    default_prefix = 'absence'
    TITLE = 'Absent or present, by the score'
    COLUMNS = ('AUC', 'refused', 'kept', 'threshold', 'frame_AUC', 'n_present', 'n_absent')
    INTERVAL_OF = 'AUC'
    COUNT = ''  # sentences may be left out

    def __init__(
        self, *, keep: float = 0.95, share: float = SHARE, groups: Sequence[str] | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.keep, self.share = keep, share
        self.groups = None if groups is None else self.groups_named(groups, 'groups')

    def records_of(self, sample: dict) -> Iterable[PresenceScore]:
        """Yield one record, the expression; none if it is not annotated or its group does not count."""
        frames = sample['video_data_samples']
        if not all(map(is_annotated, frames)):
            return
        shown = np.array([union(annotation(frame).masks).any() for frame in frames])
        group = group_name(sample, self.group_by)
        if shown.any() and self.groups is not None and group not in self.groups:
            return
        scores = np.array([float(prediction(frame, 'scores')[0]) for frame in frames])
        video_id, exp_id, text = (str(meta(sample, key)) for key in ('video_id', 'exp_id', 'text'))
        yield PresenceScore(video_id, exp_id, text, group, scores, shown, clip_score(scores, self.share))

    def report(self, records: Sequence[PresenceScore]) -> dict[str, float]:
        """Report as the parent does; report nothing if no sentence is absent, or none is present."""
        self._records = records
        self._absent = [record.clip_score for record in records if not record.present]
        present = [record for record in records if record.present]
        if not self._absent or not present:
            MMLogger.get_current_instance().info('All sentences fit something, or none does: AUC is not measured.')
            return {}
        self._threshold = keeping_threshold([record.clip_score for record in present], self.keep)
        return super().report(present)

    def measure(self, records: Sequence[PresenceScore]) -> dict[str, float]:
        """Return the measures of some present sentences against all absent ones."""
        present = [record.clip_score for record in records]
        both = [record for record in records if not record.shown.all()]
        scores = np.concatenate([record.scores for record in both]) if both else np.zeros(0)
        shown = np.concatenate([record.shown for record in both]) if both else np.zeros(0, bool)
        return {
            'AUC': 100 * roc_auc(present, self._absent),
            'refused': 100 * refusal_rate(self._absent, self._threshold),
            'kept': 100 - 100 * refusal_rate(present, self._threshold),
            'threshold': 100 * self._threshold,
            'frame_AUC': 100 * roc_auc(scores[shown], scores[~shown]),
            'n_present': len(present),
            'n_absent': len(self._absent),
        }

    def ends(self, records: Sequence[PresenceScore]) -> tuple[float, float]:
        """Return those of the AUC, over videos with all their sentences."""
        scores, present, videos = zip(*((r.clip_score, r.present, r.video_id) for r in self._records), strict=True)
        return auc_interval(scores, present, videos, *self.interval.values())

    def details(self, records: Sequence[PresenceScore]) -> dict[str, list[Mapping[str, Any]]]:
        """Return one row per expression, absent ones too."""
        return dict(
            expressions=[
                dict(
                    video_id=r.video_id,
                    exp_id=r.exp_id,
                    group=r.group or '',
                    present=int(r.present),
                    score=f'{r.clip_score:.5f}',
                    text=r.text,
                )
                for r in self._records
            ]
        )

    def about(self) -> dict[str, Any]:
        """Return the share that the threshold keeps, that of the frames that count, and whose sentences do."""
        return dict(keep=self.keep, share=self.share, groups_that_count=self.groups and sorted(self.groups))
