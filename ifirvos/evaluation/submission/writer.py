"""A metric that writes a submission, for splits without public masks."""

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ifirvos.errors import InputError
from ifirvos.registry import METRICS
from ifirvos.structures import frame_name

from .. import metrics
from ..metrics.expression_metric import ExpressionMetric
from ..metrics.samples import meta, prediction, union
from .files import ZIP_ROOTS, is_written, pack_submission, write_expression


def _arguments_of_metrics() -> set[str]:
    classes = [ExpressionMetric, *(getattr(metrics, name) for name in metrics.__all__)]
    return {name for metric in classes for name in inspect.signature(metric).parameters}


@METRICS.register_module()
class SubmissionWriter(BaseMetric):
    """Writes every expression's masks in the format of Ref-YouTube-VOS's and MeViS's servers, then the zip.

    A sample is one expression on its whole video, with metainfo ``video_id`` and ``exp_id``, whose frames hold
    ``pred_track_instances.masks`` at the original size. Several processes share the folder. Logged under
    ``submission/``: ``expressions``, the number of written or found expressions.

    Args:
        out_dir: Folder for ``Annotations/VIDEO/EXPRESSION/FRAME.png``. None: ``submission`` beside the run's log file.
        zip_path: The zip. None: ``out_dir`` with ``.zip`` appended.
        layout: Layout of the zip, 'ytvos' or 'mevis': without ``Annotations`` above the videos.
        overwrite: False keeps complete expressions of an earlier run. With `SubmissionLoop` the model skips them.
        collect_device: Where the processes' counts are collected, 'cpu' or 'gpu'.
        prefix: Prefix of the logged name.
        **of_scoring: Ignored arguments of the metric that it replaces (``group_by``, ``bootstrap``, …), which
            ``--cfg-options test_evaluator.type=SubmissionWriter`` leaves in the config.

    Raises:
        TypeError: an argument is neither its own nor a metric's.
    """

    default_prefix = 'submission'

    def __init__(
        self,
        *,
        out_dir: str | None = None,
        zip_path: str | None = None,
        layout: str = 'ytvos',
        overwrite: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        **of_scoring: object,
    ) -> None:
        if unknown := of_scoring.keys() - _arguments_of_metrics():
            raise TypeError(f'SubmissionWriter takes no {", ".join(sorted(unknown))}')
        if layout not in ZIP_ROOTS:
            raise InputError(f'layout is one of {", ".join(ZIP_ROOTS)}, not {layout!r}')
        super().__init__(collect_device=collect_device, prefix=prefix)
        self._out_dir, self._zip_path = out_dir, zip_path
        self.layout, self.overwrite = layout, overwrite

    @property
    def out_dir(self) -> Path:
        """The folder: the same for all processes of a run."""
        if self._out_dir is None:
            log_file = MMLogger.get_current_instance().log_file
            if not log_file:
                raise InputError('SubmissionWriter needs an out_dir: this run has no log file to put it beside.')
            return Path(log_file).parent / 'submission'
        return Path(self._out_dir)

    @property
    def zip_path(self) -> Path:
        """The zip."""
        return Path(self._zip_path or f'{self.out_dir}.zip')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write a batch's masks; ``data_samples`` come from ``TrackDataSample.to_dict``."""
        for sample in data_samples:
            video_id, exp_id = str(meta(sample, 'video_id')), str(meta(sample, 'exp_id'))
            frames = sample['video_data_samples']
            names = [frame_name(frame) for frame in frames]
            if self.overwrite or not is_written(self.out_dir, video_id, exp_id, names):
                masks = [union(prediction(frame, 'masks')) for frame in frames]
                write_expression(self.out_dir, video_id, exp_id, names, masks)
            self.results.append((video_id, exp_id))

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate all results: samples that a sampler repeats are recognised by their ids."""
        return super().evaluate(sys.maxsize)

    def compute_metrics(self, results: list[tuple[str, str]]) -> dict[str, float]:
        """Write the zip, of these expressions alone: the folder may hold others of an earlier run."""
        expressions = set(results)
        count = pack_submission(self.out_dir, self.zip_path, expressions, self.layout)
        MMLogger.get_current_instance().info('%d masks are in %s', count, self.zip_path)
        return dict(expressions=len(expressions))
