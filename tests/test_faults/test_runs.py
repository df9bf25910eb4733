"""Runs: two in one work directory, a data worker that is killed, an evaluation that fails near its end, a soak."""

import json
import multiprocessing
import os
import signal
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from faults import error_in_child, in_child, wait
from mmengine.config import Config
from runs import ROOT, At, run, tiny_config, without_validation

from ifirvos.errors import InputError, WorkerError
from ifirvos.evaluation.submission.files import check_submission
from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.testing import shrink, write_demo_dataset
from ifirvos.training.loops import ResumableLoop, raise_worker_problem
from ifirvos.training.work_dir import claimed
from ifirvos_cli import synth

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_evaluation/test_submission'))
from test_loop import Model, Stopped, submit


def test_a_work_directory_belongs_to_one_run(tmp_path):
    def hold() -> None:
        with claimed(tmp_path / 'work'):
            (tmp_path / 'held').touch()
            time.sleep(60)

    first = in_child(hold)
    deadline = time.monotonic() + 20
    while not (tmp_path / 'held').exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with (
        pytest.raises(InputError, match=rf'Another run \(process {first} on .*another --work-dir'),
        claimed(tmp_path / 'work'),
    ):
        pass
    os.kill(first, signal.SIGKILL)
    wait(first)
    with claimed(tmp_path / 'work'):  # the system has let go of it
        assert 'Another run' in error_in_child(lambda: claimed(tmp_path / 'work').__enter__())
    assert error_in_child(lambda: claimed(tmp_path / 'work').__enter__()) == ''


def test_workers_of_a_process_in_which_opencv_has_threads(tmp_path):
    """A fork leaves them behind, and the worker must not wait for them."""

    def work() -> None:
        os.setsid()
        signal.alarm(60)
        cv2.setNumThreads(2)
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 5)
        synth.main(['--out', str(tmp_path / 'data'), '--splits', 'train', '--train', '2', '--workers', '2'])

    child = in_child(work)
    code = wait(child)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # workers that wait for ever
    assert code == 0
    assert (tmp_path / 'data/synth_rvos.json').is_file()


CAUGHT = 'Caught {} in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n'


@pytest.mark.parametrize(
    ('error', 'died'),
    [
        (RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '), True),
        (ConnectionResetError(104, 'Connection reset by peer'), True),  # while it handed a batch over
        (EOFError(), True),
        (RuntimeError(CAUGHT.format('RuntimeError')), False),
        (EOFError(CAUGHT.format('EOFError')), False),
        (FileNotFoundError(2, 'No such file or directory'), False),
    ],
)
def test_what_the_death_of_a_data_worker_looks_like(error, died):
    """And what it does not: an error of its own, which is handed over with its traceback."""
    with pytest.raises(WorkerError, match='--resume') if died else nullcontext():
        raise_worker_problem(error)


def test_a_pipe_that_breaks_because_of_a_signal_to_all_processes_stops_the_run(monkeypatch):
    """It saves then, as after any signal, and is no error."""

    def asked(runner, step) -> None:
        raise SystemExit(0)

    def broken():
        raise ConnectionResetError(104, 'Connection reset by peer')
        yield

    sampler = SimpleNamespace(set_seed=id, set_epoch=id, skip=id)
    batches = type(
        'Loader', (), dict(sampler=sampler, batch_size=1, __len__=lambda self: 2, __iter__=lambda self: broken())
    )()
    loop = SimpleNamespace(dataloader=batches, runner=SimpleNamespace(seed=0, _randomness_cfg={}, hooks=[]), _iter=1)
    with pytest.raises(WorkerError):
        next(ResumableLoop._batches(loop, 0, 0))
    monkeypatch.setattr('ifirvos.training.loops.stop_if_asked', asked)
    with pytest.raises(SystemExit):
        next(ResumableLoop._batches(loop, 0, 0))


@pytest.mark.slow
def test_a_data_worker_that_is_killed(tmp_path):
    """Not a traceback of sixty lines but what to do, and the run goes on from its checkpoint."""
    cfg = without_validation(tiny_config(write_demo_dataset(tmp_path / 'data', num_clips=3)))
    cfg.train_dataloader.num_workers = 2
    cfg.train_cfg.max_iters = 30

    def kill_workers(runner) -> None:
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL)

    # Again and again: a worker that has handed over all it was asked for may be gone.
    killers = [At(step, kill_workers) for step in range(2, 20)]
    with pytest.raises(
        WorkerError, match=r'ended from outside \(.*(killed by signal|exited unexpectedly).*--resume'
    ) as caught:
        run(cfg, tmp_path / 'work', *killers)
    assert '\n' not in str(caught.value)
    assert (tmp_path / 'work/last_checkpoint').is_file()
    assert run(cfg, tmp_path / 'work', resume=True, train_cfg__max_iters=22).iter == 22


@pytest.mark.slow
def test_an_evaluation_that_fails_at_clip_499_of_500_keeps_498(tmp_path):
    frames = tmp_path / 'data/valid/JPEGImages/v'
    frames.mkdir(parents=True)
    cv2.imwrite(str(frames / '00000.jpg'), np.zeros((8, 8, 3), np.uint8))
    asked = {str(number): dict(exp=f'thing {number}') for number in range(500)}
    file = tmp_path / 'data/meta_expressions/valid/meta_expressions.json'
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(dict(videos=dict(v=dict(frames=['00000'], expressions=asked)))))
    with pytest.raises(Stopped):
        submit(Model(limit=498), str(tmp_path / 'data'), tmp_path, overwrite=False)
    assert len(list((tmp_path / 'sub/Annotations/v').iterdir())) == 498
    rest = Model()
    submit(rest, str(tmp_path / 'data'), tmp_path, overwrite=False)
    assert len(rest.seen) == 2
    assert list(check_submission(tmp_path / 'sub.zip', {('v', exp): ['00000'] for exp in asked})) == []


@pytest.mark.slow
def test_a_soak_of_200_inferences_keeps_its_memory(record_property):
    """Resident memory after 200, against that after the first 40: less than 2 % more."""
    config = Config.fromfile(ROOT / 'configs/ifirvos/r18_synth.py')
    inferencer = RVOSInferencer(shrink(config), device='cpu', show_progress=False)
    frames = np.random.default_rng(0).integers(0, 255, (6, 64, 96, 3), np.uint8)
    sizes = []
    for _ in range(200):
        inferencer(frames, ['the red circle', 'the blue square'])
        sizes.append(resident())
    assert sizes[-1] < 1.02 * sizes[39], f'{sizes[39]} MiB after 40, {sizes[-1]} MiB after 200'
    record_property('resident_mib', [sizes[39], sizes[-1]])


def resident() -> float:
    """MiB of this process."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return round(pages * os.sysconf('SC_PAGE_SIZE') / 2**20, 1)
