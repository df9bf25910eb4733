"""3x3 convolutions with a quarter of the multiplications, on CPUs."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# With fewer pixels or channels, transforming kernels and tiles takes as long as it saves.
WORTH_PIXELS, WORTH_CHANNELS = 512, 64


@cache
def pays_off() -> bool:
    """Return whether NNPACK is there, and faster than PyTorch's own convolutions.

    NNPACK knows no AVX-512, with which those were 1.2 to 7 times as fast on a CPU that has it; with AVX2, 0.3 times.
    """
    return torch.backends.nnpack.is_available() and torch.backends.cpu.get_cpu_capability() != 'AVX512'


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution by Winograd's minimal filtering (Lavin and Gray, 2016), as NNPACK computes it inside PyTorch.

    Equal to ``nn.Conv2d`` up to rounding, 1e-5 of the largest value. Only in fp32 on CPUs without AVX-512;
    otherwise the usual convolution runs.
    """

    @classmethod
    def fits(cls, conv: nn.Module) -> bool:
        """Return whether a module is a convolution that this class can replace."""
        return (
            type(conv) is nn.Conv2d
            and conv.kernel_size == (3, 3)
            and conv.stride == conv.dilation == (1, 1)
            and conv.padding == (1, 1)
            and conv.padding_mode == 'zeros'
            and conv.groups == 1
            and min(conv.in_channels, conv.out_channels) >= WORTH_CHANNELS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (F,C,h,w) to (F,C',h,w), in the memory format of x."""
        if (
            x.device.type != 'cpu'
            or x.dtype != torch.float32
            or torch.is_autocast_enabled('cpu')
            or x.shape[-2] * x.shape[-1] < WORTH_PIXELS
            or not pays_off()
        ):
            return super().forward(x)
        return MinimalFiltering.apply(x, self.weight, self.bias)


class MinimalFiltering(torch.autograd.Function):
    """The convolution of :class:`WinogradConv2d`. The gradient of its input is another one, with kernels turned."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Map (F,C,h,w) to (F,C',h,w) with weight (C',C,3,3)."""
        ctx.save_for_backward(x, weight)
        return filter_frames(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of x, weight and bias; PyTorch computes the last two."""
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        of_x = of_weight = of_bias = None
        if wants_x:
            of_x = filter_frames(grad, weight.flip(2, 3).transpose(0, 1), None)
        if wants_weight or wants_bias:
            geometry = [1, 1], [1, 1], [1, 1], False, [0, 0], 1  # stride, padding, dilation, not transposed, groups
            wanted = [False, wants_weight, wants_bias]
            _, of_weight, of_bias = torch.ops.aten.convolution_backward(
                grad, x, weight, [len(weight)], *geometry, wanted
            )
        return of_x, of_weight, of_bias


def filter_frames(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (F,C,h,w) with weight (C',C,3,3) to (F,C',h,w), in the memory format of x."""
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    weight = weight.contiguous()  # NNPACK's layout
    out = torch.empty(len(x), len(weight), *x.shape[-2:], memory_format=layout)
    for number, frame in enumerate(x):  # NNPACK uses Winograd only for single images
        (out[number],) = torch._nnpack_spatial_convolution(frame[None].contiguous(), weight, bias, [1, 1], [1, 1])
    return out


def filter_minimally(module: nn.Module) -> None:
    """Let the convolutions of a module be :class:`WinogradConv2d` where they fit; their parameters stay the same."""
    for conv in module.modules():
        if WinogradConv2d.fits(conv):
            conv.__class__ = WinogradConv2d
