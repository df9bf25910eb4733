"""Sine encodings: 2-D for feature maps (mmdet's, zero in the padding) and 1-D for tokens and time."""

import math

import torch
from mmdet.models.layers import SinePositionalEncoding as _SinePositionalEncoding
from mmengine.model import BaseModule
from torch import Tensor

from ifirvos.errors import InputError
from ifirvos.registry import MODELS

PADDING_ENCODINGS = ('zero', 'reference')


@MODELS.register_module()
class MaskedSinePositionalEncoding(_SinePositionalEncoding):
    """mmdet's 2-D encoding, with a choice of the values in the padding.

    In a fully padded column or row, the normalised coordinate is ``-0.5 / 1e-6 * 2 pi``: noise that in the reference
    code reaches valid mask logits through encoder and pixel decoder (by up to 3), and so the matching of near ties.

    Args:
        padding_encoding: ``'zero'``, or ``'reference'``: that noise, to reproduce the official code on padded clips;
            mmdet computes it in the same float32 steps.
        **kwargs: Passed on to mmdet's SinePositionalEncoding.
    """

    def __init__(self, *args, padding_encoding: str = 'zero', **kwargs) -> None:
        if padding_encoding not in PADDING_ENCODINGS:
            raise InputError(f'padding_encoding must be one of {PADDING_ENCODINGS}, not {padding_encoding!r}')
        super().__init__(*args, **kwargs)
        self.padding_encoding = padding_encoding

    def forward(self, mask: Tensor, input: Tensor | None = None) -> Tensor:
        """mask (B,h,w), True on padding, or None with ``input`` (B,*,h,w) -> (B,2*num_feats,h,w)."""
        pos = super().forward(mask, input)
        if mask is None or self.padding_encoding == 'reference':
            return pos
        return pos.masked_fill(mask[:, None].bool(), 0.0)


@MODELS.register_module()
class SinePositionalEncoding1D(BaseModule):
    """Sine encoding of a position on a line, scaled to [0, 2 pi] over the valid positions.

    It equals ReferFormer's encoding of words (no -0.5 offset; padded tokens repeat the last position).

    Args:
        num_feats: Channels C of the encoding.
        temperature: As in the 2-D encoding.
        eps: Added to the number of valid positions before the division.
    """

    def __init__(self, num_feats: int, temperature: int = 10000, eps: float = 1e-6) -> None:
        super().__init__()
        self.num_feats = num_feats
        self.temperature = temperature
        self.eps = eps

    def forward(self, mask: Tensor) -> Tensor:
        """Encode mask (B,L), True on padding -> (B,L,C)."""
        position = (~mask).cumsum(1).float()  # sums of floats are not deterministic on a GPU
        return self.encode(position / (position[:, -1:] + self.eps))

    def encode(self, position: Tensor) -> Tensor:
        """Positions (...,) in [0,1] -> (...,C)."""
        channel = torch.arange(self.num_feats, dtype=torch.float32, device=position.device)
        wavelength = self.temperature ** (2 * torch.div(channel, 2, rounding_mode='floor') / self.num_feats)
        angle = (position * (2 * math.pi))[..., None] / wavelength
        return torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), dim=-1).flatten(-2)
