"""A run that is killed or stopped, and resumed, ends where one ends that was left alone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from runs import ROOT, At, Killed, Losses, by_epochs, kill, run, tiny_config, weights, without_validation

from ifirvos.checkpoint import load_checkpoint
from ifirvos.training import DrawSampler
from ifirvos.training.loops import ResumableLoop


def terminate(runner):
    os.kill(os.getpid(), signal.SIGTERM)


class InValidation(Hook):
    """Calls something within the first validation, and keeps the iterations at which one was run to its end."""

    priority = 'VERY_HIGH'

    def __init__(self, action) -> None:
        self.action, self.validations = action, []

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.action(runner)

    def after_val_epoch(self, runner, metrics=None) -> None:
        if metrics:
            self.validations.append(runner.iter)


def assert_same(first: dict, second: dict, tolerance: float = 0):
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=tolerance, msg=name)


LOOPS = [
    ('iterations', 0),
    ('epochs', 2),
    pytest.param('iterations', 2, marks=pytest.mark.slow),
    pytest.param('epochs', 0, marks=pytest.mark.slow),
]


def six_iterations(data_root, loop: str, workers: int):
    """Of two epochs where it goes by epochs."""
    cfg = without_validation(tiny_config(data_root))
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    return cfg if loop == 'iterations' else by_epochs(cfg, 2)


@pytest.fixture(scope='module')
def whole_run(data_root, tmp_path_factory):
    """Runs six iterations without a stop, once: the losses, the final weights, and the folder."""

    @cache
    def whole(loop: str, workers: int) -> tuple[list, dict, Path]:
        folder, losses = tmp_path_factory.mktemp('whole'), Losses()
        expected = weights(run(six_iterations(data_root, loop, workers), folder, losses))
        assert len(losses.values) == 6
        return losses.values, expected, folder

    return whole


@pytest.mark.parametrize(('loop', 'workers'), LOOPS)
def test_killed_and_resumed(loop, workers, data_root, whole_run, tmp_path):
    cfg = six_iterations(data_root, loop, workers)
    losses, expected, whole = whole_run(loop, workers)
    before, after = Losses(), Losses()
    with pytest.raises(Killed):
        run(cfg, tmp_path / 'cut', before, At(4, kill))
    start = 3 if loop == 'epochs' else 4  # the last checkpoint
    resumed = weights(run(cfg, tmp_path / 'cut', after, resume=True))
    assert before.values == losses[:4]
    assert after.values == losses[start:]
    assert_same(expected, resumed, 1e-6)
    untouched = load_checkpoint(whole / ('epoch_1.pth' if start == 3 else 'iter_5.pth'))['state_dict']
    assert not all(torch.equal(untouched[name], value) for name, value in resumed.items()), 'it trained on'


@pytest.mark.parametrize(('loop', 'workers'), LOOPS)
def test_sigterm_saves_in_the_middle_of_an_epoch_and_exits_with_0(loop, workers, data_root, whole_run, tmp_path):
    cfg = six_iterations(data_root, loop, workers)
    cfg.default_hooks.checkpoint.interval = 100
    before, after = Losses(), Losses()
    losses, expected, _ = whole_run(loop, workers)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        run(cfg, tmp_path / 'cut', before, At(1, terminate))
    assert stop.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (tmp_path / 'cut/last_checkpoint').read_text() == str(tmp_path / 'cut/interrupted.pth')
    assert load_checkpoint(tmp_path / 'cut/interrupted.pth')['meta']['iter'] == 2, 'the iteration was finished'
    assert_same(expected, weights(run(cfg, tmp_path / 'cut', after, resume=True)), 1e-6)
    assert before.values + after.values == losses


def test_averaged_weights_are_resumed(data_root, tmp_path):
    cfg = without_validation(tiny_config(data_root))
    cfg.default_hooks.ema = dict(type='EMAHook', momentum=0.1)
    run(cfg, tmp_path / 'whole')
    with pytest.raises(Killed):
        run(cfg, tmp_path / 'cut', At(3, kill))
    run(cfg, tmp_path / 'cut', resume=True)
    whole, cut = (load_checkpoint(tmp_path / name / 'iter_6.pth') for name in ('whole', 'cut'))
    assert_same(whole['state_dict'], cut['state_dict'], 1e-6)
    assert_same(whole['ema_state_dict'], cut['ema_state_dict'], 1e-6)
    name = 'query_embedding.weight'
    assert not torch.equal(whole['state_dict'][name], whole['ema_state_dict'][f'module.{name}'])


def test_sigterm_waits_for_the_accumulated_gradient(data_root, tmp_path):
    cfg = without_validation(tiny_config(data_root))
    cfg.optim_wrapper.accumulative_counts = 3
    cfg.default_hooks.checkpoint.interval = 100
    expected = weights(run(cfg, tmp_path / 'whole'))
    with pytest.raises(SystemExit):
        run(cfg, tmp_path / 'cut', At(0, terminate))
    assert load_checkpoint(tmp_path / 'cut/interrupted.pth')['meta']['iter'] == 3
    assert_same(expected, weights(run(cfg, tmp_path / 'cut', resume=True)), 1e-6)


def test_an_epoch_of_another_length_is_begun_anew(data_root, tmp_path):
    cfg = by_epochs(without_validation(tiny_config(data_root)), 1)
    with pytest.raises(SystemExit):
        run(cfg, tmp_path, At(1, terminate))
    losses = Losses()
    cfg.train_dataloader.batch_size = 3
    run(cfg, tmp_path, losses, resume=True)
    assert len(losses.values) == 2


def test_data_do_not_depend_on_the_number_of_workers(data_root, tmp_path):
    cfg = without_validation(tiny_config(data_root))
    runs = [Losses(), Losses()]
    run(cfg, tmp_path / '0', runs[0], train_cfg__max_iters=3)
    run(cfg, tmp_path / '2', runs[1], train_cfg__max_iters=3, train_dataloader__num_workers=2)
    assert runs[0].values == runs[1].values
    assert len(set(runs[0].values)) == 3


def test_a_batch_sampler_is_refused(data_root, tmp_path):
    cfg = without_validation(tiny_config(data_root))
    cfg.train_dataloader.batch_sampler = dict(type='AspectRatioBatchSampler')
    with pytest.raises(ValueError, match='batch_sampler'):
        run(cfg, tmp_path)


def test_a_sampler_without_an_end_is_refused(data_root, tmp_path, monkeypatch):
    """mmengine's gives its indices once: the second pass over the data would be awaited for ever."""
    cfg = without_validation(tiny_config(data_root))
    cfg.train_dataloader.sampler.type = 'InfiniteSampler'
    with pytest.raises(ValueError, match='DefaultSampler'):
        run(cfg, tmp_path)
    monkeypatch.setattr(DrawSampler, '__iter__', once(DrawSampler.__iter__))
    with pytest.raises(ValueError, match='no batch in pass 2'):
        run(without_validation(tiny_config(data_root)), tmp_path)


def once(function):
    calls = iter([function])
    return lambda self: next(calls, lambda _: iter(()))(self)


def test_missing_masks_are_said_before_the_first_iteration(data_root, tmp_path):
    shutil.copytree(data_root, tmp_path / 'data')
    next((tmp_path / 'data/valid/Annotations').rglob('*.png')).unlink()
    cfg = tiny_config(tmp_path / 'data')
    with pytest.raises(FileNotFoundError, match='which RVOSMetric compares with'):
        run(cfg, tmp_path, At(0, kill))


def test_the_end_of_training_is_validated_whatever_the_interval():
    loop = SimpleNamespace(
        dynamic_milestones=[0], dynamic_intervals=[3], val_begin=2, runner=SimpleNamespace(val_loop=object())
    )
    assert [number for number in range(1, 8) if ResumableLoop._is_due(loop, number, 7)] == [3, 6, 7]


def test_a_validation_that_is_stopped_is_run_again(data_root, tmp_path):
    """With averaged weights, which the model wears while it is validated."""
    cfg = tiny_config(data_root)
    cfg.default_hooks.ema = dict(type='EMAHook', momentum=0.1)
    cfg.train_cfg.update(max_iters=2, val_interval=1)
    run(cfg, tmp_path / 'whole')
    with pytest.raises(SystemExit) as stop:
        run(cfg, tmp_path / 'cut', InValidation(terminate))
    assert stop.value.code == 0
    assert load_checkpoint(tmp_path / 'cut/interrupted.pth')['meta']['iter'] == 1
    resumed = InValidation(lambda runner: None)
    run(cfg, tmp_path / 'cut', resumed, resume=True)
    assert resumed.validations == [1, 2]
    whole, cut = (load_checkpoint(tmp_path / name / 'iter_2.pth') for name in ('whole', 'cut'))
    assert_same(whole['state_dict'], cut['state_dict'], 1e-6)
    assert_same(whole['ema_state_dict'], cut['ema_state_dict'], 1e-6)


@pytest.mark.parametrize('loop', ['iterations', 'epochs'])
@pytest.mark.parametrize(('where', 'after'), [('last iteration', [2]), ('validation', [1, 2]), ('behind it', [2])])
def test_every_validation_is_run_once(loop, where, after, data_root, tmp_path):
    """Stopped in the last iteration, killed within the first validation, or in the iteration behind it."""
    cfg = tiny_config(data_root)
    cfg.train_cfg.update(max_iters=2, val_interval=1)
    if loop == 'epochs':
        cfg = by_epochs(cfg, 2)
        cfg.train_cfg.val_interval = 1
    iterations = [1, 2] if loop == 'iterations' else [3, 6]
    last, behind = (1, 1) if loop == 'iterations' else (5, 3)
    hook = {
        'last iteration': At(last, terminate),
        'validation': InValidation(kill),
        'behind it': At(behind, kill),
    }[where]
    with pytest.raises(SystemExit if where == 'last iteration' else Killed):
        run(cfg, tmp_path, hook)
    resumed = InValidation(lambda runner: None)
    run(cfg, tmp_path, resumed, resume=True)
    assert resumed.validations == [iterations[number - 1] for number in after]


@pytest.mark.slow
def test_a_process_that_is_killed_for_good(data_root, tmp_path):
    """tools/train.py under SIGKILL, with workers; then --resume."""
    cfg = without_validation(tiny_config(data_root))
    cfg.train_dataloader.num_workers = 2
    cfg.train_cfg.max_iters = 40
    cfg.dump(str(tmp_path / 'tiny.py'))
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(tmp_path / 'tiny.py'), '--resume', '--work-dir']
    subprocess.run([*command, str(tmp_path / 'whole')], check=True, capture_output=True)
    process = subprocess.Popen([*command, str(tmp_path / 'cut')], stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list((tmp_path / 'cut').glob('iter_7.pth')):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    resumed = subprocess.run([*command, str(tmp_path / 'cut')], check=True, capture_output=True, text=True)
    assert 'resumed epoch: 0, iter: ' in resumed.stdout
    whole, cut = (load_checkpoint(tmp_path / name / 'iter_40.pth')['state_dict'] for name in ('whole', 'cut'))
    assert_same(whole, cut, 1e-6)


@pytest.mark.slow
def test_sigterm_to_all_processes_of_a_run(data_root, tmp_path):
    """The workers die of it at once."""
    cfg = without_validation(tiny_config(data_root))
    cfg.train_dataloader.num_workers = 2
    cfg.train_cfg.max_iters = 400
    cfg.dump(str(tmp_path / 'tiny.py'))
    command = [
        sys.executable,
        str(ROOT / 'tools/train.py'),
        str(tmp_path / 'tiny.py'),
        '--work-dir',
        str(tmp_path / 'w'),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list((tmp_path / 'w').glob('iter_2.pth')):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait() == 0
    assert 2 <= load_checkpoint(tmp_path / 'w/interrupted.pth')['meta']['iter'] < 400
