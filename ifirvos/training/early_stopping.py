"""Early stopping that goes on where it was when training is resumed."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from ifirvos.files import write_whole
from ifirvos.registry import HOOKS

STATE = 'early_stopping'  # in the message hub, and with .json in the work directory


@HOOKS.register_module()
class ResumableEarlyStopping(EarlyStoppingHook):
    """mmengine's EarlyStoppingHook, whose count of evaluations without a gain survives ``--resume``.

    The message hub holds it in every checkpoint. The checkpoint of an epoch is written before its validation, so the
    work directory also holds what that came to.

    Args:
        **kwargs: Arguments of mmengine's hook.
    """

    def before_run(self, runner: Runner) -> None:
        """Do nothing: mmengine's looks at the training loop, which reads the training set for an evaluation too."""

    def before_train(self, runner: Runner) -> None:
        """Restore the count, and that training was ended."""
        latest = [_read(Path(runner.work_dir) / f'{STATE}.json')]
        broadcast_object_list(latest)  # processes without a common disk must agree
        state = latest[0] if latest[0].get('iter') == runner.iter else runner.message_hub.runtime_info.get(STATE)
        if state and runner.iter:
            self.wait_count, self.best_score = state['wait_count'], state['best_score']
            # With other limits a run that was ended goes on.
            runner.train_loop.stop_training = state['stopped'] and state.get('limits', self._limits()) == self._limits()
            if runner.train_loop.stop_training:
                runner.logger.info('Training was ended early before: there is nothing left to do.')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Decide as mmengine does, and note it."""
        super().after_val_epoch(runner, metrics)
        state = dict(
            iter=runner.iter,
            wait_count=self.wait_count,
            best_score=float(self.best_score),
            stopped=bool(runner.train_loop.stop_training),
            limits=self._limits(),
        )
        runner.message_hub.update_info(STATE, state)
        if is_main_process():
            write_whole(Path(runner.work_dir) / f'{STATE}.json', json.dumps(state))

    def _limits(self) -> list[float | None]:
        return [self.patience, self.stopping_threshold]


def was_stopped_early(work_dir: str | Path, iteration: int) -> bool:
    """Return whether the hook ended training behind an iteration."""
    state = _read(Path(work_dir) / f'{STATE}.json')
    return bool(state.get('stopped')) and state['iter'] == iteration


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
