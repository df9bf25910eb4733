"""RefCOCO, RefCOCO+, RefCOCOg: precision of the boxes, overall and mean IoU of the masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps

from ifirvos.registry import METRICS

from ..functional.masks import precision_at_k
from .frame_iou_metric import FrameIoUMetric, FrameScore, overlap
from .samples import annotation, mask_pair, prediction


@dataclass(frozen=True)
class BoxScore(FrameScore):
    """One expression on one image."""

    box_iou: float
    box_giou: float  # generalised IoU, in [-1, 1]


@METRICS.register_module()
class RefCOCOMetric(FrameIoUMetric):
    """P@0.5 of the boxes, P@0.5 to P@0.9, overall and mean IoU of the masks, in percent.

    See `FrameIoUMetric` for the sample; its frames also hold ``bboxes`` xyxy in pixels of the original image, one in
    ``gt_instances`` and one in ``pred_track_instances``. The box of a frame without an annotated object counts as found
    if nothing is predicted (an empty mask).

    Logged under ``refcoco/``: ``box_P@0.5`` (IoU above 0.5), ``box_P@0.5_giou`` (generalised IoU of 0.5 or more, as
    in MDETR's evaluation), the mask measures of `FrameIoUMetric`, and the same for every group.

    Args:
        **kwargs: Arguments of :class:`ExpressionMetric`.
    """

    default_prefix = 'refcoco'
    TITLE = 'Precision of the boxes, precision and IoU of the masks'
    COLUMNS = ('box_P@0.5', 'box_P@0.5_giou', *FrameIoUMetric.COLUMNS)

    def score(self, frame: DetDataSample, about: dict[str, Any]) -> BoxScore:
        """See `FrameIoUMetric.score`."""
        gt, pred = mask_pair(frame)
        gt_boxes, pred_boxes = _boxes(annotation(frame).bboxes), _boxes(prediction(frame, 'bboxes'))
        if len(gt_boxes) > 1 or len(pred_boxes) > 1:
            counts = f'{len(gt_boxes)} annotated and {len(pred_boxes)} predicted'
            raise ValueError(f'{frame.get("img_path")}: one box or none is expected, got {counts}')
        if len(gt_boxes) and len(pred_boxes):
            box_iou, box_giou = (
                bbox_overlaps(gt_boxes, pred_boxes, mode=mode, is_aligned=True).item() for mode in ('iou', 'giou')
            )
        else:
            box_iou = box_giou = float(not len(gt_boxes) and not pred.any())
        return BoxScore(**about, **overlap(frame, gt, pred), box_iou=box_iou, box_giou=box_giou)

    def measure(self, records: Sequence[BoxScore]) -> dict[str, float]:
        """Return the measures of boxes and masks."""
        masks = super().measure(records)
        giou_hits = sum(record.box_giou >= 0.5 for record in records)
        return {
            'box_P@0.5': 100 * float(precision_at_k([record.box_iou for record in records], [0.5])[0]),
            'box_P@0.5_giou': 100 * giou_hits / len(records),
        } | masks

    def columns_of(self, record: BoxScore) -> dict[str, Any]:
        """Return the results in the table of the samples."""
        return {'box IoU [%]': 100 * record.box_iou} | super().columns_of(record)


def _boxes(boxes) -> torch.Tensor:
    """Convert a tensor, an array or mmdet's boxes to float64 (N, 4)."""
    return torch.as_tensor(getattr(boxes, 'tensor', boxes)).double().reshape(-1, 4).cpu()
