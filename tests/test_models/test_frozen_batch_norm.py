"""Frozen batch norms: PyTorch's numbers, without its input kept."""

import pytest
import tiny
import torch
from torch import nn

from ifirvos.models.frozen_batch_norm import FrozenBatchNorm2d, keep_less_of_frozen_norms


def norms() -> tuple[nn.BatchNorm2d, nn.BatchNorm2d]:
    """A frozen one with statistics of its own, PyTorch's and ours."""
    theirs = nn.BatchNorm2d(5).requires_grad_(False).eval()
    for tensor, low in ((theirs.weight, -2), (theirs.bias, -2), (theirs.running_mean, -2), (theirs.running_var, 0.01)):
        tensor.data.uniform_(low, 2)
    ours = nn.Sequential(nn.BatchNorm2d(5).requires_grad_(False).eval())
    ours[0].load_state_dict(theirs.state_dict())
    keep_less_of_frozen_norms(ours)
    return theirs, ours[0]


def kept(norm: nn.Module, x: torch.Tensor) -> int:
    """Return the number of values that a forward keeps for the backward pass."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        norm(x)
    return sum(sizes)


def test_output_and_gradient_are_pytorchs_and_the_input_is_not_kept():
    torch.manual_seed(0)
    theirs, ours = norms()
    x, onto = torch.randn(2, 5, 6, 7, requires_grad=True), torch.randn(2, 5, 6, 7)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    found, expected = (torch.autograd.grad((norm(x) * onto).sum(), x)[0] for norm in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert kept(ours, x) <= 2 * 5 < x.numel() < kept(theirs, x)


@pytest.mark.parametrize('where', ['meta', 'float16'])
def test_runs_wherever_pytorchs_does(where):
    _, ours = norms()
    to = dict(device='meta') if where == 'meta' else dict(dtype=torch.float16)
    x = torch.randn(2, 5, 6, 7).to(**to).requires_grad_()
    assert ours.to(**to)(x).shape == x.shape
    assert kept(ours, x) >= x.numel()  # PyTorch's


@pytest.mark.parametrize('why', ['trained', 'training', 'no gradient', 'bf16'])
def test_otherwise_pytorchs_runs(why):
    torch.manual_seed(0)
    theirs, ours = norms()
    x = torch.randn(2, 5, 6, 7, requires_grad=True)
    for norm in (theirs, ours):
        norm.train(why == 'training').requires_grad_(why == 'trained')
    with torch.set_grad_enabled(why != 'no gradient'), torch.autocast('cpu', torch.bfloat16, why == 'bf16'):
        assert torch.equal(ours(x), theirs(x))
    if why == 'training':
        assert torch.equal(ours.running_mean, theirs.running_mean)


def test_the_backbone_has_them_and_its_weights_keep_their_names():
    model = tiny.tiny_model()
    assert all(type(m) is FrozenBatchNorm2d for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert isinstance(model.backbone.bn1, FrozenBatchNorm2d)
    assert {'bn1.weight', 'bn1.bias', 'bn1.running_mean', 'bn1.running_var'} <= model.backbone.state_dict().keys()
