"""Generalised IoU of boxes, without a wait for the GPU: mmdet's ``bbox_overlaps`` waits at every call."""

import torch
from mmdet.models.losses import GIoULoss
from torch import Tensor

from ifirvos.registry import MODELS


def generalised_iou(boxes: Tensor, others: Tensor, eps: float = 1e-6) -> Tensor:
    """Return the generalised IoU (Rezatofighi et al., 2019) of boxes and others, pair by pair.

    Args:
        boxes: (...,4) xyxy.
        others: (...,4) xyxy, of a shape that can be broadcast with ``boxes``.
        eps: Lower bound of the areas that are divided by, as in mmdet.

    Returns:
        (...), from -1 to 1.
    """
    inner = torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., 2:], others[..., 2:])
    overlap = _area(*inner, at_least=0)
    union = _area(boxes[..., :2], boxes[..., 2:]) + _area(others[..., :2], others[..., 2:]) - overlap
    union = union.clamp(min=eps)
    outer = torch.minimum(boxes[..., :2], others[..., :2]), torch.maximum(boxes[..., 2:], others[..., 2:])
    enclosing = _area(*outer, at_least=0).clamp(min=eps)
    return overlap / union - (enclosing - union) / enclosing


def _area(left_top: Tensor, right_bottom: Tensor, at_least: float | None = None) -> Tensor:
    sides = right_bottom - left_top
    width, height = (sides if at_least is None else sides.clamp(min=at_least)).unbind(-1)
    return width * height


@MODELS.register_module()
class AlignedGIoULoss(GIoULoss):
    """mmdet's GIoU loss of boxes with their targets, unweighted and not reduced, without a wait for the GPU."""

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | None = None,
        reduction_override: str | None = 'none',
    ) -> Tensor:
        """Compare (...,4) xyxy with targets -> (...), in fp32.

        Raises:
            ValueError: It is asked for a weight or a reduction: mmdet's ``GIoULoss`` has them.
        """
        if weight is not None or avg_factor is not None or reduction_override != 'none':
            raise ValueError('AlignedGIoULoss neither weights nor reduces: use GIoULoss')
        return self.loss_weight * (1 - generalised_iou(pred.float(), target.float(), self.eps))
