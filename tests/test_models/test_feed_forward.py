"""The FFN that takes some tokens at a time."""

from unittest.mock import patch

import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN

from ifirvos.models.feed_forward import TokenwiseFFN


@pytest.fixture
def ffn():
    torch.manual_seed(0)
    return TokenwiseFFN(8, 32, ffn_drop=0.0).eval()


@pytest.mark.parametrize('shape', [(2, 5, 8), (3, 8), (1, 7, 8)])
@pytest.mark.parametrize('with_identity', [False, True])
def test_equals_mmcv(ffn, shape, with_identity):
    """Whatever the number of tokens, and whether they divide."""
    x = torch.randn(shape)
    identity = torch.randn(shape) if with_identity else None
    expected = FFN.forward(ffn, x, identity)
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
