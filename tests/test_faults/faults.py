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
from typing import BinaryIO

import pytest

KILLS = 20
NOBODY = 65534


def in_child(work: Callable[[], object]) -> int:
    """Run something in a forked child, which ends with 0 or 1; returns its process number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        gc.disable()  # decoders of other tests would wait for threads that a fork leaves behind
        work()
        code = 0
    finally:
        os._exit(code)


def killed_at_random(write: Callable[[], object], check: Callable[[], object], seed: int = 0) -> int:
    """Kill a writer 20 times at random moments, each time checking what it has left; returns how often it was writing.

    The moments are drawn from the time that the writer takes when it is left alone. Forking a large process and ending
    it take longer than many a write, so the child itself says when it begins and when it has done.
    """
    lengths = []
    for _ in range(3):  # the first is slow: nothing is in the caches
        child, told = _telling(write)
        with told:
            assert told.read(1) == b'('
            began = time.monotonic()
            assert told.read(1) == b')'
            lengths.append(time.monotonic() - began)
        assert wait(child) == 0
        check()
    length = min(lengths)
    draw, hit = random.Random(seed), 0
    for _ in range(KILLS):
        child, told = _telling(write)
        with told:
            assert told.read(1) == b'('
            time.sleep(draw.uniform(0, length))
            os.kill(child, signal.SIGKILL)
            hit += told.read(1) == b''
        wait(child)
        check()
    return hit


def _telling(write: Callable[[], object]) -> tuple[int, BinaryIO]:
    """Run a writer in a forked child; returns its process number, and a pipe that says '(' before and ')' after it."""
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        os.write(writing, b'(')
        write()
        os.write(writing, b')')

    child = in_child(work)
    os.close(writing)
    return child, os.fdopen(reading, 'rb', buffering=0)


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


def without_rights() -> None:
    """Become a user to whom nothing belongs: root may write anywhere."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
