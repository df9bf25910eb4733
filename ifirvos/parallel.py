"""Parallel work in forked processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from ifirvos.errors import WorkerError

Part = TypeVar('Part')
Result = TypeVar('Result')

# Of a worker process, which inherits them.
_function: Callable[[Any], Any] | None = None
_left: Event | None = None  # set where no more results are wanted


def leave_interrupts_to_parent() -> None:
    """Ignore Ctrl-C, which reaches all processes of a terminal, and end at SIGTERM, for workers.

    A forked worker has its parent's handler of SIGTERM, which Python calls between two instructions: one that comes
    right before the worker waits for a lock would be seen when the lock is free, that is never.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _call(part: Any) -> Any:
    return None if _left.is_set() else _function(part)


def map_forked(
    function: Callable[[Part], Result], parts: Sequence[Part], workers: int, chunksize: int | None = None
) -> Iterator[Result]:
    """Yield ``function(part)`` of every part, in order.

    Processes are forked: what the function holds, such as a loaded data set, is there already, and a new interpreter
    would spend seconds on imports.

    Args:
        function: Need not be picklable; its results must be.
        parts: Picklable.
        workers: Processes; 1 or less works in this one.
        chunksize: Parts that a process is given at once; None: an eighth of its share, 64 at most.

    Raises:
        WorkerError: A process died.
    """
    global _function, _left
    workers = min(workers, len(parts))  # a pool starts all of its processes, with work or without
    if workers <= 1:
        yield from map(function, parts)
        return
    context = multiprocessing.get_context('fork')
    _function, _left = function, context.Event()
    with ProcessPoolExecutor(workers, context, leave_interrupts_to_parent) as pool:
        try:
            yield from pool.map(_call, parts, chunksize=chunksize or max(1, min(64, len(parts) // (8 * workers))))
        except BrokenProcessPool as error:
            raise WorkerError('A worker process died; out of memory? Try fewer --workers.') from error
        except BaseException:  # left early: a pool first finishes what it has handed out
            _left.set()
            raise
