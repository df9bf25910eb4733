"""ReLU and dropout as one layer, which keeps one tensor for the backward pass in place of three."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class ReLUDropout(nn.Dropout):
    """``nn.Dropout`` of ``nn.ReLU``, with the same random numbers.

    In training PyTorch keeps the output of the ReLU, the noise and their product. The product suffices: where it is
    zero, so is the gradient. In a Transformer's FFN these are the largest tensors. The input is overwritten only where
    no gradient is wanted. There are no second derivatives, nor ``torch.func``'s.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (...) to (...)."""
        if not self.training or self.p in (0, 1) or not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return super().forward(F.relu(x, inplace=not torch.is_grad_enabled()))
        return _Function.apply(x, self.p)


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        ctx.scale = 1 / (1 - p)
        out = x.relu()
        if x.is_cuda:  # one kernel
            out, _ = torch.native_dropout(out, p, True)
        else:
            out.mul_(torch.empty_like(out, dtype=torch.bool).bernoulli_(1 - p)).mul_(ctx.scale)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad, out, 0).mul_(ctx.scale), None
