"""Which tests run: the fast ones by default, slow ones when ``-m`` names them, GPU ones where there is a GPU."""

import gc
import itertools
import os
from functools import cache

# Tests use no network: a hub name that was meant to be a local file then fails at once instead of downloading.
os.environ.setdefault('HF_HUB_OFFLINE', '1')

import mmengine.config.utils
import pytest
import torch
from mmengine.runner import Runner

import ifirvos  # noqa: F401  (mmcv.ops can be imported only after it, where the operators are not compiled)

# mmengine reads mmdet's hundred model lists anew for every config that inherits one of mmdet's, five sixths of the time
# that a config takes; the tests load some hundreds.
mmengine.config.utils.load = cache(mmengine.config.utils.load)


@pytest.fixture(scope='session', autouse=True)
def _short_runs():
    """mmengine lays a config out with yapf whenever it writes one, so for every checkpoint: nine tenths of a tiny run's
    time; and asks compilers for their versions, half of the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda code, **kwargs: (code, False))
        patch.setattr('mmengine.runner.runner.collect_env', lambda: dict(machine='a test'))
        yield


@pytest.fixture(scope='session', autouse=True)
def _names_of_runs():
    """mmengine keeps loggers, visualizers and scopes by the run's name for the life of a process, and names a run by
    config and second: of two runs of one config within a second, the later would write into the earlier one's log."""
    build, numbers = Runner.__init__, itertools.count()

    def named(runner, *args, experiment_name=None, **kwargs) -> None:
        build(runner, *args, experiment_name=f'{experiment_name or "run"}{next(numbers)}', **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, '__init__', named)
        yield


@pytest.fixture(scope='session', autouse=True)
def _processor():
    """One without units for bf16: what 'auto' takes must not depend on the machine that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('ifirvos.inference.precision._cpu_flags', set)
        yield


def pytest_collection_finish() -> None:
    """mmengine collects garbage whenever it builds a data set; what was imported need not be looked through."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips slow tests unless ``-m`` mentions them, and GPU tests where CUDA is missing."""
    without_slow = pytest.mark.skip(reason='slow: run it with -m slow')
    without_gpu = pytest.mark.skip(reason='needs a CUDA device')
    for item in items:
        if item.get_closest_marker('slow') and 'slow' not in config.getoption('markexpr'):
            item.add_marker(without_slow)
        if item.get_closest_marker('gpu') and not torch.cuda.is_available():
            item.add_marker(without_gpu)
