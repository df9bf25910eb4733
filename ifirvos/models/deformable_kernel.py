"""The gradient of ``sample_values`` compiled by numba for CPUs; ``embedding_bag`` takes several times as long."""

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

from .deformable_sampling import sample_values_plain

ZERO = np.float32(0)
# Not 'nnan': NaN locations must fail the bounds checks.
FAST = {'contract', 'reassoc', 'nsz', 'arcp'}


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
                        x0, y0 = int(np.floor(x)), int(np.floor(y))  # the pixel to the upper left
                        right, low = np.float32(x - x0), np.float32(y - y0)
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


class SampleValues(torch.autograd.Function):
    """:func:`~.deformable_sampling.sample_values` in fp32 on a CPU; shapes are an int64 tensor (L,2)."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        """Return (B,Q,H·D)."""
        ctx.save_for_backward(value, shapes, locations, weights)
        return sample_values_plain(value, shapes, locations, weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        """Return the gradients of value, locations and weights."""
        value, shapes, locations, weights = (tensor.contiguous() for tensor in ctx.saved_tensors)
        grad = grad.contiguous().view(*weights.shape[:3], value.shape[-1])
        grads = [torch.zeros_like(tensor) for tensor in (value, locations, weights)]
        _share_out(_backward, value, shapes, locations, weights, grad, *grads)
        return grads[0], None, grads[1], grads[2]
