"""The precision to predict in: what a device has units for, and what would only be slower there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmengine.logging import MMLogger

from ifirvos.errors import one_line
from ifirvos.evaluation.functional import region_similarity
from ifirvos.models.query_linker import QueryLinker

from .memory import is_out_of_memory

if TYPE_CHECKING:
    from .inferencer import RVOSInferencer

DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16, fp16=torch.float16)
AUTO = 'auto'
TRIED = 'bf16'  # of 'auto'; fp16's range is a matter of the weights
LEAST_J = 0.98  # of its masks, against those of fp32
LEAST_GAIN = 1.1  # in speed
GPU_FRAMES = 8  # of a trial: with one, a GPU waits for the host whatever the dtype
FEWEST_FRAMES = 16  # seen before a trial on a CPU, which takes as long as four
MOST_TRIALS = 3  # on empty masks
# As /proc/cpuinfo names them.
CPU_UNITS = dict(bf16={'avx512_bf16', 'amx_bf16', 'bf16'}, fp16={'amx_fp16', 'avx512_fp16', 'asimdhp'})


def has_units(device: torch.device, dtype: str) -> bool:
    """Return whether a device multiplies matrices of this dtype in hardware."""
    if dtype == 'fp32':
        return True
    if device.type == 'cuda':
        major, _ = torch.cuda.get_device_capability(device)
        return major >= (8 if dtype == 'bf16' else 7)
    if device.type == 'cpu':
        return bool(CPU_UNITS[dtype] & _cpu_flags())
    return False


def _cpu_flags() -> set[str]:
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.exists() else []
    return {flag for line in lines if line.lower().startswith(('flags', 'features')) for flag in line.split()}


def slowdown(device: torch.device, dtype: str, side: int = 512) -> float:
    """Return how many times as long a product of square matrices takes as in fp32; the best of a few counts."""
    best = {}
    for name in ('fp32', dtype):
        matrix = torch.ones(side, side, dtype=DTYPES[name], device=device)
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            (matrix @ matrix)[0, 0].item()  # waits for a GPU
            seconds.append(time.perf_counter() - start)
        best[name] = min(seconds)
    return best[dtype] / best['fp32']


def warn_if_slower(device: torch.device, dtype: str) -> None:
    """Say so where a dtype that was asked for would be slower on this device than fp32."""
    if dtype in ('fp32', AUTO) or has_units(device, dtype):
        return
    times = slowdown(device, dtype)
    if times > 1:
        MMLogger.get_current_instance().warning(
            'This %s has no units for %s: products of matrices take %.1f times as long as in fp32. Use --dtype fp32.',
            'processor' if device.type == 'cpu' else device.type,
            dtype,
            times,
        )


class Trials:
    """When 'auto' compares precisions: once there is something to gain, and not for ever where it learns nothing."""

    def __init__(self) -> None:
        self.frames = self.undecided = 0

    def decide(self, inferencer: RVOSInferencer, clip: dict, text: str) -> str:
        """Return 'fp32' or 'bf16', or AUTO where that is still open: fp32 for now.

        Args:
            inferencer: Its ``dtype`` is AUTO before and after.
            clip: Output of its ``preprocess`` for frames not seen before.
            text: A sentence.
        """
        self.frames += len(clip['inputs'])
        if inferencer.device.type == 'cpu' and self.frames < FEWEST_FRAMES:
            return AUTO
        chosen = faster_dtype(inferencer, clip, text)
        if chosen is None:
            self.undecided += 1
            return 'fp32' if self.undecided == MOST_TRIALS else AUTO
        return chosen


def faster_dtype(inferencer: RVOSInferencer, clip: dict, text: str) -> str | None:
    """Predict the first frame, on a GPU a few, in fp32 and in bf16; return the faster one, if the masks are the same.

    Where bf16 fails, fp32.

    Args:
        inferencer: Its ``dtype`` is AUTO before and after.
        clip: Output of its ``preprocess``.
        text: A sentence.

    Returns:
        'fp32' or 'bf16'; None where all masks are empty, which are the same in any precision.
    """
    clip = dict(clip, inputs=clip['inputs'][: 1 if inferencer.device.type == 'cpu' else GPU_FRAMES])
    masks, seconds = {}, dict.fromkeys(('fp32', TRIED), float('inf'))
    try:
        for _ in range(2):  # the first time is not the usual one; in turns, so that other work slows both down
            for dtype in seconds:
                inferencer.dtype = dtype
                encoded = inferencer.encode([text])  # once a video, so it does not count
                start = time.perf_counter()
                masks[dtype] = _masks(inferencer, clip, text, encoded)
                seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
            if not (masks['fp32'].any() or masks[TRIED].any()):
                return None
    except RuntimeError as error:
        if inferencer.dtype == 'fp32' or is_out_of_memory(error):
            raise
        MMLogger.get_current_instance().info('Predicting in fp32: %s fails (%s).', TRIED, one_line(error, 200))
        return 'fp32'
    finally:
        inferencer.dtype = AUTO
    gain = seconds['fp32'] / seconds[TRIED]
    same = float(region_similarity(masks['fp32'], masks[TRIED]).mean())
    chosen = TRIED if gain >= LEAST_GAIN and same >= LEAST_J else 'fp32'
    MMLogger.get_current_instance().info(
        'Predicting in %s: %s is %.1f times as fast on this device, with a J of %.3f.', chosen, TRIED, gain, same
    )
    return chosen


def _masks(inferencer: RVOSInferencer, clip: dict, text: str, encoded: dict) -> np.ndarray:
    feats, meta = inferencer.extract(clip)
    num_frames = len(clip['inputs'])
    metas = [dict(meta, frame_id=index, ori_video_length=num_frames) for index in range(num_frames)]
    (result,) = inferencer.postprocess(inferencer.forward(feats, metas, [text], [QueryLinker(0)], encoded), [text])
    return result.masks
