"""A folder that a run writes to belongs to it alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ifirvos.errors import InputError
from ifirvos.files import make_folder

LOCK = '.lock'


@contextmanager
def claimed(folder: str | os.PathLike, option: str = '--work-dir', beside: bool = False) -> Iterator[None]:
    """Hold a folder; the system lets go of it when the process ends, however that happens.

    Two runs in one folder would overwrite each other's files. Where the file system knows no locks, nothing
    is held.

    Args:
        folder: It is made.
        option: What names another, for the message.
        beside: Keep the lock's file beside the folder, which is to hold nothing else.

    Raises:
        InputError: Another run has it; names its process.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    folder = make_folder(folder)
    path = folder.absolute().with_name(f'.{folder.absolute().name}{LOCK}') if beside else folder / LOCK
    with open(path, 'a+', encoding='utf-8') as lock:
        try:
            # Not flock, which the data workers would inherit, and hold for seconds after their parent was killed.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            lock.seek(0)
            raise InputError(
                f'Another run ({lock.read(100).strip() or "its process is not known"}) is writing to {folder}: '
                f'wait for its end, or give this one another {option}.'
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
