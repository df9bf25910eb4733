"""Base class of the metrics of A2D-Sentences, JHMDB-Sentences and RefCOCO: the IoU of single frames."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample

from ifirvos.errors import InputError, MissingKeyError
from ifirvos.structures import frame_name

from ..functional.masks import precision_at_k
from .expression_metric import ExpressionMetric
from .samples import check_size, group_name, meta

IOUS = ('exact', 'reference')
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class FrameScore:
    """One expression on one frame."""

    video_id: str
    exp_id: str
    text: str
    group: str | None
    frame: str
    intersection: int  # pixels
    union: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.video_id, self.exp_id, self.frame

    @property
    def iou(self) -> float:
        """1 if both masks are empty."""
        return self.intersection / self.union if self.union else 1.0

    @property
    def reference_iou(self) -> float:
        """The reference code's IoU, ``(intersection + 1e-6) / (union + 1e-6)`` in float32.

        There an IoU of 0.6 is 0.60000002 and counts in P@0.6; the same holds for some small masks at 0.7, 0.8 and 0.9.
        """
        eps = np.float32(1e-6)
        return float((np.float32(self.intersection) + eps) / (np.float32(self.union) + eps))


class FrameIoUMetric(ExpressionMetric):
    """P@0.5 to P@0.9 (IoU strictly above), overall IoU and mean IoU of the masks of single frames, in percent.

    With ``iou='reference'``, P@K and the mean use the reference code's IoU, see :attr:`FrameScore.reference_iou`.
    Overall IoU is the sum of intersections over the sum of unions; two empty masks have IoU 1.

    A sample is one expression on its clip. Its annotated frames are evaluated: those in the metainfo
    ``key_frames_inds`` (mmdet's PackTrackInputs), else those with ``gt_instances.masks``.
    """

    COLUMNS = (*(f'P@{threshold}' for threshold in THRESHOLDS), 'oIoU', 'mIoU', 'n')
    INTERVAL_OF = 'mIoU'

    def __init__(self, *, iou: str = 'exact', **kwargs) -> None:
        super().__init__(**kwargs)
        if iou not in IOUS:
            raise InputError(f'iou must be one of {IOUS}, not {iou!r}')
        self.iou = iou

    def records_of(self, sample: dict) -> Iterable[FrameScore]:
        """Yield a record for every annotated frame."""
        video_id, exp_id, text = (str(meta(sample, key)) for key in ('video_id', 'exp_id', 'text'))
        group = group_name(sample, self.group_by)
        for frame in annotated_frames(sample):
            about = dict(video_id=video_id, exp_id=exp_id, text=text, group=group, frame=frame_name(frame))
            yield self.score(frame, about)

    def score(self, frame: DetDataSample, about: dict[str, Any]) -> FrameScore:
        """Return the record of a frame; ``about`` has all fields that do not depend on the masks."""
        raise NotImplementedError

    def measure(self, records: Sequence[FrameScore]) -> dict[str, float]:
        """Return the IoU measures of some records."""
        ious = np.array([self.value(record) for record in records])
        precision = 100 * precision_at_k(ious, THRESHOLDS)
        intersection, union = (sum(getattr(record, key) for record in records) for key in ('intersection', 'union'))
        names = (f'P@{threshold}' for threshold in THRESHOLDS)
        return dict(zip(names, precision.tolist(), strict=True)) | dict(
            oIoU=100 * intersection / union if union else 100.0,
            mIoU=100 * float(ious.mean()),
            n=len(records),
        )

    def value(self, record: FrameScore) -> float:
        """IoU of a frame."""
        return record.iou if self.iou == 'exact' else record.reference_iou

    def about(self) -> dict[str, Any]:
        """Return the definition of the IoU."""
        return dict(iou=self.iou)

    def details(self, records: Sequence[FrameScore]) -> dict[str, list[Mapping[str, Any]]]:
        """Return a table of the samples."""
        return dict(
            expressions=[
                dict(video_id=record.video_id, exp_id=record.exp_id, frame=record.frame, group=record.group or '')
                | self.columns_of(record)
                | dict(text=record.text)
                for record in records
            ]
        )

    def columns_of(self, record: FrameScore) -> dict[str, Any]:
        """Return the results in the table of the samples."""
        return {'IoU [%]': 100 * self.value(record), 'intersection': record.intersection, 'union': record.union}


def annotated_frames(sample: dict) -> list[DetDataSample]:
    """Return the frames of a sample to evaluate.

    Raises:
        KeyError: if no frame is annotated.
    """
    frames = sample['video_data_samples']
    if 'key_frames_inds' in sample:
        return [frames[index] for index in sample['key_frames_inds']]
    annotated = [frame for frame in frames if 'gt_instances' in frame and 'masks' in frame.gt_instances]
    if not annotated:
        first = frames[0].get('img_path') if frames else None
        raise MissingKeyError(f'{first} and the frames around it have no annotation: gt_instances.masks is missing')
    return annotated


def overlap(frame: DetDataSample, gt: np.ndarray, pred: np.ndarray) -> dict[str, int]:
    """Intersection and union in pixels of two masks of a frame, bool (H, W)."""
    check_size(frame, gt, pred)
    return dict(intersection=int(np.count_nonzero(gt & pred)), union=int(np.count_nonzero(gt | pred)))
