"""A2D-Sentences and JHMDB-Sentences: precision, overall and mean IoU, and mean average precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample

from ifirvos.registry import METRICS
from ifirvos.run_lengths import encode_mask
from ifirvos.structures import stack

from ..functional.coco_map import average_precision
from .frame_iou_metric import FrameIoUMetric, FrameScore, overlap
from .samples import annotation, check_size, prediction, union


@dataclass(frozen=True)
class CandidateScore(FrameScore):
    """One expression on one frame, with the masks for average precision."""

    gt: dict  # run-length code
    candidates: tuple[tuple[float, dict], ...]  # score and run-length code of every query
    best: int  # index of the chosen one; -1 if there is none


@METRICS.register_module()
class A2DMetric(FrameIoUMetric):
    """P@0.5 to P@0.9, overall IoU, mean IoU and mAP (0.50:0.05:0.95) on annotated frames, in percent.

    See `FrameIoUMetric` for the sample. Average precision has two definitions in the literature, and both are reported:
    ``mAP`` uses all queries of the model, as published results do, ``mAP_best`` only the chosen one. The first
    needs ``frame.pred_candidates``, an InstanceData with ``masks`` bool (N, H, W) at the original size and ``scores``
    (N,), which the model fills with ``test_cfg.candidates=True``. The prediction is the candidate with the highest
    score; ties go to the *last*, as in the reference code. Several annotated instances of a frame are one object, their
    union.

    The reference (ReferFormer) computes IoU as (intersection + 1e-6) / (union + 1e-6) in float32: ``iou='reference'``.

    Logged under ``a2d/``: ``P@0.5`` …, ``oIoU``, ``mIoU``, ``mAP``, ``mAP_best``, ``n`` (frames), the interval
    ``mIoU_low``, ``mIoU_high``, and the same for every group.

    Args:
        all_queries: False if there are no candidates, such as with masks from files: then only ``mAP_best`` is
            reported, and the prediction is ``pred_track_instances``.
        iou: ``'exact'`` or ``'reference'``, which differ if an IoU equals a threshold of P@K.
        **kwargs: Arguments of :class:`ExpressionMetric`.
    """

    default_prefix = 'a2d'
    TITLE = 'Precision, IoU and average precision of the masks'

    def __init__(self, *, all_queries: bool = True, iou: str = 'exact', **kwargs) -> None:
        super().__init__(iou=iou, **kwargs)
        self.all_queries = all_queries
        average_precisions = ('mAP', 'mAP_best') if all_queries else ('mAP_best',)
        self.COLUMNS = (*FrameIoUMetric.COLUMNS[:-1], *average_precisions, 'n')

    def score(self, frame: DetDataSample, about: dict[str, Any]) -> CandidateScore:
        """See `FrameIoUMetric.score`."""
        gt = union(annotation(frame).masks)
        field = 'pred_candidates' if self.all_queries else 'pred_track_instances'
        remedy = 'set test_cfg.candidates=True in the model' if self.all_queries else ''
        masks = stack(prediction(frame, 'masks', field, remedy)).astype(bool, copy=False)  # (N, H, W)
        scores = torch.as_tensor(prediction(frame, 'scores', field, remedy)).tolist()
        if len(scores) != len(masks):
            raise ValueError(f'{frame.get("img_path")}: {field} has {len(masks)} masks but {len(scores)} scores')
        check_size(frame, gt, masks)
        best = max(range(len(scores)), key=lambda index: (scores[index], index), default=-1)
        pred = masks[best] if len(masks) else np.zeros_like(gt)
        candidates = tuple((score, encode_mask(mask)) for score, mask in zip(scores, masks, strict=True))
        return CandidateScore(**about, **overlap(frame, gt, pred), gt=encode_mask(gt), candidates=candidates, best=best)

    def measure(self, records: Sequence[CandidateScore]) -> dict[str, float]:
        """Return the IoU measures and the average precisions."""
        gts = [record.gt for record in records]
        measures = super().measure(records)
        if self.all_queries:
            measures['mAP'] = 100 * average_precision(gts, [record.candidates for record in records])
        best = [[record.candidates[record.best]] if record.candidates else [] for record in records]
        measures['mAP_best'] = 100 * average_precision(gts, best)
        return measures

    def about(self) -> dict[str, Any]:
        """Return the definition of the IoU, and whether all queries were evaluated."""
        return dict(super().about(), all_queries=self.all_queries)
