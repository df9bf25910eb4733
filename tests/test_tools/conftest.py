"""Fixtures of several tests of tools."""

import pytest
from loader_state import loader_restored


@pytest.fixture(scope='module')
def process_state():
    """The tools make all of their process load safely."""
    with loader_restored():
        yield
