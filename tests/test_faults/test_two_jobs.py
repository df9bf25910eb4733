"""Two jobs at once in one output folder: the second is refused, or both results are whole."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faults import error_in_child, in_child, wait
from left_half import LeftHalf

import ifirvos_cli
from ifirvos.evaluation.submission import SubmissionWriter
from ifirvos.inference import folders
from ifirvos.inference.folders import RESULT_FILE, staged_folders
from ifirvos.video.writer import VideoWriter
from ifirvos_cli.test import claimed_outputs


@pytest.fixture
def two_jobs(tmp_path, monkeypatch):
    """Runs a command, and in its middle the same once more; returns both exit codes, the second's first."""
    with VideoWriter(tmp_path / 'clip.mp4', 12) as writer:
        for _ in range(4):
            writer.write(np.zeros((48, 64, 3), np.uint8))

    def run(*options: str) -> list[int]:
        command, codes = ['infer', str(tmp_path / 'clip.mp4'), 'a star', '--out', str(tmp_path / 'out'), *options], []

        class Beside(LeftHalf):
            def stream(self, *args, **kwargs):
                for t, window in enumerate(super().stream(*args, **kwargs)):
                    if t == 2:
                        monkeypatch.setattr('ifirvos.inference.inferencer.RVOSInferencer', LeftHalf)
                        codes.append(ifirvos_cli.main(command))
                    yield window

        monkeypatch.setattr('ifirvos.inference.inferencer.RVOSInferencer', Beside)
        return [ifirvos_cli.main(command), *codes][::-1]

    return run


def test_infer_without_overwriting(two_jobs, tmp_path, capsys):
    """Whoever is ready first has it."""
    assert two_jobs() == [0, 2]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    assert 'a-star exists; pass --overwrite' in errors[0]
    whole(tmp_path / 'out')


def test_infer_overwriting(two_jobs, tmp_path):
    assert two_jobs() == [0, 2]
    assert two_jobs('--overwrite') == [0, 0]
    whole(tmp_path / 'out')


def whole(out: Path) -> None:
    assert [path.name for path in out.iterdir()] == ['a-star'], 'nothing unfinished is left'
    assert len(list((out / 'a-star/masks').iterdir())) == 4


def test_results_that_replace_each_other_are_whole(tmp_path):
    results = [tmp_path / 'a', tmp_path / 'b']

    def replace(job: str) -> None:
        for number in range(200):
            with staged_folders(results, overwrite=True) as staged:
                for folder in staged:
                    (folder / RESULT_FILE).write_text(f'{job} {number}')

    jobs = [in_child(lambda job=job: replace(job)) for job in ('first', 'second')]
    assert [wait(job) for job in jobs] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a', 'b']
    last = {(folder / RESULT_FILE).read_text() for folder in results}
    assert len(last) == 1
    assert last <= {'first 199', 'second 199'}


def test_results_that_are_being_replaced_are_no_others(tmp_path):
    """Between its two renames a job leaves a name without a result: another waits before it looks."""
    folder, half_done = tmp_path / 'a', threading.Event()
    folder.mkdir()
    (folder / RESULT_FILE).write_text('first')

    def replace() -> None:
        with folders.alone_in(tmp_path):
            (folder / RESULT_FILE).rename(tmp_path / 'aside')
            half_done.set()
            time.sleep(0.3)
            (tmp_path / 'aside').rename(folder / RESULT_FILE)

    with ThreadPoolExecutor(1) as beside:
        job = beside.submit(replace)
        assert half_done.wait(60)
        folders.check_free([folder], overwrite=True)
        job.result()


def test_evaluations_and_submissions(tmp_path):
    """Two that begin within a second have one folder; a submission's stays the same."""

    def evaluation(log_dir: str, out_dir: str) -> SimpleNamespace:
        metrics = [SimpleNamespace(), SubmissionWriter(out_dir=str(tmp_path / out_dir))]
        return SimpleNamespace(log_dir=str(tmp_path / log_dir), test_evaluator=SimpleNamespace(metrics=metrics))

    def error_of(runner: SimpleNamespace) -> str:
        return error_in_child(lambda: ExitStack().enter_context(claimed_outputs(runner)))

    with claimed_outputs(evaluation('one', 'sub')):
        who = f'InputError: Another run (process {os.getpid()} on'
        same_second, same_submission = error_of(evaluation('one', 'other')), error_of(evaluation('two', 'sub'))
        assert same_second.startswith(who)
        assert same_second.endswith(
            f'is writing to {tmp_path}/one: wait for its end, or give this one another --work-dir.'
        )
        assert same_submission.startswith(who)
        assert same_submission.endswith('give this one another out_dir of the evaluator.')
        assert error_of(evaluation('two', 'other')) == ''
    assert error_of(evaluation('one', 'sub')) == ''
    assert not list((tmp_path / 'sub').iterdir()), 'a server takes nothing but masks'
