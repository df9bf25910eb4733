"""3x3 convolutions by minimal filtering."""

from unittest.mock import patch

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from ifirvos.models.winograd import WinogradConv2d, filter_minimally
from ifirvos.models.winograd import pays_off as really_pays_off

needs_nnpack = pytest.mark.skipif(not torch.backends.nnpack.is_available(), reason='PyTorch without NNPACK')


@pytest.fixture(autouse=True)
def _paying(monkeypatch):
    """Whatever the processor: where NNPACK is there."""
    monkeypatch.setattr('ifirvos.models.winograd.pays_off', torch.backends.nnpack.is_available)


def conv_and_image(channels: int = 64, size: tuple[int, int] = (23, 40)) -> tuple[nn.Conv2d, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Conv2d(channels, channels, 3, padding=1), torch.randn(2, channels, *size)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_equals_the_usual_convolution(layout):
    conv, x = conv_and_image()
    x = x.contiguous(memory_format=layout)
    expected = conv(x).detach()
    filter_minimally(conv)
    with torch.inference_mode():
        found = conv(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()) * 5)
    assert found.is_contiguous(memory_format=layout)


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('frozen', [True, False])
def test_gradients_equal_those_of_the_usual_convolution(bias, frozen):
    """Also of other channels out than in, and where the kernels are frozen."""
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 96, 3, padding=1, bias=bias).requires_grad_(not frozen)
    x = torch.randn(2, 64, 23, 40, requires_grad=True)
    wanted = [x, *(() if frozen else conv.parameters())]
    onto = torch.randn(2, 96, 23, 40)
    expected = torch.autograd.grad((conv(x) * onto).sum(), wanted)
    filter_minimally(conv)
    found = torch.autograd.grad((conv(x) * onto).sum(), wanted)
    for theirs, ours in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-5 * float(theirs.abs().max()))


@needs_nnpack
def test_is_taken_where_it_pays():
    conv, x = conv_and_image()
    filter_minimally(conv)
    with patch.object(torch, '_nnpack_spatial_convolution', wraps=torch._nnpack_spatial_convolution) as filtered:
        conv(x[..., :8, :8])  # too small to pay
        with torch.autocast('cpu', torch.bfloat16):
            assert conv(x).dtype == torch.bfloat16
        assert not filtered.called
        out = conv(x.requires_grad_())
        assert filtered.call_count == len(x)
        out.sum().backward()
        assert filtered.call_count == 2 * len(x)


@pytest.mark.parametrize(
    ('there', 'capability', 'pays'), [(True, 'AVX2', True), (True, 'AVX512', False), (False, 'AVX2', False)]
)
def test_not_where_avx_512_is_faster(there, capability, pays):
    with (
        patch('torch.backends.nnpack.is_available', return_value=there),
        patch('torch.backends.cpu.get_cpu_capability', return_value=capability),
    ):
        assert really_pays_off.__wrapped__() == pays


def test_stands_for_what_it_can_stand_for():
    """Not for strides, other kernels, few channels; parameters are the same, and so are their names."""
    module = nn.ModuleDict(
        dict(
            fits=ConvModule(64, 64, 3, padding=1, norm_cfg=dict(type='GN', num_groups=8)),
            strided=nn.Conv2d(64, 64, 3, stride=2, padding=1),
            pointwise=nn.Conv2d(64, 64, 1),
            grouped=nn.Conv2d(64, 64, 3, padding=1, groups=2),
            narrow=nn.Conv2d(8, 8, 3, padding=1),
        )
    )
    before = module.state_dict()
    parameters = list(module.parameters())
    filter_minimally(module)
    assert all(a is b for a, b in zip(module.parameters(), parameters, strict=True))  # an optimizer holds them
    chosen = {name for name, child in module.named_modules() if isinstance(child, WinogradConv2d)}
    assert chosen == {'fits.conv'}
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
