"""Checks of names of videos, frames and expressions from annotation files, which become parts of paths."""

from __future__ import annotations

import unicodedata
from typing import Any

from .errors import AnnotationError

MAX_BYTES = 200  # file systems take 255, and endings and prefixes are added


def checked_name(name: Any, what: str, where: str) -> str:
    """Return a name that stays in its folder, whatever is made of it.

    Args:
        name: What a file calls a video, a frame, an expression.
        what: What it names, for the message: 'video', 'frame', …
        where: The file, and the entry in it, for the message.

    Returns:
        The name, unchanged; an integer as text.

    Raises:
        AnnotationError: it is empty, no text, too long, ``.`` or ``..``, or has a separator of paths, a drive, or a
            character that is not seen (control characters, changes of direction) or cannot be written.
    """
    if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < 10**18:
        name = str(name)
    problem = _problem(name)
    if problem:
        raise AnnotationError(f'{where}: {what} {shown(name)} {problem}, so it cannot be the name of a file.')
    return name


def checked_path(path: Any, what: str, where: str) -> str:
    """Return a relative path of several names, ``a/b/c``, each checked by :func:`checked_name`.

    Raises:
        AnnotationError: one of its names does not stay in its folder.
    """
    if not isinstance(path, str):
        raise AnnotationError(f'{where}: {what} {shown(path)} is no path.')
    for part in path.split('/'):
        if problem := _problem(part):
            raise AnnotationError(f'{where}: {what} {shown(path)} is refused: {shown(part)} {problem}.')
    return path


def shown(value: Any, limit: int = 60) -> str:
    """Return a value as a message shows it: on one line, escaped, cut."""
    try:
        text = ascii(value) if not isinstance(value, str) or not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # an integer of 5,000 digits, lists within lists
        text = f'a {type(value).__name__}'
    return text if len(text) <= limit else text[:limit] + '…'


def _problem(name: Any) -> str:
    if not isinstance(name, str):
        return f'is a {type(name).__name__}'
    if not name.strip():
        return 'is empty'
    if name in ('.', '..'):
        return 'is a folder'
    if '/' in name or '\\' in name:
        return 'has a separator of paths'
    if len(name) > 1 and name[1] == ':' and name[0].isalpha():
        return 'has a drive'
    odd = next((c for c in name if unicodedata.category(c) in _UNSEEN), None)
    if odd is not None:
        return f'has the character U+{ord(odd):04X}'
    if len(name.encode()) > MAX_BYTES:
        return f'is longer than {MAX_BYTES} bytes'
    return ''


# Control, format (changes of direction, zero width), surrogates, private and unassigned ones, separators of lines.
_UNSEEN = {'Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp'}
