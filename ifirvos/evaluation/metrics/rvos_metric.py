"""J, F and J&F of expressions over whole videos, as Ref-YouTube-VOS and MeViS average them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmengine.logging import MMLogger

from ifirvos.errors import InputError
from ifirvos.registry import METRICS
from ifirvos.structures import frame_name

from ..functional.masks import contour_accuracy, region_similarity, sequence_statistics
from .expression_metric import ExpressionMetric
from .samples import group_name, is_annotated, mask_pair, meta

_CHUNK_FRAMES = 32  # compared at once, to bound memory
_OF_MANY = ('S', 'n', 'N_acc', 'T_acc')  # measures that say nothing of a single expression


@dataclass(frozen=True)
class ExpressionScore:
    """J and F of one expression in every frame of its video, in [0, 1]."""

    video_id: str
    exp_id: str
    text: str
    group: str | None
    obj_id: str  # '' if the sample has none
    frames: tuple[str, ...]  # their names
    region: np.ndarray  # J, (T,)
    contour: np.ndarray  # F, (T,)
    has_object: bool  # in any frame
    has_prediction: bool  # in any frame

    @property
    def key(self) -> tuple[str, str]:
        return self.video_id, self.exp_id


@METRICS.register_module()
class RVOSMetric(ExpressionMetric):
    """Region similarity J, contour accuracy F and J&F, in percent, overall and by a key of the metainfo.

    A sample is one expression on its whole video: a ``TrackDataSample`` with metainfo ``video_id``, ``exp_id``,
    ``text`` and the ``group_by`` key, whose frames hold ``gt_instances.masks`` and ``pred_track_instances.masks`` at
    the original size. Several instances of a frame count as one mask, their union; none, as an empty mask.

    J and F of an expression are means over the frames of its video; those of a group or of the data set are means over
    expressions, so a long video weighs as much as a short one. A frame without the object scores 1 if nothing is
    predicted in it, else 0 (F: see `contour_accuracy` on masks that fill the frame).

    Logged under ``rvos/``: ``J&F``, ``J``, ``F``, ``S`` (share of expressions with J > 0.5), ``J_recall``, ``J_decay``,
    ``F_recall``, ``F_decay`` (means of `sequence_statistics` over expressions), ``n`` (expressions), the interval
    ``J&F_low``, ``J&F_high``, and the same for every group, as ``attr/J&F``, ``attr/J``. If there are expressions whose
    object is in no frame, also what MeViS calls N-acc. and T-acc.: ``N_acc``, the share of them for which no pixel is
    predicted, and ``T_acc``, the share of the others for which one is.

    Args:
        bound_th: Tolerance of F, see `contour_accuracy`.
        unannotated: For expressions that have a frame without annotation: raise an 'error', or 'skip' them. A split
            without public masks then has no measures, which is logged.
        leave_out: Groups that are not measured, such as SynthRVOS's 'absent', whose sentences fit nothing; see
            :class:`AbsenceMetric`.
        **kwargs: Arguments of :class:`ExpressionMetric`.
    """

    default_prefix = 'rvos'
    TITLE = 'Region similarity J and contour accuracy F'
    COLUMNS = ('J&F', 'J', 'F', 'S', 'N_acc', 'T_acc', 'n')
    INTERVAL_OF = 'J&F'

    def __init__(
        self, *, bound_th: float = 0.008, unannotated: str = 'error', leave_out: Sequence[str] = (), **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if unannotated not in ('error', 'skip'):
            raise InputError(f"unannotated must be 'error' or 'skip', not {unannotated!r}")
        self.bound_th = bound_th
        self.unannotated = unannotated
        self.leave_out = self.groups_named(leave_out, 'leave_out')
        if leave_out:
            self.COUNT = ''

    def records_of(self, sample: dict) -> Iterable[ExpressionScore]:
        """Return one record, the expression; none if it is skipped."""
        if self.unannotated == 'skip' and not all(map(is_annotated, sample['video_data_samples'])):
            return
        group = group_name(sample, self.group_by)
        if group in self.leave_out:
            return
        video_id, exp_id, text = (str(meta(sample, key)) for key in ('video_id', 'exp_id', 'text'))
        frames = sample['video_data_samples']
        scores, has_object, has_prediction = [], False, False
        for gt, pred in _mask_chunks(frames):
            scores.append((region_similarity(gt, pred), contour_accuracy(gt, pred, bound_th=self.bound_th)))
            has_object, has_prediction = has_object or bool(gt.any()), has_prediction or bool(pred.any())
        region, contour = np.concatenate(scores, axis=1)
        yield ExpressionScore(
            video_id,
            exp_id,
            text,
            group,
            str(sample.get('obj_id', '')),
            tuple(frame_name(frame) for frame in frames),
            region,
            contour,
            has_object,
            has_prediction,
        )

    def report(self, records: Sequence[ExpressionScore]) -> dict[str, float]:
        """Report as the parent does; report nothing if every expression was skipped."""
        if not records and self.unannotated == 'skip':
            MMLogger.get_current_instance().info('No expression has annotated masks: J and F are not measured.')
            return {}
        return super().report(records)

    def measure(self, records: Sequence[ExpressionScore]) -> dict[str, float]:
        """Return means over expressions."""
        region = np.array([sequence_statistics(score.region) for score in records])  # (N, 3) mean, recall, decay
        contour = np.array([sequence_statistics(score.contour) for score in records])
        (j, j_recall, j_decay), (f, f_recall, f_decay) = (
            (100 * statistics.mean(axis=0)).tolist() for statistics in (region, contour)
        )
        return {
            'J&F': (j + f) / 2,
            'J': j,
            'F': f,
            'S': 100 * float(np.mean(region[:, 0] > 0.5)),
            'J_recall': j_recall,
            'J_decay': j_decay,
            'F_recall': f_recall,
            'F_decay': f_decay,
            'n': len(records),
            **_accuracies(records),
        }

    def value(self, record: ExpressionScore) -> float:
        """Return J&F of an expression."""
        return float(record.region.mean() + record.contour.mean()) / 2

    def details(self, records: Sequence[ExpressionScore]) -> dict[str, list[Mapping[str, Any]]]:
        """Return tables of expressions, frames, videos and, if samples have ``obj_id``, objects."""
        tables = dict(
            expressions=[
                dict(video_id=s.video_id, exp_id=s.exp_id, object=s.obj_id, group=s.group or '', frames=len(s.frames))
                | {f'{key} [%]': value for key, value in self.measure([s]).items() if key not in _OF_MANY}
                | dict(text=s.text)
                for s in records
            ],
            frames=[
                {'video_id': s.video_id, 'exp_id': s.exp_id, 'frame': frame, 'J [%]': 100 * j, 'F [%]': 100 * f}
                for s in records
                for frame, j, f in zip(s.frames, s.region, s.contour, strict=True)
            ],
            videos=self._means_by(records, 'video_id'),
        )
        if any(score.obj_id for score in records):
            tables['objects'] = self._means_by(records, 'video_id', 'obj_id')
        return tables

    def about(self) -> dict[str, Any]:
        """Return the tolerance of F, and what is not measured."""
        return dict(bound_th=self.bound_th, unannotated=self.unannotated, leave_out=sorted(self.leave_out))

    def _means_by(self, records: Sequence[ExpressionScore], *keys: str) -> list[dict[str, Any]]:
        parts: dict[tuple, list[ExpressionScore]] = {}
        for score in records:
            parts.setdefault(tuple(getattr(score, key) for key in keys), []).append(score)
        rows = []
        for names, part in parts.items():
            means = self.measure(part)
            rows.append(
                dict(zip(keys, names, strict=True))
                | {f'{key} [%]': means[key] for key in ('J&F', 'J', 'F')}
                | dict(expressions=len(part))
            )
        return rows


def _accuracies(records: Sequence[ExpressionScore]) -> dict[str, float]:
    """Return ``N_acc`` and ``T_acc``, in percent; nothing if every record has an object."""
    without = [not score.has_prediction for score in records if not score.has_object]
    others = [score.has_prediction for score in records if score.has_object]
    if not without:
        return {}
    accuracies = dict(N_acc=without, T_acc=others)
    return {name: 100 * float(np.mean(right)) for name, right in accuracies.items() if right}


def _mask_chunks(frames: Sequence[DetDataSample]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield annotated and predicted masks of some frames at a time, bool (T, H, W) each."""
    for start in range(0, len(frames), _CHUNK_FRAMES):
        gts, preds = zip(*map(mask_pair, frames[start : start + _CHUNK_FRAMES]), strict=True)
        yield np.stack(gts), np.stack(preds)
