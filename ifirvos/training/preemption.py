"""Pre-emption: on SIGTERM, SIGHUP or Ctrl-C training saves a checkpoint and exits."""

import os.path as osp
import signal
import threading
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from ifirvos.files import write_whole
from ifirvos.registry import HOOKS

from .agreement import happened_anywhere
from .checkpointing import ATOMIC

CHECKPOINT = 'interrupted.pth'


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On a signal, finishes the iteration, saves ``interrupted.pth``, updates ``last_checkpoint``, and exits.

    The exit code is 0, after Ctrl-C (SIGINT) 130. A second Ctrl-C stops at once.

    ``--resume`` then continues exactly. With gradient accumulation it waits for the next update, because accumulated
    gradients are not in the checkpoint. A validation is aborted, and repeated when training is resumed.

    torchrun forwards a signal to its processes and kills them after 30 seconds; its own exit code is not 0. If only
    some of several machines get the signal during a validation, nothing is saved beyond the checkpoint before it. With
    FlexibleRunner a validation is finished first, because FSDP needs all processes to save.

    Args:
        signals: Names of the signals; one that the process ignores, as SIGINT in the background and SIGHUP under
            nohup, stays ignored.
    """

    priority = 'LOWEST'  # after everything that changes the state

    def __init__(self, signals: tuple[str, ...] = ('SIGTERM', 'SIGINT', 'SIGHUP')) -> None:
        self.signals = [getattr(signal, name) for name in signals if hasattr(signal, name)]  # Windows has no SIGHUP
        self.asked, self.code = False, 0
        self._before: dict = {}

    def before_train(self, runner: Runner) -> None:
        """Install the signal handlers."""
        self.asked, self.code = False, 0
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in self.signals if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heeded}

    def after_train(self, runner: Runner) -> None:
        """Restore the signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def happened(self) -> bool:
        """Return whether this process was asked to stop."""
        return self.asked

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        if number == signal.SIGINT:
            self.code = 128 + number
            signal.signal(number, self._before[number])
        # The data workers may have got the same signal: their end must not interrupt the current step.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Stop if any process was asked to."""
        agreed = happened_anywhere(runner, self)
        self.asked |= agreed  # asked here after the exchange: the next iteration's tells the others
        if agreed and (runner.iter + 1) % getattr(runner.optim_wrapper, '_accumulative_counts', 1) == 0:
            self.save_and_exit(runner, runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Abort a validation during training; no agreement among processes is needed."""
        if not self.asked or not self._before or type(runner) is not Runner:
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):  # the model has the averaged weights during validation
                hook.after_val_epoch(runner)
        self.save_and_exit(runner, runner.iter)

    def save_and_exit(self, runner: Runner, iterations: int) -> None:
        """Save the state after this many iterations and raise ``SystemExit``."""
        # FlexibleRunner only uses this as its position; both Runners add 1 for the finished iteration.
        runner.train_loop._iter = iterations - 1
        path = osp.join(runner.work_dir, CHECKPOINT)
        runner.save_checkpoint(
            runner.work_dir,
            CHECKPOINT,
            by_epoch=False,
            backend_args=dict(backend=ATOMIC),
        )
        if is_main_process():
            write_whole(osp.join(runner.work_dir, 'last_checkpoint'), path)
        runner.logger.info(f'Asked to stop: saved {path} after {iterations} iterations. Go on with --resume.')
        self.after_train(runner)
        raise SystemExit(self.code)


def stop_if_asked(runner: Runner, iterations: int) -> None:
    """Save and exit if a :class:`PreemptionHook` of the runner got a signal; for use between two iterations."""
    for hook in runner.hooks:
        if isinstance(hook, PreemptionHook) and hook.asked:
            hook.save_and_exit(runner, iterations)
