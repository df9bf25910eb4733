"""3x3 convolutions with a quarter of the multiplications, on CPUs."""

import torch
from torch import Tensor, nn

# With fewer pixels or channels, transforming kernels and tiles takes as long as it saves.
WORTH_PIXELS, WORTH_CHANNELS = 512, 64


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution by Winograd's minimal filtering (Lavin and Gray, 2016), as NNPACK computes it inside PyTorch.

    Equal to ``nn.Conv2d`` up to rounding, 1e-5 of the largest value. Only in fp32 on CPUs without gradients; otherwise
    the usual convolution runs.
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

    @classmethod
    def of(cls, conv: nn.Conv2d) -> 'WinogradConv2d':
        """Return the same convolution with the same parameters; see :meth:`fits`."""
        made = cls(conv.in_channels, conv.out_channels, 3, padding=1, bias=False, device='meta')
        weight = conv.weight.detach().contiguous()  # NNPACK's layout
        made.weight, made.bias = nn.Parameter(weight, conv.weight.requires_grad), conv.bias
        return made.train(conv.training)

    def forward(self, x: Tensor) -> Tensor:
        """Map (F,C,h,w) to (F,C',h,w), in the memory format of x."""
        if (
            torch.is_grad_enabled()
            or x.device.type != 'cpu'
            or x.dtype != torch.float32
            or torch.is_autocast_enabled('cpu')
            or x.shape[-2] * x.shape[-1] < WORTH_PIXELS
            or not torch.backends.nnpack.is_available()
        ):
            return super().forward(x)
        layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        out = torch.empty(len(x), self.out_channels, *x.shape[-2:], memory_format=layout)
        for number, frame in enumerate(x):  # NNPACK uses Winograd only for single images
            image = frame[None].contiguous()
            (out[number],) = torch._nnpack_spatial_convolution(image, self.weight, self.bias, [1, 1], [1, 1])
        return out


def filter_minimally(module: nn.Module) -> None:
    """Replace the convolutions of a module by :class:`WinogradConv2d` where it fits."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if WinogradConv2d.fits(child):
                setattr(parent, name, WinogradConv2d.of(child))
