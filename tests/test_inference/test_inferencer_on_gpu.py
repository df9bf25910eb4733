"""The inferencer on a GPU: the masks of the CPU, in every precision, with memory that stays within its bounds."""

import numpy as np
import pytest
import torch

from ifirvos import RVOSInferencer
from ifirvos.evaluation.functional import region_similarity
from ifirvos.inference.model_index import ROOT, SHIPPED_MODEL
from ifirvos.synth import draw_frames, make_clip

pytestmark = pytest.mark.gpu


def shipped(device: str, **options) -> RVOSInferencer:
    config, weights = ROOT / f'configs/ifirvos/{SHIPPED_MODEL}.py', ROOT / f'weights/{SHIPPED_MODEL}.pth'
    return RVOSInferencer(str(config), str(weights), device=device, show_progress=False, **options)


@pytest.fixture(scope='module')
def video():
    """A clip of 24 frames and its sentences."""
    clip = make_clip(0, 'valid', 200_000)
    frames = np.stack([frame[..., ::-1] for frame in draw_frames(clip.facts.scene)])
    return frames, [expression.text for expression in clip.expressions][:3]


@pytest.fixture(scope='module')
def expected(video):
    return shipped('cpu', dtype='fp32')(*video)


@pytest.mark.parametrize(('dtype', 'least'), [('fp32', 0.99), ('bf16', 0.95), ('fp16', 0.98), ('auto', 0.95)])
def test_masks_are_those_of_the_cpu(video, expected, dtype, least):
    for result, wanted in zip(shipped('cuda', dtype=dtype)(*video), expected, strict=True):
        assert float(region_similarity(wanted.masks, result.masks).mean()) >= least
        assert np.abs(result.scores - wanted.scores).max() < 0.1


def test_windows_of_a_long_video(video):
    frames, texts = video
    for device in ('cpu', 'cuda'):
        found = shipped(device, dtype='fp32', clip_len=8)(frames, texts)
        if device == 'cpu':
            wanted = found
    for result, one in zip(found, wanted, strict=True):
        assert float(region_similarity(one.masks, result.masks).mean()) >= 0.99


def test_memory_does_not_grow_with_the_video(video):
    frames, texts = video
    inferencer, peaks = shipped('cuda', dtype='fp32', clip_len=8), []
    for length in (24, 240):
        many = np.concatenate([frames] * (length // 24))
        torch.cuda.reset_peak_memory_stats()
        for _ in inferencer.stream(iter(many), texts):
            pass
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.1 * peaks[0]


def test_it_goes_on_in_smaller_parts_where_memory_runs_out(video, expected):
    frames, texts = video
    inferencer = shipped('cuda', dtype='fp32')
    large = np.stack([np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in frames])
    inferencer(large, texts[:1])  # what is loaded once
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    inferencer(large, texts)
    peak, total = torch.cuda.max_memory_allocated(), torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()
    standing = torch.cuda.memory_allocated()
    torch.cuda.set_per_process_memory_fraction((standing + 0.6 * (peak - standing)) / total)
    try:
        found = inferencer(large, texts)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert inferencer.smaller_parts.taken
    for result, wanted in zip(found, expected, strict=True):
        small = result.masks[:, ::2, ::2]
        assert float(region_similarity(wanted.masks, small).mean()) >= 0.9
