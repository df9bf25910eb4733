"""Frozen batch norms that keep nothing for the backward pass."""

import torch
from torch import Tensor, nn


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """A ``BatchNorm2d`` without gradients of its own, in evaluation mode: a scale and a shift per channel.

    PyTorch's keeps its input for the gradients of weight and bias, also where they have none: a second copy of nearly
    all activations of a backbone in training. Equal to it up to rounding. Where weight or bias is trained, statistics
    are collected, or a lower precision is on, PyTorch's runs. ``torch.fx`` and ``torch.jit.script`` cannot read it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (F,C,h,w) to (F,C,h,w)."""
        if (
            self.training
            or not torch.is_grad_enabled()
            or x.device.type not in ('cpu', 'cuda')
            or torch.is_autocast_enabled(x.device.type)
            or x.dtype not in (torch.float32, torch.float64)
            or x.dtype != self.weight.dtype
            or self.weight.requires_grad
            or self.bias.requires_grad
        ):
            return super().forward(x)
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return torch.addcmul(shift[:, None, None], x, scale[:, None, None])


def keep_less_of_frozen_norms(module: nn.Module) -> None:
    """Let the frozen batch norms of a module be :class:`FrozenBatchNorm2d`; their parameters and names stay."""
    for norm in module.modules():
        # mmdet freezes what norm_cfg says when it builds; what a config freezes later is found in forward().
        if type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats:
            norm.__class__ = FrozenBatchNorm2d
