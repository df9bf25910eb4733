"""The data set that the runs share, and a checkpoint reader like that of the tools."""

import os

import pytest
from mmengine.runner import CheckpointLoader

from ifirvos.checkpoint import make_runners_load_safely
from ifirvos.testing import write_demo_dataset


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    return write_demo_dataset(tmp_path_factory.mktemp('training') / 'data', num_clips=3)


@pytest.fixture(scope='module', autouse=True)
def _load_safely():
    loader = CheckpointLoader._schemes['']
    make_runners_load_safely()
    yield
    os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)
    CheckpointLoader.register_scheme('', loader, force=True)
