"""Faults from outside, on writers in forked children: killed at random moments, a full disk, a read-only folder."""

import gc
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
import torch

KILLS = 20
NOBODY = 65534


def in_child(work: Callable[[], object]) -> int:
    """Run something in a forked child, which ends with 0 or 1; returns its process number."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ends OpenCV's threads (0 does not): the child would have none of them, and wait for them
    child = os.fork()
    if child:
        cv2.setNumThreads(threads)
        return child
    code = 1
    try:
        torch.set_num_threads(1)  # of OpenMP's threads the child would have none either
        gc.disable()  # decoders of other tests would wait for threads that a fork leaves behind
        work()
        code = 0
    finally:
        os._exit(code)


def killed_at_random(write: Callable[[], object], check: Callable[[], object], seed: int = 0) -> int:
    """Kill a writer 20 times at random moments, each time checking what it has left; returns how often it was writing.

    The moments are drawn from the time that the writer takes when it is left alone. Forking a large process and ending
    it take longer than many a write, and on a busy machine this process wakes late: so the child itself measures, and
    sets the timer whose signal kills it. Nothing handles that signal: it ends a process as abruptly as SIGKILL.
    """
    lengths = []
    for _ in range(3):  # the first is slow: nothing is in the caches
        child, told = _timed(write)
        lengths.append(float(told))
        assert wait(child) == 0
        check()
    length = min(lengths)
    draw, hit = random.Random(seed), 0
    for _ in range(KILLS):
        child, told = _timed(write, draw.uniform(0, length))
        assert wait(child) == (0 if told else -signal.SIGALRM)
        hit += not told
        check()
    return hit


def _timed(write: Callable[[], object], killed_after: float = 0) -> tuple[int, bytes]:
    """Run a writer in a forked child, killed after so many seconds; 0: never.

    Returns:
        Its process number, and the seconds that it took, as text; empty if it was killed.
    """
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, killed_after)
        write()
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(writing, str(time.monotonic() - began).encode())

    child = in_child(work)
    os.close(writing)
    with os.fdopen(reading, 'rb') as told:
        return child, told.read()


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def error_in_child(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> str:
    """Run something in a forked child; returns its error as 'KIND: message', '' where there was none."""
    reading, writing = os.pipe()

    def told() -> None:
        os.close(reading)
        try:
            prepare()
            work()
        except BaseException as error:
            os.write(writing, f'{type(error).__name__}: {error}'.encode()[:4000])

    child = in_child(told)
    os.close(writing)
    with os.fdopen(reading, 'rb') as pipe:
        text = pipe.read().decode()
    wait(child)
    return text


@contextmanager
def small_disk(kibibytes: int) -> Iterator[Path]:
    """A file system of its own of that size; skips where mounting is not permitted."""
    folder = Path(tempfile.mkdtemp(prefix='ifirvos-full-'))
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={kibibytes}k', 'tmpfs', str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f'no mount here ({error})')
    if done.returncode:
        folder.rmdir()
        pytest.skip(f'mounting a tmpfs is not permitted ({done.stderr.strip()})')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)
        folder.rmdir()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, for tests that give up root's rights in a child."""
    folder = Path(tempfile.mkdtemp(prefix='ifirvos-open-'))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder in which nothing can be made; for root that is so after :func:`without_rights` alone."""
    folder.chmod(0o555)
    try:
        yield folder
    finally:
        folder.chmod(0o755)


def without_rights() -> None:
    """Become a user to whom nothing belongs: root may write anywhere."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
