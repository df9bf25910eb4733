"""Attention to few, many and padded keys against torch's."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from ifirvos.models.attention import Attention

FEW, MANY = 4, 9  # keys; a head has 4 channels


def modules(dropout: float = 0.0) -> tuple[Attention, nn.MultiheadAttention]:
    """Ours and torch's with the same weights, biases not zero, in float64."""
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4, dropout), nn.MultiheadAttention(16, 4, dropout, batch_first=True)
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(ours.state_dict())
    return ours.double(), theirs.double()


def padding(keys: int) -> torch.Tensor:
    mask = torch.zeros(2, keys, dtype=torch.bool)
    mask[0, 2], mask[0, 3:], mask[1, 1:] = True, True, True
    return mask


@pytest.mark.parametrize('keys', [FEW, MANY])
@pytest.mark.parametrize('padded', [True, False])
@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('dropout', [0.0, 0.1])
def test_equals_torch(keys, padded, training, dropout):
    """Outputs and all gradients; of distinct keys and values, so that nothing is taken for something else."""
    found = []
    for module in modules(dropout):
        module.train(training)
        torch.manual_seed(1)
        inputs = [torch.randn(2, n, 16, dtype=torch.double, requires_grad=True) for n in (3, keys, keys)]
        mask = padding(keys) if padded else None
        outputs = [module(*inputs, key_padding_mask=mask, need_weights=need)[0] for need in (False, True)]
        gradients = torch.autograd.grad(outputs[0].square().sum(), [*inputs, *module.parameters()])
        found.append([*outputs, *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_short_way_is_for_few_keys(monkeypatch):
    taken = []
    short = Attention._attend_to_few
    monkeypatch.setattr(Attention, '_attend_to_few', lambda self, *args: taken.append(1) or short(self, *args))
    attention = modules()[0].float().eval()
    for keys, half, expected in ((FEW, False, 1), (FEW + 1, False, 0), (2 * FEW, True, 1), (MANY, True, 0)):
        taken.clear()
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            attention(*(torch.randn(2, n, 16) for n in (3, keys, keys)), padding(keys))
        assert len(taken) == expected


@pytest.mark.parametrize('keys', [FEW, MANY])
def test_padding_throughout_is_finite(keys):
    attention = modules()[0].eval()
    inputs = [torch.randn(2, n, 16, dtype=torch.double) for n in (3, keys, keys)]
    assert attention(*inputs, torch.ones(2, keys, dtype=torch.bool))[0].isfinite().all()


def test_the_number_of_frames_stays_free_in_an_export():
    """Keys are pixels of all frames, in LEwV: a comparison with them would fix how many frames there may be."""

    class OfFrames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = modules()[0]

        def forward(self, words: torch.Tensor, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            keys = frames.flatten(0, 1)[None]
            found = self.attention(words, keys, keys, mask.flatten(0, 1)[None])[0]
            return self.attention(keys, found, found)[0]

    module = OfFrames().eval()
    frames = torch.export.Dim('frames', min=2, max=1000)

    def inputs(count: int) -> tuple[torch.Tensor, ...]:
        return (
            torch.randn(1, FEW, 16, dtype=torch.double),
            torch.randn(count, 2, 16, dtype=torch.double),
            torch.zeros(count, 2, dtype=torch.bool),
        )

    program = torch.export.export(module, inputs(3), dynamic_shapes=(None, {0: frames}, {0: frames})).module()
    for args in (inputs(2), inputs(40)):
        torch.testing.assert_close(program(*args), module(*args))


def test_weights_are_torchs():
    inputs = [torch.randn(2, n, 16, dtype=torch.double) for n in (3, FEW, FEW)]
    ours, theirs = (module.eval()(*inputs, padding(FEW), True)[1] for module in modules())
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('keys', [FEW, MANY])
def test_padded_keys_are_not_read(keys):
    attention = modules()[0].eval()
    query, key = (torch.randn(2, n, 16, dtype=torch.double) for n in (3, keys))
    mask = padding(keys)
    other = key.masked_fill(mask[..., None], 7.0)
    torch.testing.assert_close(attention(query, key, key, mask)[0], attention(query, other, other, mask)[0])


@pytest.mark.parametrize('keys', [FEW, MANY])
def test_half_precision_is_close(keys):
    """Under autocast; the products of few keys have other intermediates."""
    attention = modules()[0].float().eval()
    inputs = [torch.randn(2, n, 16) for n in (3, keys, keys)]
    exact = attention(*inputs, padding(keys))[0]
    with torch.autocast('cpu', torch.bfloat16):
        found = attention(*inputs, padding(keys))[0]
    assert (found.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_inference_does_not_import_sympy():
    code = (
        'import sys, torch; from ifirvos.models.attention import Attention; x = torch.zeros(1, 9, 8); '
        'Attention(8, 2).eval()(x, x, x, torch.arange(9)[None] > 5); sys.exit("sympy" in sys.modules)'
    )
    assert not subprocess.run([sys.executable, '-c', code]).returncode
