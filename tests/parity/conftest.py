"""The official weights in our model: built once, for all tests of a text depth."""

from functools import cache

import official
import pytest
from torch import nn

load = cache(official.load)


@pytest.fixture(scope='session')
def referformer() -> nn.Module:
    """The model with two of the twelve text layers: quicker, and no less of our code."""
    return load(2)


@pytest.fixture(scope='session', params=[2, pytest.param(12, marks=pytest.mark.slow)])
def text_layers(request: pytest.FixtureRequest) -> int:
    """Depth of the text encoder; the official one is 12."""
    return request.param


@pytest.fixture(scope='session')
def referformer_of_depth(text_layers: int) -> nn.Module:
    """The model of that depth."""
    return load(text_layers)
