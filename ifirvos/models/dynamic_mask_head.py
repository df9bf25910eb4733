"""Dynamic convolutions: every query predicts the weights of the three 1x1 convolutions of its mask."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


class DynamicMaskHead(BaseModule):
    """CondInst's mask head (paper 3.5), as ReferFormer feeds it.

    The input of the first convolution is F_seg, followed by the offset (dx, dy) in input pixels from each mask pixel to
    the query's reference point. That convolution is linear, so it is computed as a matrix product with F_seg for all
    queries, and the offsets are added as one row and one column: features are never repeated per query.

    Args:
        in_channels: C of F_seg.
        channels: Width between the convolutions.
        stride: Stride of F_seg, in input pixels.
    """

    def __init__(self, in_channels: int = 256, channels: int = 8, stride: int = 4) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.channels = channels
        self.stride = stride
        # weights of the three convolutions, then their biases
        self.param_sizes = [(in_channels + 2) * channels, channels**2, channels, channels, channels, 1]

    @property
    def num_params(self) -> int:
        """P, the number of parameters per query."""
        return sum(self.param_sizes)

    def forward(
        self,
        features: Tensor,
        params: Tensor,
        reference_points: Tensor,
        img_sizes: Tensor,
        before: nn.Conv2d | None = None,
    ) -> Tensor:
        """Draw the masks.

        Args:
            features: F_seg (F,C,h,w), F = B*T frames.
            params: (F,N,P).
            reference_points: (F,N,2), (x, y) in [0,1] of the unpadded input.
            img_sizes: (F,2), (w, h) of the unpadded input in pixels.
            before: The last convolution, which computes F_seg from ``features``. It is then fused with the first
                dynamic convolution, as both are linear: 8 channels per query are computed instead of C.

        Returns:
            Tensor: Mask logits (F,N,h,w).
        """
        frames, channels, height, width = features.shape
        queries, hidden = params.shape[1], self.channels
        weight1, weight2, weight3, bias1, bias2, bias3 = params.split(self.param_sizes, dim=-1)
        weight1 = weight1.unflatten(-1, (hidden, channels + 2))

        def centres(cells: int) -> Tensor:
            return torch.arange(cells, device=features.device) * self.stride + self.stride // 2

        x, y = (reference_points * img_sizes[:, None]).unbind(-1)  # F N, pixels
        dx = (x[..., None] - centres(width))[:, :, None] * weight1[..., -2, None]  # F N 8 w
        dy = (y[..., None] - centres(height))[:, :, None] * weight1[..., -1, None] + bias1[..., None]  # F N 8 h

        by_channel = weight1[..., :-2].flatten(1, 2)  # F N*8 C
        if before is None:
            out = by_channel @ features.flatten(2)  # F N*8 h*w
        else:
            kernels = (by_channel @ before.weight.flatten(1)).unflatten(-1, before.weight.shape[1:])
            biases = by_channel @ before.bias
            out = torch.cat(
                [
                    F.conv2d(feature[None], kernel, bias, padding=before.padding)
                    for feature, kernel, bias in zip(features, kernels, biases, strict=True)
                ]
            )
        out = out.view(frames, queries, hidden, height, width)
        out = (out + dx[..., None, :] + dy[..., None]).relu()
        out = out.view(frames * queries, hidden, height * width)
        out = torch.baddbmm(bias2.reshape(-1, hidden, 1), weight2.reshape(-1, hidden, hidden), out).relu()
        out = torch.baddbmm(bias3.reshape(-1, 1, 1), weight3.reshape(-1, 1, hidden), out)
        return out.view(frames, queries, height, width)
