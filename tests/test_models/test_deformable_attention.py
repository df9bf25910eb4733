"""Deformable attention for clips: mmcv's numbers, any number of frames, mixed precision."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention, multi_scale_deform_attn

from ifirvos.models.deformable_attention import ClipDeformableAttention

CONFIG = dict(embed_dims=16, num_heads=2, num_levels=2, num_points=2, dropout=0.0, batch_first=True)
SHAPES = torch.tensor([[4, 6], [2, 3]])
PIXELS = 4 * 6 + 2 * 3


def arguments(frames: int) -> dict:
    mask = torch.zeros(frames, PIXELS, dtype=torch.bool)
    mask[:, -1] = True
    return dict(
        query=torch.randn(frames, 3, 16),
        value=torch.randn(frames, PIXELS, 16),
        query_pos=torch.randn(frames, 3, 16),
        key_padding_mask=mask,
        reference_points=torch.rand(frames, 3, 2, 2),
        spatial_shapes=SHAPES,
        level_start_index=torch.tensor([0, 24]),
    )


@pytest.fixture
def attention() -> ClipDeformableAttention:
    module = ClipDeformableAttention(**CONFIG)
    torch.nn.init.normal_(module.attention_weights.weight)
    torch.nn.init.normal_(module.sampling_offsets.weight)
    return module


def test_equals_mmcv_and_shares_its_checkpoint(attention):
    reference = MultiScaleDeformableAttention(**CONFIG)
    reference.load_state_dict(attention.state_dict(), strict=True)
    args = arguments(3)
    torch.testing.assert_close(attention(**args), reference(**args), rtol=1e-6, atol=1e-6)
    boxes = args | dict(reference_points=torch.rand(3, 3, 2, 4))
    torch.testing.assert_close(attention(**boxes), reference(**boxes), rtol=1e-6, atol=1e-6)
    bare = args | dict(query_pos=None, key_padding_mask=None, identity=torch.randn(3, 3, 16))
    torch.testing.assert_close(attention(**bare), reference(**bare), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(('frames', 'step'), [(1, 1), (36, 36), (64, 64), (67, 1), (72, 36), (128, 64), (100, 50)])
def test_the_step_is_the_largest_the_kernel_accepts(attention, monkeypatch, frames, step):
    """The kernel itself needs a GPU: a tensor that says it is on one, and a function in the kernel's place."""
    steps = []
    kernel = SimpleNamespace(apply=lambda *args: steps.append(args[-1]))
    monkeypatch.setattr(multi_scale_deform_attn, 'IS_CUDA_AVAILABLE', True)
    monkeypatch.setattr(multi_scale_deform_attn, 'MultiScaleDeformableAttnFunction', kernel)
    value = MagicMock(is_cuda=True)
    value.__len__.return_value = frames
    attention.sample(value, SHAPES, None, None, None)
    assert steps == [step]


def test_runs_in_float32_inside_autocast(attention):
    args = arguments(2)
    plain = attention(**args)
    half = {key: value.bfloat16() if value.is_floating_point() else value for key, value in args.items()}
    rounded = {key: value.float() if value.is_floating_point() else value for key, value in half.items()}
    with torch.autocast('cpu', torch.bfloat16):
        mixed = attention(**args)
        of_half = attention(**half)
    assert mixed.dtype == of_half.dtype == torch.float32
    assert torch.equal(mixed, plain)
    assert torch.equal(of_half, attention(**rounded))
