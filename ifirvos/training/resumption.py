"""What a resumed run takes from the checkpoint, and what from the command: said, and chosen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ifirvos.errors import CheckpointError
from ifirvos.plain_config import plain_config
from ifirvos.registry import HOOKS

from .parameter_groups import DIGEST

# First keys of a config that decide what is learnt -> whether the checkpoint's own stays: its optimizer and its
# schedules keep their numbers in their state, which is restored.
COMPARED = {
    'model': False,
    'train_dataloader': False,
    'train_cfg': False,
    'optim_wrapper': False,
    'param_scheduler': True,
    'randomness': True,
}
_OF_OPTIMIZER = ('optim_wrapper.optimizer', 'optim_wrapper.paramwise_cfg')
# What resuming itself changes: weights that the checkpoint brings are not fetched.
_NO_DIFFERENCE = ('init_cfg', 'text_encoder.pretrained', 'text_encoder.config')
_SHOWN = 40
_MISSING = 'nothing'


@HOOKS.register_module()
class ResumeHook(Hook):
    """Lists what differs between a run that is resumed and the config in its checkpoint, each with what takes effect.

    mmengine takes rate, decay and schedule from the checkpoint, and says nothing where the config has others.

    Args:
        reset_optimizer: Leave the checkpoint's optimizer and schedules alone: those of the config begin, without
            momenta, where its schedule stands after so many iterations.
    """

    priority = 'VERY_LOW'

    def __init__(self, reset_optimizer: bool = False) -> None:
        self.reset_optimizer = reset_optimizer
        self._resumed = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, log, and take out what is not to be restored."""
        if not runner._resume:
            return
        self._resumed = True
        meta = checkpoint.get('meta') or {}
        self._compare(runner, meta)
        self._compare_batches(runner, meta)
        if self.reset_optimizer:
            runner.logger.info("--reset-optimizer: the checkpoint's optimizer and schedules are left out.")
            for key in ('optimizer', 'param_schedulers'):
                checkpoint.pop(key, None)
        _check_groups(runner, checkpoint.get('optimizer'))

    def before_train(self, runner: Runner) -> None:
        """Bring the config's own schedules to where the run stands."""
        if not (self._resumed and self.reset_optimizer):
            return
        schedulers = runner.param_schedulers
        for group in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
            for scheduler in group or ():
                with warnings.catch_warnings():  # mmengine's, of steps before the optimizer's first: there were some
                    warnings.filterwarnings('ignore', message='.*scheduler.step')
                    for _ in range(runner.epoch if scheduler.by_epoch else runner.iter):
                        scheduler.step()

    def _compare(self, runner: Runner, meta: Mapping) -> None:
        if 'cfg' not in meta:
            runner.logger.info('Resumed: the checkpoint holds no config to compare with.')
            return
        try:
            before = plain_config(meta['cfg']).to_dict()
        except CheckpointError as error:
            runner.logger.info(f'Resumed: not compared with the checkpoint. {error}')
            return
        found = differences(before, runner.cfg.to_dict())
        if not found:
            runner.logger.info('Resumed: model, data and schedule are those of the checkpoint.')
            return
        lines = [
            f'{key}: {_short(old)} in the checkpoint, {_short(new)} here: '
            + (f"the checkpoint's stays{self._advice(key)}" if self._stays(key) else 'the new one takes effect')
            for key, old, new in found[:_SHOWN]
        ]
        more = [f'… and {len(found) - _SHOWN} more'] if len(found) > _SHOWN else []
        level = logging.WARNING if any(self._stays(key) for key, _, _ in found) else logging.INFO
        runner.logger.log(level, 'Resumed with another config:\n  ' + '\n  '.join(lines + more))

    def _stays(self, key: str) -> bool:
        if key.startswith('randomness'):
            return True
        return keeps_checkpoints(key) and not self.reset_optimizer

    @staticmethod
    def _advice(key: str) -> str:
        return '' if key.startswith('randomness') else ' (--reset-optimizer takes the new one, without momenta)'

    def _compare_batches(self, runner: Runner, meta: Mapping) -> None:
        before = meta.get('run_info') or {}
        if not {'processes', 'batch_size'} <= before.keys():
            return
        then, now = (before['processes'], before['batch_size']), (get_world_size(), batch_size(runner))
        if now[1] is not None and then[0] * then[1] != now[0] * now[1]:
            runner.logger.warning(
                f'Resumed with {now[0] * now[1]} clips a step ({now[0]} processes with {now[1]} each); the checkpoint '
                f'was trained with {then[0] * then[1]} ({then[0]} with {then[1]}). The rate is not scaled, an epoch '
                'has another number of steps, and the run does not end with the same weights.'
            )
        elif now[1] is not None and then != now:
            runner.logger.info(
                f'Resumed on {now[0]} processes with {now[1]} clips each; the checkpoint was trained on {then[0]} with '
                f'{then[1]}: the same clips a step, but dropout draws other numbers.'
            )


def batch_size(runner: Runner) -> int | None:
    """Return the clips a step of one process, None where the config does not say."""
    loader = runner.cfg.get('train_dataloader') or {}
    return loader.get('batch_size')


def keeps_checkpoints(key: str) -> bool:
    """Return whether a value of the config is restored from the checkpoint when a run is resumed.

    Args:
        key: Dotted, as ``optim_wrapper.optimizer.lr``.
    """
    return COMPARED[key.split('.')[0]] or key.startswith(_OF_OPTIMIZER)


def _check_groups(runner: Runner, state: Mapping | None) -> None:
    """Refuse an optimizer's state whose groups of parameters are not those of the run, before mmengine loads it.

    The state is by position: loaded into other groups it would give momenta and rates to other parameters.
    """
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    if not isinstance(state, Mapping) or 'param_groups' not in state or optimizer is None:
        return
    before, now = (
        [(len(group['params']), group.get(DIGEST)) for group in groups]
        for groups in (state['param_groups'], optimizer.param_groups)
    )
    if before == now or sum(number for number, _ in before) != sum(number for number, _ in now):
        return  # other parameters altogether: torch says so
    if {number for number, _ in before} == {1}:
        way = '--cfg-options optim_wrapper.constructor=DefaultOptimWrapperConstructor'
    else:
        way = 'the optim_wrapper.constructor and optim_wrapper.paramwise_cfg it was trained with'
    without = 'load_from=CHECKPOINT in place of --resume' if runner.cfg.get('strategy') else '--reset-optimizer'
    raise CheckpointError(
        f'The checkpoint was trained with other groups of parameters ({len(before)}, here {len(now)}). To go on '
        f'exactly: {way}. To go on without its momenta: {without}.'
    )


def differences(before: Mapping, now: Mapping) -> list[tuple[str, Any, Any]]:
    """Return what differs of two configs in what decides what is learnt.

    Args:
        before: The config of the checkpoint.
        now: That of the run.

    Returns:
        Dotted key, old and new value of every difference; ``'nothing'`` where a config has no such key.
    """
    found = []
    for key in COMPARED:
        found += _leaves(key, before.get(key, _MISSING), now.get(key, _MISSING))
    return found


def _leaves(key: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if key.endswith(_NO_DIFFERENCE):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _leaves(f'{key}.{name}', old.get(name, _MISSING), new.get(name, _MISSING))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(f'{key}.{index}', one, other)
    elif _plain(old) != _plain(new):
        yield key, old, new


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:80] + '…'
