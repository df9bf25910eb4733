"""Portable file names from any text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

MAX_NAME = 60
# Windows reserves these whatever their case and ending.
_RESERVED = {'con', 'prn', 'aux', 'nul', *(f'{port}{number}' for port in ('com', 'lpt') for number in range(10))}


def slug(text: str, max_length: int = MAX_NAME) -> str:
    """Return a sentence as a file name: a-z, 0-9 and '-', never empty, never a reserved name.

    'The dog, left!' gives 'the-dog-left'. Accents are dropped; a sentence in another script, of which nothing is left,
    is called 'sentence'.
    """
    ascii_text = unicodedata.normalize('NFKD', text).encode('ascii', 'ignore').decode().lower()
    name = re.sub(r'[^a-z0-9]+', '-', ascii_text)[:max_length].strip('-') or 'sentence'
    return f'{name}-x' if name in _RESERVED else name


def unique_slugs(texts: Sequence[str], max_length: int = MAX_NAME) -> list[str]:
    """Return one unique slug per sentence; duplicates end in '-2', '-3' …"""
    names: list[str] = []
    taken: set[str] = set()
    numbers: dict[str, int] = {}  # the last of every base: thousands may share one
    for text in texts:
        name = base = slug(text, max_length)
        while name in taken:
            number = numbers[base] = numbers.get(base, 1) + 1
            ending = f'-{number}'
            name = base[: max_length - len(ending)].rstrip('-') + ending
        names.append(name)
        taken.add(name)
    return names
