"""Reading of JSON files with limits, and errors that name file and position."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .errors import AnnotationError, LimitError, MissingFileError

MAX_BYTES = 2 * 2**30  # MeViS's masks take 200 MB
MAX_DIGITS = 400


def read_regular(path: str | os.PathLike, max_bytes: int | None = None, what: str = 'file') -> bytes:
    """Return the bytes of a regular file, none of a pipe or device, which may wait for ever.

    Args:
        path: The file.
        max_bytes: A larger one is refused; None: ``IFIRVOS_MAX_JSON_BYTES`` of the environment, or 2 GiB.
        what: What it is, for the message.

    Raises:
        MissingFileError: no such file.
        AnnotationError: it is no regular file, or cannot be read.
        LimitError: it is too large.
    """
    path = Path(path)
    check_regular(path, what)
    size = path.stat().st_size
    if max_bytes is None:
        max_bytes = limit_of('IFIRVOS_MAX_JSON_BYTES', MAX_BYTES)
    if size > max_bytes:
        raise LimitError(
            f'{path} has {size:,} bytes, more than the limit of {max_bytes:,}: is it the right file? '
            '--max-json-bytes, or the environment variable IFIRVOS_MAX_JSON_BYTES, sets another limit.'
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnnotationError(f'{path} cannot be read: {error.strerror or error}.') from error


def limit_of(variable: str, default: int) -> int:
    """Return a limit: that of an environment variable, which worker processes see too, or the default.

    Raises:
        LimitError: the variable is no whole number above 0.
    """
    text = os.environ.get(variable, '')
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise LimitError(f'The environment variable {variable} is {text!r}: set a whole number above 0, or unset it.')
    return int(text)


def check_regular(path: str | os.PathLike, what: str = 'file') -> None:
    """Raise for a missing file, a folder, a pipe or a device, before it is opened.

    Raises:
        MissingFileError: no such file.
        AnnotationError: it is no regular file.
    """
    try:
        there, regular = os.path.exists(path), os.path.isfile(path)
    except ValueError:  # NUL in its name
        there = regular = False
    if not there:
        raise MissingFileError(f'{what[:1].upper()}{what[1:]} {path} is missing.')
    if not regular:
        raise AnnotationError(f'{path} is no file but a folder, a pipe or a device.')


def read_json(path: str | os.PathLike, what: str = 'file', max_bytes: int | None = None) -> Any:
    """Read a json file.

    A byte order mark is accepted; a key that is there twice is not: the file would mean one thing to one reader and
    another to the next.

    Args:
        path: The file.
        what: What it is, for the messages.
        max_bytes: See :func:`read_regular`.

    Raises:
        MissingFileError: no such file.
        AnnotationError: it is not json in UTF-8, is nested too deeply, or holds a key twice.
        LimitError: it is too large.
    """
    return parse_json(read_regular(path, max_bytes, what), str(path))


def parse_json(content: bytes, where: str) -> Any:
    """Parse the bytes of a json file; see :func:`read_json`.

    Args:
        content: The file.
        where: Its name, for the messages.

    Raises:
        AnnotationError: see :func:`read_json`.
    """
    if content[:2] in (b'\xff\xfe', b'\xfe\xff'):
        raise AnnotationError(f'{where} is in UTF-16: save it as UTF-8.')
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f'{where} is not UTF-8 (byte {error.start:,} is 0x{content[error.start]:02x}): save it as UTF-8.'
        ) from error
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{where} is not json: {error.msg} in line {error.lineno}, column {error.colno}; is it complete?'
        ) from error
    except ValueError as error:
        raise AnnotationError(f'{where}: {error}.') from error
    except (RecursionError, MemoryError) as error:
        raise AnnotationError(f'{where} is nested too deeply.') from error


def _unique(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f'the key {ascii(twice)[:80]} is there twice')
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f'a number has {len(digits):,} digits')
    return int(digits)
