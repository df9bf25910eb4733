"""Encodings of positions: the 1-D one and the masked 2-D one against mmdet's."""

import pytest
import torch
from mmdet.models.layers import SinePositionalEncoding

from ifirvos.models.positional_encoding import MaskedSinePositionalEncoding, SinePositionalEncoding1D

WORDS = torch.tensor([[False] * 6, [False] * 4 + [True] * 2])  # the second sentence is padded


def test_one_dimension_is_the_x_half_of_mmdets_two():
    mask = WORDS[:1]
    oracle = SinePositionalEncoding(num_feats=16, normalize=True, offset=0.0)
    expected = oracle(mask[:, None])[:, 16:, 0]  # B C 1 L: y channels, then x
    torch.testing.assert_close(SinePositionalEncoding1D(16)(mask), expected.transpose(1, 2), rtol=0, atol=1e-6)


def test_padding_repeats_the_last_word_and_moves_no_other():
    encoding = SinePositionalEncoding1D(16)
    padded, alone = encoding(WORDS)[1], encoding(WORDS[1:, :4])[0]
    assert torch.equal(padded[:4], alone)
    assert torch.equal(padded[4:], alone[[-1, -1]])


@pytest.mark.parametrize('length', [1, 2, 50])
def test_words_fill_the_unit_interval(length):
    encoding = SinePositionalEncoding1D(8)
    found = encoding(torch.zeros(1, length, dtype=torch.bool))
    expected = encoding.encode(torch.arange(1, length + 1)[None] / length)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def maps() -> torch.Tensor:
    """(2,5,7), True on padding: all valid, and 3 x 4 valid."""
    mask = torch.zeros(2, 5, 7, dtype=torch.bool)
    mask[1, 3:] = True
    mask[1, :, 4:] = True
    return mask


CONFIG = dict(num_feats=8, normalize=True, offset=-0.5)


def test_two_dimensions_are_mmdets_where_valid_and_zero_on_padding():
    mask = maps()
    found, oracle = MaskedSinePositionalEncoding(**CONFIG)(mask), SinePositionalEncoding(**CONFIG)(mask)
    padded = mask[:, None].expand_as(found)
    assert torch.equal(found[~padded], oracle[~padded])
    assert (found[padded] == 0).all()
    assert (oracle[padded] != 0).any()  # what would leak


def test_no_mask_is_a_mask_of_nothing():
    encoding = MaskedSinePositionalEncoding(**CONFIG)
    found = encoding(None, torch.empty(2, 3, 5, 7))
    torch.testing.assert_close(found, encoding(torch.zeros(2, 5, 7, dtype=torch.bool)), rtol=0, atol=1e-6)
