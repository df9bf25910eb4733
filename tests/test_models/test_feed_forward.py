"""The FFN that takes some tokens at a time."""

from unittest.mock import patch

import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN

from ifirvos.models.feed_forward import TokenwiseFFN


def both(ffn_drop: float = 0.0, **kwargs) -> tuple[FFN, TokenwiseFFN]:
    """mmcv's and ours, with the same parameters under the same names."""
    torch.manual_seed(0)
    theirs, ours = (kind(8, 32, ffn_drop=ffn_drop, **kwargs) for kind in (FFN, TokenwiseFFN))
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.fixture
def ffn():
    return both()[1].eval()


@pytest.mark.parametrize('shape', [(2, 5, 8), (3, 8), (1, 7, 8)])
@pytest.mark.parametrize('with_identity', [False, True])
def test_equals_mmcv(shape, with_identity):
    """Whatever the number of tokens, and whether they divide."""
    theirs, ffn = (one.eval() for one in both())
    x = torch.randn(shape)
    identity = torch.randn(shape) if with_identity else None
    expected = theirs(x, identity)
    with torch.inference_mode(), patch.object(TokenwiseFFN, 'tokens_at_once', 3):
        torch.testing.assert_close(ffn(x, identity), expected)


def test_the_hidden_layer_is_never_whole(ffn):
    widths = []
    ffn.layers[0].register_forward_hook(lambda _, __, output: widths.append(len(output)))
    x = torch.randn(2, 10, 8)
    with torch.inference_mode(), patch.object(TokenwiseFFN, 'tokens_at_once', 6):
        ffn(x)
    assert widths == [6, 6, 6, 2]
    widths.clear()
    ffn(x.requires_grad_()).sum().backward()
    assert widths == [2]  # clips: all at once, for the gradient
    assert x.grad is not None


def test_half_precision_takes_more_tokens_at_once(ffn):
    widths, x = [], torch.randn(2, 10, 8)
    ffn.layers[0].register_forward_hook(lambda _, __, output: widths.append(len(output)))
    sizes = dict(tokens_at_once=3, half_tokens_at_once=12)
    with torch.inference_mode(), patch.multiple(TokenwiseFFN, **sizes), torch.autocast('cpu', torch.bfloat16):
        out = ffn(x)
        expected = FFN.forward(ffn, x)
    assert widths == [12, 8, 2]
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize('ffn_drop', [0.0, 0.1, 1.0])
@pytest.mark.parametrize('act_cfg', [dict(type='ReLU', inplace=True), dict(type='ReLU'), dict(type='GELU')])
@pytest.mark.parametrize('num_fcs', [2, 3])
def test_training_equals_mmcv(ffn_drop, act_cfg, num_fcs):
    """With the same random numbers, to the last bit: output and all gradients."""
    x, onto = torch.randn(3, 50, 8, requires_grad=True), torch.randn(3, 50, 8)
    found = []
    for ffn in both(ffn_drop, act_cfg=act_cfg, num_fcs=num_fcs):
        torch.manual_seed(1)
        out = ffn(x)
        found.append([out, *torch.autograd.grad((out * onto).sum(), [x, *ffn.parameters()])])
    assert len(found[0]) == 2 + 2 * num_fcs
    for theirs, ours in zip(*found, strict=True):
        assert torch.equal(ours, theirs)


def test_hooks_see_what_the_linear_layer_gave():
    """Its output is not overwritten, so hooks for the backward pass work too."""
    _, ffn = both(ffn_drop=0.1)
    seen = []
    ffn.layers[0][0].register_forward_hook(lambda _, __, output: seen.append(output))
    for layer in ffn.layers[0]:
        layer.register_full_backward_hook(lambda *_: seen.append(None))
    ffn(torch.randn(20, 8, requires_grad=True)).sum().backward()
    assert seen[0].min() < 0
    assert len(seen) == 1 + 3


def test_the_hidden_layer_is_kept_once():
    """mmcv's keeps the output of the ReLU, the noise and their product."""
    kept = []
    for ffn in both(ffn_drop=0.1):
        storages = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, s=storages: s.update({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()}) or t,
            lambda t: t,
        ):
            out = ffn(torch.randn(100, 8, requires_grad=True))  # noqa: F841, what it keeps must not be freed
        kept.append(sum(size >= 100 * 32 * 4 for size in storages.values()))
    assert kept == [3, 1]
