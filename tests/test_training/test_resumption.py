"""What differs from the checkpoint is said when a run is resumed, and what takes effect is what was said."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from runs import At, Killed, kill, run, tiny_config, without_validation

from ifirvos.errors import CheckpointError
from ifirvos.training.resumption import ResumeHook, differences, keeps_checkpoints
from ifirvos_cli import train


def log_of(runner) -> str:
    with open(runner.logger._log_file, encoding='utf-8') as file:
        return file.read()


@pytest.fixture(scope='module')
def stopped(data_root, tmp_path_factory):
    """A run of six iterations that was killed before its fourth, under a rate of 1e-3 x (0.1 … 1)."""
    work_dir = tmp_path_factory.mktemp('stopped')
    with pytest.raises(Killed):
        run(without_validation(tiny_config(data_root)), work_dir, At(3, kill))
    return work_dir / 'iter_3.pth'


def resumed(data_root, work_dir, checkpoint, **changes):
    """The run, resumed, and the rate of its first iteration."""
    cfg = without_validation(tiny_config(data_root))
    cfg.load_from = str(checkpoint)
    rates = []
    look = At(3, lambda runner: rates.extend(runner.optim_wrapper.get_lr()['lr'][:1]))
    return run(cfg, work_dir, look, resume=True, **changes), rates[0]


SCHEDULE = [0.1 + 0.9 * step / 5 for step in range(6)]  # the last of 6 steps has the full rate


def test_without_a_difference_nothing_is_warned_of(data_root, tmp_path, stopped):
    runner, rate = resumed(data_root, tmp_path, stopped)
    assert rate == pytest.approx(1e-3 * SCHEDULE[3])
    assert 'Resumed: model, data and schedule are those of the checkpoint.' in log_of(runner)
    assert 'Resumed with' not in log_of(runner)


def test_a_rate_of_the_command_does_not_take_effect_and_more_steps_do(data_root, tmp_path, stopped):
    changes = dict(optim_wrapper__optimizer__lr=1e-2, train_cfg__max_iters=7, train_dataloader__batch_size=3)
    runner, rate = resumed(data_root, tmp_path, stopped, **changes)
    assert rate == pytest.approx(1e-3 * SCHEDULE[3])
    assert runner.iter == 7
    log = log_of(runner)
    assert (
        "optim_wrapper.optimizer.lr: 0.001 in the checkpoint, 0.01 here: the checkpoint's stays (--reset-optimizer"
        in log
    )
    assert 'train_cfg.max_iters: 6 in the checkpoint, 7 here: the new one takes effect' in log
    assert 'WARNING - Resumed with 3 clips a step (1 processes with 3 each); the checkpoint was trained with 2' in log


def test_a_reset_optimizer_has_the_new_rate_where_its_schedule_stands(data_root, tmp_path, stopped):
    changes = dict(optim_wrapper__optimizer__lr=1e-2, default_hooks__resumption__reset_optimizer=True)
    runner, rate = resumed(data_root, tmp_path, stopped, **changes)
    assert rate == pytest.approx(1e-2 * SCHEDULE[3])
    steps = {int(state['step']) for state in runner.optim_wrapper.optimizer.state.values()}
    assert steps == {3}, 'no momenta of the checkpoint'
    assert 'optim_wrapper.optimizer.lr: 0.001 in the checkpoint, 0.01 here: the new one takes effect' in log_of(runner)


def test_a_reset_schedule_goes_on_by_epochs_or_by_iterations():
    hook = ResumeHook(reset_optimizer=True)
    hook._resumed = True
    schedulers = [Mock(by_epoch=True), Mock(by_epoch=False)]
    hook.before_train(SimpleNamespace(param_schedulers=schedulers, epoch=2, iter=6))
    assert [scheduler.step.call_count for scheduler in schedulers] == [2, 6]


def test_differences_of_configs():
    before = dict(
        model=dict(a=1, layers=[dict(b=1), dict(b=2)], backbone=dict(init_cfg='x')),
        param_scheduler=[dict(milestones=[3, 5])],
        work_dir='old',
    )
    now = dict(
        model=dict(a=1, layers=(dict(b=1), dict(b=3)), backbone=dict(init_cfg=None), new=True),
        param_scheduler=[dict(milestones=[3])],
        work_dir='new',
    )
    assert differences(before, before) == []
    assert differences(before, now) == [
        ('model.layers.1.b', 2, 3),
        ('model.new', 'nothing', True),
        ('param_scheduler.0.milestones', [3, 5], [3]),
    ]
    kept = ['param_scheduler.0.milestones', 'optim_wrapper.optimizer.weight_decay', 'optim_wrapper.paramwise_cfg.x']
    assert all(map(keeps_checkpoints, kept))
    assert not any(map(keeps_checkpoints, ['optim_wrapper.clip_grad.max_norm', 'model.a', 'train_cfg.max_epochs']))


def test_reset_optimizer_is_for_resuming_alone(data_root, tmp_path):
    tiny_config(data_root).dump(str(tmp_path / 'tiny.py'))
    arguments = [str(tmp_path / 'tiny.py'), '--work-dir', str(tmp_path), '--reset-optimizer']
    with pytest.raises(SystemExit, match='--reset-optimizer is for --resume'):
        train.load_config(train.parse_args(arguments))
    cfg = train.load_config(train.parse_args([*arguments, '--resume']))
    assert cfg.default_hooks.resumption.reset_optimizer is True


def test_other_groups_of_parameters(data_root, tmp_path):
    """mmengine would raise without a word of what to do."""
    cfg = without_validation(tiny_config(data_root))
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'text_encoder': dict(lr_mult=0.5)})
    ways = {name: dict(optim_wrapper__constructor=f'{name}OptimWrapperConstructor') for name in ('Grouped', 'Default')}
    for name, way in ways.items():
        with pytest.raises(Killed):
            run(cfg, tmp_path / name, At(3, kill), **way)
    advice = {'Grouped': 'exactly: .*constructor=Default', 'Default': 'exactly: the optim_wrapper.*--reset-optimizer'}
    other = {'Grouped': 'Default', 'Default': 'Grouped'}
    for name, way in ways.items():
        cfg.load_from = str(tmp_path / other[name] / 'iter_3.pth')
        with pytest.raises(CheckpointError, match=advice[name]):
            run(cfg, tmp_path / f'{name}_on', resume=True, **way)
        cfg.load_from = str(tmp_path / name / 'iter_3.pth')
        assert run(cfg, tmp_path / f'{name}_on', resume=True, **way).iter == 6


def test_other_options_of_parameters_in_groups_of_the_same_size(data_root, tmp_path):
    """The state is by position: a rate of another weight would move the momenta of all that follow."""
    cfg = without_validation(tiny_config(data_root))
    cfg.optim_wrapper.update(
        constructor='GroupedOptimWrapperConstructor', paramwise_cfg=dict(custom_keys={'value_proj': dict(lr_mult=0.5)})
    )
    cfg.optim_wrapper.optimizer.weight_decay = 0.1
    with pytest.raises(Killed):
        run(cfg, tmp_path, At(3, kill))
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'output_proj': dict(lr_mult=0.5)})
    cfg.load_from = str(tmp_path / 'iter_3.pth')
    with pytest.raises(CheckpointError, match=r'groups of parameters \(2, here 2\)'):
        run(cfg, tmp_path, resume=True)
