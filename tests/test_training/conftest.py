"""The data set that the runs share, and a checkpoint reader like that of the tools."""

import pytest
from loader_state import loader_restored

from ifirvos.checkpoint import make_runners_load_safely
from ifirvos.testing import write_demo_dataset


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    return write_demo_dataset(tmp_path_factory.mktemp('training') / 'data', num_clips=3)


@pytest.fixture(scope='module', autouse=True)
def _load_safely():
    with loader_restored():
        make_runners_load_safely()
        yield
