"""The official weights in our model."""

import official
import pytest
from torch import nn


@pytest.fixture(scope='module')
def referformer() -> nn.Module:
    """The model with two of the twelve text layers: quicker, and no less of our code."""
    return official.load(2)


@pytest.fixture(scope='module', params=[2, pytest.param(12, marks=pytest.mark.slow)])
def text_layers(request: pytest.FixtureRequest) -> int:
    """Depth of the text encoder; the official one is 12."""
    return request.param
