"""Matching costs of query sequences and objects: mmdet's per-image costs, averaged over frames.

Predictions are P query sequences, targets G objects. The Dice cost is mmdet's ``DiceCost`` as it is, on masks flattened
over T, h, w.
"""

import torch.nn.functional as F
from mmdet.models.task_modules.assigners.match_cost import BaseMatchCost, FocalLossCost
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from torch import Tensor

from ifirvos.registry import TASK_UTILS

from .box_iou import generalised_iou


@TASK_UTILS.register_module()
class ClipFocalLossCost(BaseMatchCost):
    """Focal class cost over the frames with the object; 0 if there are none."""

    def __init__(self, alpha: float = 0.25, gamma: float = 2, eps: float = 1e-8, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps

    def __call__(self, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs) -> Tensor:
        """Compare pred scores (P,T) logits, gt valid (G,T) -> (P,G)."""
        prob = pred_instances.scores.sigmoid()
        negative = -(1 - prob + self.eps).log() * (1 - self.alpha) * prob**self.gamma
        positive = -(prob + self.eps).log() * self.alpha * (1 - prob) ** self.gamma
        valid = gt_instances.valid
        return (positive - negative) @ valid.t() / valid.sum(1).clamp(min=1) * self.weight


@TASK_UTILS.register_module()
class ClipBBoxL1Cost(BaseMatchCost):
    """L1 between normalised cxcywh boxes; absent frames count with a zero box, as in the reference."""

    def __call__(self, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs) -> Tensor:
        """Compare pred and gt bboxes (P,T,4) and (G,T,4) -> (P,G)."""
        distance = (pred_instances.bboxes[:, None] - gt_instances.bboxes).abs().sum(-1)  # P G T
        return distance.mean(-1) * self.weight


@TASK_UTILS.register_module()
class ClipIoUCost(BaseMatchCost):
    """Negative generalised IoU, over all frames like :class:`ClipBBoxL1Cost`."""

    def __call__(self, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs) -> Tensor:
        """Compare pred and gt bboxes (P,T,4) and (G,T,4) -> (P,G)."""
        pred, gt = (bbox_cxcywh_to_xyxy(i.bboxes) for i in (pred_instances, gt_instances))
        return -generalised_iou(pred[:, None], gt).mean(-1) * self.weight


@TASK_UTILS.register_module()
class ClipMaskFocalLossCost(FocalLossCost):
    """mmdet's ``FocalLossCost(binary_input=True)``, exact also for large logits.

    mmdet takes the logarithm of ``1 - p + 1e-12``, which in float32 is coarse above logits of about 10 and constant
    above 17; the cost of the reference code keeps growing.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2, weight: float = 1.0) -> None:
        super().__init__(alpha=alpha, gamma=gamma, binary_input=True, weight=weight)

    def _mask_focal_loss_cost(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """Logits (P,T,h,w) and masks (G,T,h,w) in [0,1] -> (P,G), a mean over pixels."""
        logits, target = cls_pred.flatten(1), gt_labels.flatten(1).to(cls_pred)
        negative = F.softplus(logits) * (1 - self.alpha) * logits.sigmoid() ** self.gamma
        positive = F.softplus(-logits) * self.alpha * (-logits).sigmoid() ** self.gamma
        cost = positive @ target.t() + negative @ (1 - target).t()
        return cost / logits.shape[1] * self.weight
