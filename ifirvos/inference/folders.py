"""Result folders: names that every file system takes, and contents that appear whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ifirvos.errors import OutputExistsError

RESULT_FILE = 'result.json'
_MAX_NAME = 60
# Windows reserves these whatever their case and ending.
_RESERVED = {'con', 'prn', 'aux', 'nul', *(f'{port}{number}' for port in ('com', 'lpt') for number in range(10))}


def slug(text: str, max_length: int = _MAX_NAME) -> str:
    """Return a sentence as a file name: a-z, 0-9 and '-', never empty, never a reserved name.

    'The dog, left!' gives 'the-dog-left'. Accents are dropped; a sentence in another script, of which nothing is left,
    is called 'sentence'.
    """
    ascii_text = unicodedata.normalize('NFKD', text).encode('ascii', 'ignore').decode().lower()
    name = re.sub(r'[^a-z0-9]+', '-', ascii_text)[:max_length].strip('-') or 'sentence'
    return f'{name}-x' if name in _RESERVED else name


def unique_slugs(texts: Sequence[str], max_length: int = _MAX_NAME) -> list[str]:
    """One slug a sentence, all different: equal ones get '-2', '-3', … at their ends."""
    names: list[str] = []
    for text in texts:
        name = base = slug(text, max_length)
        number = 1
        while name in names:
            number += 1
            ending = f'-{number}'
            name = base[: max_length - len(ending)].rstrip('-') + ending
        names.append(name)
    return names


def check_free(folders: Sequence[Path], overwrite: bool) -> None:
    """Refuse before any work is done.

    Raises:
        OutputExistsError: a folder exists and ``overwrite`` is off, or it is not a result of ours to be replaced.
    """
    for folder in folders:
        if not folder.exists() and not folder.is_symlink():
            continue
        if not overwrite:
            raise OutputExistsError(f'{folder} exists; pass --overwrite to replace it, or another --out.')
        if folder.is_symlink() or not (folder / RESULT_FILE).is_file():
            raise OutputExistsError(f'{folder} was not written by this tool and is not replaced; use another --out.')


@contextmanager
def staged_folders(folders: Sequence[Path], overwrite: bool = False) -> Iterator[list[Path]]:
    """Folders to fill, which get their final names together when the block ends well, and vanish when it does not.

    Args:
        folders: Final names, all in one parent.
        overwrite: Replace results of an earlier run.

    Yields:
        Empty folders beside the final ones.
    """
    parent = folders[0].parent
    parent.mkdir(parents=True, exist_ok=True)
    check_free(folders, overwrite)
    stage = Path(tempfile.mkdtemp(prefix='.unfinished-', dir=parent))
    try:
        staged = [stage / folder.name for folder in folders]
        for folder in staged:
            folder.mkdir()
        yield staged
        check_free(folders, overwrite)  # somebody may have come in between
        _swap(staged, folders)
    finally:
        shutil.rmtree(stage)


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
