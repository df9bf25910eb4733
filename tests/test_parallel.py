"""Work shared out among processes."""

import os
import signal
import time

import pytest

from ifirvos import parallel
from ifirvos.errors import WorkerError
from ifirvos.parallel import map_forked


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_order_and_what_the_function_holds(workers):
    held = {'offset': 10}
    results = list(map_forked(lambda part: (part + held['offset'], os.getpid()), range(5), workers))
    assert [value for value, _ in results] == [10, 11, 12, 13, 14]
    assert (os.getpid() in {process for _, process in results}) == (workers < 2)


def test_an_error_of_a_process_arrives():
    def fail(part):
        raise ValueError(f'part {part}')

    with pytest.raises(ValueError, match='part 0'):
        list(map_forked(fail, [0, 1], 2))


def test_no_more_processes_than_parts(monkeypatch):
    asked = []

    class Pool(parallel.ProcessPoolExecutor):
        def __init__(self, workers, *args):
            asked.append(workers)
            super().__init__(workers, *args)

    monkeypatch.setattr(parallel, 'ProcessPoolExecutor', Pool)
    assert list(map_forked(abs, [-1, -2], 10**6)) == [1, 2]
    assert asked == [2]


def test_a_worker_ends_at_sigterm_without_its_parents_handler():
    """Python calls a handler between two instructions: a worker that waits for a lock would never come to it."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        assert list(map_forked(lambda part: signal.getsignal(signal.SIGTERM), [0, 1], 2)) == [signal.SIG_DFL] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize('how', ['closed', 'interrupted'])
def test_who_leaves_early_does_not_wait_for_what_was_handed_out(how):
    began, done = time.monotonic(), map_forked(time.sleep, [0] * 4 + [3] * 100, 2, chunksize=5)
    next(done)
    if how == 'closed':
        done.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            done.throw(KeyboardInterrupt)
    assert time.monotonic() - began < 14, 'what is begun takes 3 seconds, what is handed out 15'


def test_a_worker_that_dies_is_said():
    """A pool would wait for its part for ever."""
    with pytest.raises(WorkerError, match='Try fewer --workers'):
        list(map_forked(lambda part: os._exit(9), [0, 1], 2))
