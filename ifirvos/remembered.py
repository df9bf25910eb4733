"""Remembers what functions returned, inside a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

_remembered: ContextVar[dict | None] = ContextVar('remembered', default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Let functions with :func:`remembered` be called once with the same arguments inside the block.

    What they return is then given to several callers: it must not be changed.
    """
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def remembered(function: Callable) -> Callable:
    """Decorate a function of hashable positional arguments for :func:`remembering`; errors are not remembered."""

    @wraps(function)
    def call(*args: Any) -> Any:
        known = _remembered.get()
        if known is None:
            return function(*args)
        if (function, args) not in known:
            known[function, args] = function(*args)
        return known[function, args]

    return call
