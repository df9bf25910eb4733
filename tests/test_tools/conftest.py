"""Fixtures of several tests of tools."""

import os

import pytest
from mmengine.runner import CheckpointLoader


@pytest.fixture(scope='module')
def process_state():
    """The tools make all of their process load safely; the next test file has its own idea."""
    loader = CheckpointLoader._schemes['']
    yield
    os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)
    CheckpointLoader.register_scheme('', loader, force=True)
