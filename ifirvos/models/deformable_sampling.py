"""Sampling and weighting of multi-scale deformable attention, without storing the sampled values."""

from __future__ import annotations

import logging
from functools import cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
from mmengine.logging import print_log
from torch import Tensor

# With fewer points, loading the compiled gradient takes longer than it saves.
WORTH_COMPILING = 200_000
# Points of the frames that are processed together without it.
AT_ONCE = 200_000


def sample_values(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Sum bilinearly sampled values with attention weights (Deformable DETR, eq. 3, between the projections).

    Equals mmcv's ``multi_scale_deformable_attn_pytorch``: pixel centres at half integers, zeros outside.
    Differentiable in all but the shapes. In fp32 on a CPU, numba compiles the gradient where it is installed.

    Args:
        value: (B,S,H,D): batch, pixels of all L levels, heads, channels of a head.
        shapes: int64 (L,2), (h, w) in pixels, whose products sum up to S.
        locations: (B,Q,H,L,P,2): for each of Q queries P points a level, x and y, normalised: 0 to 1 inside.
        weights: (B,Q,H,L,P).

    Returns:
        (B,Q,H·D).
    """
    if is_exporting():
        # Operators that other runtimes have, and any number of frames.
        return multi_scale_deformable_attn_pytorch(value, shapes.tolist(), locations, weights)
    if (
        torch.is_grad_enabled()
        and any(tensor.requires_grad for tensor in (value, locations, weights))
        and value.device.type == 'cpu'
        and value.dtype == torch.float32
        and weights.numel() >= WORTH_COMPILING
        and not torch.compiler.is_compiling()
        and type(value) in (Tensor, torch.nn.Parameter)
        and has_compiled()
    ):
        from .deformable_kernel import SampleValues

        return SampleValues.apply(value, shapes, locations, weights)
    return sample_values_plain(value, shapes, locations, weights)


def is_exporting() -> bool:
    """Return whether ``torch.export`` is tracing; False for a torch before 2.7, which does not say."""
    return getattr(torch.compiler, 'is_exporting', bool)()


@cache
def has_compiled() -> bool:
    """Return whether numba is installed and can keep what it compiles."""
    if find_spec('numba') is None:
        return False
    try:
        from . import deformable_kernel  # noqa: F401
    except RuntimeError as error:  # no folder to keep it in: neither the package's, nor one in the user's home
        print_log(f'Training is slower than it need be; set NUMBA_CACHE_DIR: {error}', 'current', logging.WARNING)
        return False
    except (ImportError, AttributeError, SystemError) as error:  # of another NumPy than this numba knows
        print_log(f'Training is slower than it need be: numba does not load ({error}).', 'current', logging.WARNING)
        return False
    return True


def sample_values_plain(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Compute :func:`sample_values` by torch alone, in any precision and on any device.

    A sample is a weighted sum of four pixels, so the output is a weighted sum of 4·L·P pixels per query and head, which
    ``embedding_bag`` computes without storing the pixels. Frames are processed a few at a time, about ``AT_ONCE``
    points: only their indices and weights are stored, and those for the gradient.
    """
    num_heads, dims = value.shape[2:]
    points, shapes = locations.shape[-2], shapes.int()  # half the bytes of int64
    # The numbers of a head's points stand in a row of L*P*2: CPUs are slow at a last dimension of two.
    sizes = shapes.flip(-1)[:, None].expand(-1, points, -1).reshape(-1)  # w, h
    size, last = sizes.to(locations.dtype), sizes - 1
    # A head's pixels are every H-th row of a frame's table (S*H,D).
    step = torch.stack([torch.full_like(shapes[:, 1], num_heads), shapes[:, 1] * num_heads], -1)
    step = step[:, None].expand(-1, points, -1).reshape(-1)
    first = (F.pad(shapes.prod(1).cumsum(0)[:-1], (1, 0)) * num_heads).repeat_interleave(points).int()
    first = first + torch.arange(num_heads, dtype=torch.int32, device=shapes.device)[:, None]  # (H,L*P)
    frames = max(1, AT_ONCE // max(1, weights[0].numel()))
    sums, parts = [], (value, locations.flatten(3), weights.flatten(3))
    for values, place, weight in zip(*(part.split(frames) for part in parts), strict=True):
        xy = place * size - 0.5
        low = xy.detach().floor()
        share = xy - low  # of the pixel to the right of, or below, the point
        low = low.int()
        indices, shares = [], []
        for pixel, part in ((low, 1 - share), (low + 1, share)):
            inside = pixel.clamp(min=0).minimum(last)
            shares.append(part.masked_fill(inside != pixel, 0.0).unflatten(-1, (-1, 2)).unbind(-1))
            indices.append((inside * step).unflatten(-1, (-1, 2)).unbind(-1))
        ((x0, y0), (x1, y1)), ((left, high), (right, below)) = indices, shares
        if len(values) > 1:  # a frame's table follows the one before
            start = torch.arange(len(values), dtype=torch.int32, device=value.device) * (value.shape[1] * num_heads)
            y0, y1 = y0 + start.view(-1, 1, 1, 1), y1 + start.view(-1, 1, 1, 1)
        y0, y1, high, below = y0 + first, y1 + first, high * weight, below * weight
        index = torch.cat([y0 + x0, y0 + x1, y1 + x0, y1 + x1], -1)
        portion = torch.cat([high * left, high * right, below * left, below * right], -1)
        sums.append(
            F.embedding_bag(
                index.flatten(0, 2), values.reshape(-1, dims), per_sample_weights=portion.flatten(0, 2), mode='sum'
            ).view(len(values), -1, num_heads * dims)
        )
    return torch.cat(sums)
