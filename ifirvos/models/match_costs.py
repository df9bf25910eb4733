"""Costs of matching one query sequence to the object of a clip: mmdet's per-image costs, averaged over frames.

Predictions and targets are the ``InstanceData`` that ``HungarianAssigner`` hands on: N query sequences, one object. The
mask costs are mmdet's ``DiceCost`` and ``FocalLossCost(binary_input=True)`` as they are, on masks flattened over T, h, w.
"""

import torch
from mmdet.models.task_modules.assigners.match_cost import BaseMatchCost
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from ifirvos.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ClipFocalLossCost(BaseMatchCost):
    """Focal class cost, over the frames in which the object is; 0 if there are none."""

    def __init__(self, alpha: float = 0.25, gamma: float = 2, eps: float = 1e-8, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps

    def __call__(self, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs) -> Tensor:
        """pred scores (N,T) logits, gt valid (1,T) -> (N,1)."""
        prob = pred_instances.scores.sigmoid()
        negative = -(1 - prob + self.eps).log() * (1 - self.alpha) * prob**self.gamma
        positive = -(prob + self.eps).log() * self.alpha * (1 - prob) ** self.gamma
        valid = gt_instances.valid  # 1 T
        return (positive - negative) @ valid.t() / valid.sum().clamp(min=1) * self.weight


@TASK_UTILS.register_module()
class ClipBBoxL1Cost(BaseMatchCost):
    """L1 between normalised cxcywh boxes; absent frames count with a zero box, as in the reference."""

    def __call__(self, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs) -> Tensor:
        """pred and gt bboxes (N,T,4) and (1,T,4) -> (N,1)."""
        distance = (pred_instances.bboxes - gt_instances.bboxes).abs().sum(-1)
        return distance.mean(1, keepdim=True) * self.weight


@TASK_UTILS.register_module()
class ClipIoUCost(BaseMatchCost):
    """Negative generalised IoU, over all frames like :class:`ClipBBoxL1Cost`."""

    def __call__(self, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs) -> Tensor:
        """pred and gt bboxes (N,T,4) and (1,T,4) -> (N,1)."""
        pred, gt = (bbox_cxcywh_to_xyxy(i.bboxes) for i in (pred_instances, gt_instances))
        giou = bbox_overlaps(pred, gt.expand_as(pred), mode='giou', is_aligned=True)
        return -torch.mean(giou, 1, keepdim=True) * self.weight
