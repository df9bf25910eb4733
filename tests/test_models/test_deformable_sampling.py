"""Sampling of deformable attention: by hand, against mmcv's own PyTorch code, and its compiled gradient."""

import sys

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

from ifirvos.models import deformable_sampling
from ifirvos.models.deformable_sampling import has_compiled, sample_values, sample_values_plain

SHAPES = torch.tensor([[4, 6], [3, 1], [1, 1]])
needs_numba = pytest.mark.skipif(not has_compiled(), reason='numba is not installed')


def sample_values_compiled(*args):
    from ifirvos.models.deformable_kernel import SampleValues

    return SampleValues.apply(*args)


IMPLEMENTATIONS = (sample_values_plain, pytest.param(sample_values_compiled, marks=needs_numba))


def arguments(batch=2, queries=7, heads=3, points=2, depth=5, spread=1.6):
    """Values, shapes, locations inside and outside, weights."""
    pixels = int(SHAPES.prod(1).sum())
    value = torch.randn(batch, pixels, heads, depth)
    locations = torch.rand(batch, queries, heads, len(SHAPES), points, 2) * spread - (spread - 1) / 2
    weights = torch.rand(batch, queries, heads, len(SHAPES), points)
    return value, SHAPES, locations, weights


@pytest.mark.parametrize('function', IMPLEMENTATIONS)
def test_by_hand(function):
    """A level of 2x2 pixels 1, 2, 3, 4 and one of a pixel 10; weights 1 and 0.5."""
    value = torch.tensor([1.0, 2, 3, 4, 10]).view(1, 5, 1, 1)
    shapes = torch.tensor([[2, 2], [1, 1]])

    def sampled(first, second):
        locations = torch.tensor([first, second]).view(1, 1, 1, 2, 1, 2)
        return function(value, shapes, locations, torch.tensor([1.0, 0.5]).view(1, 1, 1, 2, 1)).item()

    assert sampled([0.25, 0.25], [0.5, 0.5]) == 1 + 5, 'pixel centres'
    assert sampled([0.5, 0.5], [0.5, 0.5]) == 2.5 + 5, 'the mean of four'
    assert sampled([0.0, 0.25], [1.0, 0.5]) == 0.5 + 2.5, 'half of it is outside, where all is zero'
    assert sampled([-0.3, 0.25], [2.0, 0.5]) == 0, 'more than a pixel outside'


@pytest.mark.parametrize('function', IMPLEMENTATIONS)
@pytest.mark.parametrize('sizes', [{}, dict(batch=1, queries=1, heads=1, points=1, depth=1), dict(spread=40.0)])
def test_equals_mmcv_with_gradients(function, sizes):
    torch.manual_seed(0)
    results = []
    args = arguments(**sizes)
    for implementation in (multi_scale_deformable_attn_pytorch, function):
        value, shapes, locations, weights = (x.clone() for x in args)
        for x in (value, locations, weights):
            x.requires_grad_()
        out = implementation(value, shapes, locations, weights)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        results.append((out.detach(), value.grad, locations.grad, weights.grad))
    for ours, theirs in zip(*results[::-1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_plain_one_are_those_of_its_value():
    args = [x.double() if x.is_floating_point() else x for x in arguments(1, 2, 2, 1, 2)]
    for x in (args[0], args[2], args[3]):
        x.requires_grad_()
    assert torch.autograd.gradcheck(sample_values_plain, args)


@pytest.mark.parametrize('at_once', [1, 2 * 7 * 3 * 3 * 2, 10**6])
def test_frames_go_together_or_alone(at_once, monkeypatch):
    monkeypatch.setattr(deformable_sampling, 'AT_ONCE', at_once)
    args = arguments(batch=5)
    together = sample_values_plain(*args)
    alone = [sample_values_plain(v[None], SHAPES, p[None], w[None]) for v, p, w in zip(args[0], *args[2:], strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-6)


def gradients(function, args):
    """Of value, locations and weights, with another factor for each output."""
    value, shapes, locations, weights = args
    leaves = [x.clone().requires_grad_() for x in (value, locations, weights)]
    out = function(leaves[0], shapes, *leaves[1:])
    return torch.autograd.grad((out * torch.arange(out.numel()).view_as(out)).sum(), leaves)


@needs_numba
@pytest.mark.parametrize('threads', [1, 2])
def test_compiled_gives_the_same_on_any_number_of_threads(threads):
    args = arguments()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for ours, theirs in zip(gradients(sample_values_compiled, args), gradients(sample_values_plain, args)):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize('function', IMPLEMENTATIONS)
def test_locations_that_are_no_numbers_break_nothing(function):
    value, shapes, locations, weights = arguments()
    locations[0] = torch.nan
    out = function(value, shapes, locations, weights)
    assert out[1].isfinite().all()
    assert all(grad[1].isfinite().all() for grad in gradients(function, (value, shapes, locations, weights)))


def test_a_numba_that_does_not_load_is_none(monkeypatch, tmp_path):
    """As beside a NumPy that is newer than it knows."""
    (tmp_path / 'numba.py').write_text('raise ImportError("Numba needs NumPy 2.2 or less")')
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition('.')[0] == 'numba']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, 'ifirvos.models.deformable_kernel', raising=False)
    monkeypatch.delattr('ifirvos.models.deformable_kernel', raising=False)
    has_compiled.cache_clear()
    try:
        assert not has_compiled()
    finally:
        has_compiled.cache_clear()


@needs_numba
def test_without_a_folder_for_what_is_compiled_the_plain_one_runs(monkeypatch):
    """As in a container with a read-only package and a user without a home."""
    import numba

    def njit(**_):
        raise RuntimeError('cannot cache function: no locator available')

    monkeypatch.setattr(numba, 'njit', njit)
    monkeypatch.delitem(sys.modules, 'ifirvos.models.deformable_kernel', raising=False)
    monkeypatch.delattr('ifirvos.models.deformable_kernel', raising=False)
    monkeypatch.setattr(deformable_sampling, 'WORTH_COMPILING', 10)
    has_compiled.cache_clear()
    args = arguments()
    args[0].requires_grad_()
    try:
        assert sample_values(*args).grad_fn.name() != 'SampleValuesBackward'
    finally:
        has_compiled.cache_clear()


@needs_numba
def test_which_gradient_is_compiled(monkeypatch):
    """That of fp32, of more than a few points."""

    def is_compiled(args):
        return sample_values(*args).grad_fn.name() == 'SampleValuesBackward'

    monkeypatch.setattr(deformable_sampling, 'WORTH_COMPILING', 10)
    args = arguments()
    args[0].requires_grad_()
    assert is_compiled(args)
    assert not is_compiled([x.double() if x.is_floating_point() else x for x in args])
    with monkeypatch.context() as patch:
        patch.setattr(deformable_sampling, 'has_compiled', lambda: False)
        assert not is_compiled(args)
    monkeypatch.setattr(deformable_sampling, 'WORTH_COMPILING', 10**9)
    assert not is_compiled(args)


def test_prediction_does_not_load_numba(monkeypatch):
    """It takes a second to load, and the forward pass is as fast without."""
    monkeypatch.setattr(deformable_sampling, 'WORTH_COMPILING', 10)
    monkeypatch.setattr(deformable_sampling, 'has_compiled', lambda: pytest.fail('asked for numba'))
    args = arguments()
    first = sample_values(*args)
    args[0].requires_grad_()
    with torch.no_grad():
        assert torch.equal(sample_values(*args), first)
