"""Result folders with portable names, written atomically."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ifirvos.errors import OutputError, OutputExistsError
from ifirvos.files import check_folder, make_folder, not_written

RESULT_FILE = 'result.json'


def check_free(folders: Sequence[Path], overwrite: bool) -> None:
    """Raise before any work if the folders cannot be written.

    Raises:
        OutputError: the folder that holds them cannot be made or written to.
        OutputExistsError: a folder exists and ``overwrite`` is off, or it is not a result of ours to be replaced.
    """
    check_folder(folders[0].parent)
    with alone_in(folders[0].parent):
        _check_free(folders, overwrite)


def _check_free(folders: Sequence[Path], overwrite: bool) -> None:
    for folder in folders:
        if not folder.exists() and not folder.is_symlink():
            continue
        if not overwrite:
            raise OutputExistsError(
                f'{folder} exists; pass --overwrite (overwrite=True) to replace it, or another --out.'
            )
        if folder.is_symlink() or not (folder / RESULT_FILE).is_file():
            raise OutputExistsError(f'{folder} was not written by this tool and is not replaced; use another --out.')


@contextmanager
def staged_folders(folders: Sequence[Path], overwrite: bool = False) -> Iterator[list[Path]]:
    """Provide folders that are renamed together when the block succeeds, and removed otherwise.

    Args:
        folders: Final names, all in one parent.
        overwrite: Replace results of an earlier run.

    Yields:
        Empty folders beside the final ones.

    Raises:
        OutputExistsError: see :func:`check_free`.
        OutputError: the disk is full, or the folder cannot be written to; nothing is left of it.
    """
    parent, stage = folders[0].parent, None
    check_free(folders, overwrite)
    new = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        make_folder(parent)
        stage = Path(tempfile.mkdtemp(prefix='.unfinished-', dir=parent))
        staged = [stage / folder.name for folder in folders]
        for folder in staged:
            folder.mkdir()
        yield staged
        with alone_in(parent):
            _check_free(folders, overwrite)  # another process may have created it meanwhile
            _swap(staged, folders)
    except BaseException as error:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):  # it is not empty: what is in it is another run's
            for folder in new:
                folder.rmdir()
        if reason := not_written(error):
            raise OutputError(f'{folders[0]} cannot be written: {reason}.') from error
        raise
    shutil.rmtree(stage)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until nobody else renames results in a folder; where the file system knows no locks, go ahead."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows; it is not there yet, or cannot be read
        handle = None
    if handle is None:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _swap(staged: Sequence[Path], folders: Sequence[Path]) -> None:
    """Give the staged folders their final names; if one does not get it, all that was there before is there again."""
    aside = [unfinished.with_name(f'{unfinished.name}.old') for unfinished in staged]
    try:
        for unfinished, folder, old in zip(staged, folders, aside, strict=True):
            if folder.exists():
                os.replace(folder, old)
            os.replace(unfinished, folder)
    except BaseException:
        for unfinished, folder, old in zip(staged, folders, aside, strict=True):
            if folder.exists() and not unfinished.exists():
                os.replace(folder, unfinished)
            if old.exists():
                os.replace(old, folder)
        raise
