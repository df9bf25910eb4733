"""Files that the two clips of a pair share."""

import os
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

Result = TypeVar('Result')
FILES = 16  # more frames than a training clip has


def read_once(function: Callable[[str], Result]) -> Callable[[str], Result]:
    """Remember what a function found in the last ``FILES`` files, as long as they do not change.

    The clips of a pair (:class:`~ifirvos.datasets.paired_expressions.PairedExpressions`) come one after the other and
    show the same frames. Callers must not change a result. Errors are not remembered.
    """

    @lru_cache(maxsize=FILES)
    def remembered(path: str, _: tuple) -> Result:
        return function(path)

    @wraps(function)
    def read(path: str) -> Result:
        try:
            found = os.stat(path)
        except OSError:
            return function(path)  # which says what is wrong
        return remembered(path, (found.st_ino, found.st_size, found.st_mtime_ns))

    return read
