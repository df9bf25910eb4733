"""A work directory belongs to one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ifirvos.errors import InputError
from ifirvos.files import make_folder

LOCK = '.lock'


@contextmanager
def claimed(work_dir: str | os.PathLike) -> Iterator[None]:
    """Hold a work directory; the system lets go of it when the process ends, however that happens.

    Two runs in one directory would overwrite each other's checkpoints. Where the file system knows no locks, nothing
    is held.

    Args:
        work_dir: It is made.

    Raises:
        InputError: Another run has it; names its process.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path = make_folder(work_dir) / LOCK
    with open(path, 'a+', encoding='utf-8') as lock:
        try:
            # Not flock, which the data workers would inherit, and hold for seconds after their parent was killed.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            lock.seek(0)
            raise InputError(
                f'Another run ({lock.read(100).strip() or "its process is not known"}) is training in {work_dir}: '
                'wait for its end, or give this one another --work-dir.'
            ) from error
        except OSError:
            yield
            return
        lock.truncate(0)
        lock.write(f'process {os.getpid()} on {os.uname().nodename}\n')
        lock.flush()
        yield
        with suppress(OSError):  # its end is its release
            lock.truncate(0)
