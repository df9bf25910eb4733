"""Atomic writes: to a temporary file, flushed to disk, then renamed."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import OutputError, UserError

PART = '.part'


def unfinished(path: str | os.PathLike) -> Path:
    """Return where a file is written before it gets its name: hidden, in the same folder."""
    path = Path(path)
    return path.with_name(f'.{path.name}{PART}')


@contextmanager
def written_whole(path: str | os.PathLike, sync: bool = True) -> Iterator[Path]:
    """Give a path to write to; leaving the block flushes the file to the disk and renames it to ``path``.

    The folder is made. If the block fails, what was at ``path`` before stays, and the unfinished file is removed.

    Args:
        path: Final name.
        sync: Flush to the disk before renaming, so that the file is whole even after a power cut; many small files that
            can be made again do without.

    Yields:
        The unfinished file's path, with the ending ``.part``.

    Raises:
        OutputError, OSError: the file cannot be written.
    """
    path = Path(path)
    check_file(path)
    part = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if part.is_symlink():  # somebody else's: what is written must not land where it points
            part.unlink()
        yield part
        if sync:
            with open(part, 'rb') as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if reason := not_written(error):
            raise OutputError(f'{path} cannot be written: {reason}.') from error
        raise


def not_written(error: BaseException) -> str:
    """Return why a file could not be written, if that is what an error says: a full disk, no right to write."""
    if isinstance(error, OSError) and not isinstance(error, UserError) and error.errno in _UNWRITABLE:
        return os.strerror(error.errno)
    if isinstance(error, RuntimeError) and 'PytorchStreamWriter' in str(error):  # what torch.save makes of it
        return 'the disk is full, or the folder cannot be written to'
    return ''


_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}


def check_file(path: str | os.PathLike) -> None:
    """Raise before any work if a file of this name could not be written; nothing is made.

    Raises:
        OutputError: says why, and what to name instead.
    """
    path = Path(path)
    if not path.name:
        raise OutputError(f'{path} cannot be written: it is a folder. Name a file.')
    if reason := _no_folder(path.parent):
        raise OutputError(f'{path} cannot be written: {reason}')
    # The unfinished file beside it has the longer name.
    if reason := _obstacle(unfinished(path)):
        raise OutputError(f'{path} cannot be written: {reason}. Name another.')
    if path.is_dir():
        raise OutputError(f'{path} cannot be written: it is a folder. Name a file.')
    if path.exists() and not path.is_file():  # root would replace /dev/null by a file, for all of the machine
        raise OutputError(f'{path} cannot be written: it is a device or a pipe. Name a file.')


def check_folder(path: str | os.PathLike) -> None:
    """Raise before any work if a folder could not be made or written to; nothing is made.

    Raises:
        OutputError: says why, and what to name instead.
    """
    if reason := _no_folder(Path(path)):
        raise OutputError(f'{path} cannot be written: {reason}')


def make_folder(path: str | os.PathLike) -> Path:
    """Make a folder for what is written, with its parents, unless it is there.

    Returns:
        The folder.

    Raises:
        OutputError: it cannot be made or written to; says why, and what to name instead.
    """
    path = Path(path)
    check_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a full disk, or another process was faster
        raise OutputError(f'{path} cannot be written: {error.strerror}. Name another.') from error
    return path


def _no_folder(path: Path) -> str:
    """Return why a folder could not be made or written to, and what to do; '' where it could."""
    if reason := _obstacle(path):
        return f'{reason}. Name another.'
    nearest = next(folder for folder in (path, *path.parents, Path()) if os.path.lexists(folder))
    if not nearest.is_dir():
        return f'{nearest} is no folder. Name another.'
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f'{os.strerror(errno.EACCES)} in {nearest}. Change its permissions, or name another.'
    return ''


def _obstacle(path: Path) -> str:
    """Return why no system call takes a path, '' if one does."""
    try:
        if max(map(len, map(os.fsencode, path.parts)), default=0) > 255:  # also below a folder that is not there yet
            return os.strerror(errno.ENAMETOOLONG)
        path.lstat()
    except ValueError:
        return 'its name holds a NUL or is not text'
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return os.strerror(error.errno)
    return ''


def write_whole(path: str | os.PathLike, data: str | bytes, encoding: str = 'utf-8') -> None:
    """Write text or bytes; the file is never seen half-written.

    Args:
        path: File to write; its folder is made.
        data: Text, whose line ends stay as they are, or bytes.
        encoding: Encoding of the text.

    Raises:
        OutputError, OSError: the file cannot be written.
    """
    with written_whole(path) as part:
        part.write_bytes(data.encode(encoding) if isinstance(data, str) else data)


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Format rows as CSV with a header.

    Args:
        rows: Dictionaries with the same keys.
        columns: The header; None takes the keys of the first row.
    """
    text = io.StringIO(newline='')
    if columns is None:
        columns = list(rows[0]) if rows else []
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
