"""A hook for configs of tests: one process of several is sent SIGTERM in the middle of an epoch."""

import os
import signal

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module(force=True)
class SigtermInOneProcess(Hook):
    """In rank 1, during iteration ``at`` (counted from 0)."""

    def __init__(self, at: int) -> None:
        self.at = at

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        if runner.rank == 1 and runner.iter == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
