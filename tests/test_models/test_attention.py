"""Attention with padded keys against torch's."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from ifirvos.models.attention import Attention

PADDING = torch.tensor([[False, False, True, False, True], [False, True, True, True, True]])


@pytest.fixture
def modules() -> tuple[Attention, nn.MultiheadAttention]:
    """Ours and torch's with the same weights, biases not zero."""
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4, 0.1), nn.MultiheadAttention(16, 4, 0.1, batch_first=True)
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize('padding', [PADDING, None])
@pytest.mark.parametrize('training', [False, True])
def test_equals_torch(modules, padding, training):
    ours, theirs = (module.double().train(training) for module in modules)
    torch.manual_seed(1)
    inputs = [torch.randn(2, tokens, 16, dtype=torch.double, requires_grad=True) for tokens in (3, 5, 5)]
    found = []
    for module in (ours, theirs):
        torch.manual_seed(2)  # of dropout
        outputs = [module(*inputs, key_padding_mask=padding, need_weights=need)[0] for need in (False, True)]
        leaves = [*inputs, *module.parameters()]
        found.append(outputs + list(torch.autograd.grad(outputs[0].square().sum(), leaves)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_padded_keys_are_not_read(modules):
    attention = modules[0].eval()
    query, key = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    other = key.masked_fill(PADDING[..., None], 7.0)
    torch.testing.assert_close(attention(query, key, key, PADDING)[0], attention(query, other, other, PADDING)[0])


def test_inference_does_not_import_sympy():
    code = (
        'import sys, torch; from ifirvos.models.attention import Attention; x = torch.zeros(1, 3, 8); '
        'Attention(8, 2).eval()(x, x, x, torch.tensor([[False, False, True]])); sys.exit("sympy" in sys.modules)'
    )
    assert not subprocess.run([sys.executable, '-c', code]).returncode
