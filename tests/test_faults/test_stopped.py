"""Ctrl-C and SIGTERM in the middle: one word and no traceback, nothing begun is left, the same command finishes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ablation_configs import arguments, write_configs
from left_half import LeftHalf
from loader_state import loader_restored
from runs import ROOT, At, run, tiny_config, without_validation
from tool_scripts import load_tool

import ifirvos_cli
from ifirvos.checkpoint import load_checkpoint
from ifirvos.testing import write_demo_dataset
from ifirvos.training.ablation.machine import Machine
from ifirvos.training.loops import ResumableLoop
from ifirvos.video.writer import VideoWriter
from ifirvos_cli.common import reported

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def _process_state():
    """Signals are heeded, whatever the tests were started by; and what ``train`` sets for its process is undone."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in CODES}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with loader_restored():
        yield
    for number, handler in before.items():
        signal.signal(number, handler)


def told(capsys) -> str:
    """Return what a command has said on stderr, which holds no traceback."""
    text = capsys.readouterr().err
    assert 'Traceback' not in text
    assert 'Error' not in text
    return text.splitlines()[-1]


@pytest.mark.parametrize('number', CODES)
def test_infer(number, tmp_path, monkeypatch, capsys):
    class StoppedAtThird(LeftHalf):
        def stream(self, *args, **kwargs):
            for t, window in enumerate(super().stream(*args, **kwargs)):
                if t == 3:
                    os.kill(os.getpid(), number)
                yield window

    with VideoWriter(tmp_path / 'clip.mp4', 12) as writer:
        for _ in range(6):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    command = ['infer', str(tmp_path / 'clip.mp4'), 'a star', 'a dog', '--out', str(tmp_path / 'out')]
    monkeypatch.setattr('ifirvos.inference.inferencer.RVOSInferencer', StoppedAtThird)
    assert ifirvos_cli.main(command) == CODES[number]
    assert told(capsys) == 'stopped'
    assert [path.name for path in tmp_path.iterdir()] == ['clip.mp4']
    monkeypatch.setattr('ifirvos.inference.inferencer.RVOSInferencer', LeftHalf)
    assert ifirvos_cli.main(command) == 0
    for name in ('a-star', 'a-dog'):
        assert json.loads((tmp_path / f'out/{name}/result.json').read_text())['num_frames'] == 6


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_train(number, code, tmp_path, monkeypatch, capsys):
    cfg = without_validation(tiny_config(write_demo_dataset(tmp_path / 'data', num_clips=1)))
    cfg.train_dataloader.dataset.indices = None
    cfg.default_hooks.checkpoint.interval = 100
    cfg.train_cfg.max_iters = 4
    cfg.dump(str(tmp_path / 'tiny.py'))
    run_iter = ResumableLoop.run_iter

    def stopped(loop, *args) -> None:
        if loop._iter == 1:
            os.kill(os.getpid(), number)
        run_iter(loop, *args)

    command = ['train', str(tmp_path / 'tiny.py'), '--work-dir', str(tmp_path / 'work')]
    monkeypatch.setattr(ResumableLoop, 'run_iter', stopped)
    with pytest.raises(SystemExit) as stop:
        ifirvos_cli.main(command)
    assert stop.value.code == code
    output = capsys.readouterr()
    assert 'after 2 iterations. Go on with --resume.' in output.out + output.err
    assert 'Traceback' not in output.out + output.err
    assert load_checkpoint(tmp_path / 'work/interrupted.pth')['meta']['iter'] == 2
    monkeypatch.setattr(ResumableLoop, 'run_iter', run_iter)
    assert ifirvos_cli.main([*command, '--resume']) == 0
    assert load_checkpoint(tmp_path / 'work/iter_4.pth')['meta']['iter'] == 4
    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait_for_the_iteration(tmp_path):
    cfg = without_validation(tiny_config(write_demo_dataset(tmp_path / 'data', num_clips=1)))
    cfg.train_dataloader.dataset.indices = None
    passed = []

    def interrupt(runner) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            passed.append(runner.iter)

    with pytest.raises(KeyboardInterrupt):
        run(cfg, tmp_path / 'work', At(1, interrupt))
    assert passed == [1]
    assert not (tmp_path / 'work/interrupted.pth').exists()


@pytest.mark.slow
def test_ablate(tmp_path, monkeypatch, capsys):
    """The run that is going on saves first."""
    ablate = load_tool('analysis_tools/ablate.py')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    configs = write_configs(tmp_path, str(write_demo_dataset(tmp_path / 'data', num_clips=5)))
    out = tmp_path / 'out'
    given = arguments(configs, '--out', str(out))
    stage = given[given.index('--stages') + 1]
    command = [stage, '--stages', stage, '--out', str(out), '--steps', '12', '--per-kind', '1']
    command += ['--set', 'default_hooks.checkpoint.interval=4']  # each takes a second

    def interrupt() -> None:
        while not list(out.glob('*/seed42/stage1/iter_*.pth')):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    call = Machine.call
    watcher = threading.Thread(target=interrupt, daemon=True)
    monkeypatch.setattr(Machine, 'call', lambda *args: (watcher.start(), call(*args)))
    assert reported(lambda: ablate.main(command)) == 130
    assert told(capsys) == 'stopped: the same command goes on where it was'
    assert list(out.glob('*/seed42/stage1/interrupted.pth'))
    assert not list(out.glob('*/seed42/stage1/iter_12.pth'))
    assert not (out / 'table.md').exists()
    monkeypatch.setattr(Machine, 'call', call)
    assert reported(lambda: ablate.main(command)) == 0
    assert (out / 'table.md').is_file()
    assert 'resumed epoch: 0, iter: ' in next(out.glob('*/seed42/stage1.log')).read_text()


@pytest.mark.slow
def test_synth(tmp_path):
    """With workers, which Ctrl-C in a terminal reaches too."""
    out = tmp_path / 'synth'
    options = ['--splits', 'train', '--train', '40', '--frames', '12', '--size', '96', '144', '--workers', '2']
    command = [sys.executable, '-m', 'ifirvos_cli', 'synth', '--out', str(out), *options]
    for number, code in CODES.items():
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and not list(tmp_path.glob('.synth.part-*/synth/train/*/*/*')):
            time.sleep(0.01)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (code, 'stopped\n')
        assert not list(tmp_path.iterdir())
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (out / 'synth_rvos.json').is_file()
