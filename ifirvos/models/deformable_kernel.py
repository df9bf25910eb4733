"""``sample_values`` compiled by numba for CPUs: the same results without intermediate tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

ZERO = np.float32(0)
# Not 'nnan': NaN locations must fail the bounds checks.
FAST = {'contract', 'reassoc', 'nsz', 'arcp'}


@njit(cache=True, fastmath=FAST, inline='always')
def _corner(x, y):
    """Return the pixel to the upper left of a point and the weight of its right and lower neighbours."""
    x0, y0 = np.floor(x), np.floor(y)
    return int(x0), int(y0), np.float32(x - x0), np.float32(y - y0)


@njit(cache=True, fastmath=FAST, nogil=True)
def _forward(first, stop, value, shapes, locations, weights, out):
    _, queries, heads, levels, points = weights.shape
    depth = value.shape[3]
    for task in range(first, stop):
        b, head = task // heads, task % heads
        total = np.empty(depth, np.float32)
        for q in range(queries):
            total[:] = 0
            start = 0
            for level in range(levels):
                height, width = shapes[level, 0], shapes[level, 1]
                for p in range(points):
                    x = locations[b, q, head, level, p, 0] * width - np.float32(0.5)
                    y = locations[b, q, head, level, p, 1] * height - np.float32(0.5)
                    if x > -1 and y > -1 and x < width and y < height:
                        x0, y0, right, low = _corner(x, y)
                        weight = weights[b, q, head, level, p]
                        # Pixels outside have weight zero, so any index will do.
                        left, right = (
                            (1 - right if x0 >= 0 else np.float32(0)),
                            (right if x0 + 1 < width else np.float32(0)),
                        )
                        high, low = (1 - low if y0 >= 0 else np.float32(0)), (low if y0 + 1 < height else np.float32(0))
                        row0, row1 = start + max(y0, 0) * width, start + min(y0 + 1, height - 1) * width
                        col0, col1 = max(x0, 0), min(x0 + 1, width - 1)
                        a, c = value[b, row0 + col0, head], value[b, row0 + col1, head]
                        e, g = value[b, row1 + col0, head], value[b, row1 + col1, head]
                        wa, wc = weight * left * high, weight * right * high
                        we, wg = weight * left * low, weight * right * low
                        for d in range(depth):
                            total[d] += wa * a[d] + wc * c[d] + we * e[d] + wg * g[d]
                start += height * width
            out[b, q, head] = total


@njit(cache=True, fastmath=FAST, nogil=True)
def _backward(first, stop, value, shapes, locations, weights, grad, grad_value, grad_locations, grad_weights):
    _, queries, heads, levels, points = weights.shape
    depth = value.shape[3]
    for task in range(first, stop):  # tasks write to disjoint rows of grad_value
        b, head = task // heads, task % heads
        for q in range(queries):
            up = grad[b, q, head]
            start = 0
            for level in range(levels):
                height, width = shapes[level, 0], shapes[level, 1]
                for p in range(points):
                    x = locations[b, q, head, level, p, 0] * width - np.float32(0.5)
                    y = locations[b, q, head, level, p, 1] * height - np.float32(0.5)
                    if x > -1 and y > -1 and x < width and y < height:
                        x0, y0, right, low = _corner(x, y)
                        weight = weights[b, q, head, level, p]
                        by_weight = by_x = by_y = ZERO
                        for dy in range(2):
                            if 0 <= y0 + dy < height:
                                share_y = low if dy else 1 - low
                                for dx in range(2):
                                    if 0 <= x0 + dx < width:
                                        share_x = right if dx else 1 - right
                                        row = start + (y0 + dy) * width + x0 + dx
                                        pixel, to = value[b, row, head], grad_value[b, row, head]
                                        share = weight * share_x * share_y
                                        dot = ZERO
                                        for d in range(depth):
                                            dot += pixel[d] * up[d]
                                            to[d] += share * up[d]
                                        by_weight += dot * share_x * share_y
                                        by_x += dot * share_y if dx else -dot * share_y
                                        by_y += dot * share_x if dy else -dot * share_x
                        grad_weights[b, q, head, level, p] = by_weight
                        grad_locations[b, q, head, level, p, 0] = by_x * weight * width
                        grad_locations[b, q, head, level, p, 1] = by_y * weight * height
                start += height * width


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _share_out(kernel: Callable, *tensors: Tensor) -> None:
    """Run a kernel on as many threads as torch uses; a task is a head of a frame."""
    arrays = [tensor.detach().numpy() for tensor in tensors]
    tasks, threads = tensors[3].shape[0] * tensors[3].shape[2], torch.get_num_threads()
    if threads == 1:
        kernel(0, tasks, *arrays)
        return
    key = (os.getpid(), threads)  # threads do not survive a fork
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads)
    bounds = [tasks * part // threads for part in range(threads + 1)]
    for done in [_pools[key].submit(kernel, *pair, *arrays) for pair in pairwise(bounds)]:
        done.result()


class CompiledSampleValues(torch.autograd.Function):
    """:func:`~.deformable_sampling.sample_values` in fp32 on a CPU; shapes are an int64 tensor (L,2)."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        """Return (B,Q,H·D)."""
        value, locations, weights = value.contiguous(), locations.contiguous(), weights.contiguous()
        ctx.save_for_backward(value, shapes, locations, weights)
        out = value.new_empty(*weights.shape[:3], value.shape[-1])
        _share_out(_forward, value, shapes, locations, weights, out)
        return out.flatten(2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        """Return the gradients of value, locations and weights."""
        value, shapes, locations, weights = ctx.saved_tensors
        grad = grad.contiguous().view(*weights.shape[:3], value.shape[-1])
        grads = [torch.zeros_like(tensor) for tensor in (value, locations, weights)]
        _share_out(_backward, value, shapes, locations, weights, grad, *grads)
        return grads[0], None, grads[1], grads[2]
