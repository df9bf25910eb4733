"""Windows over long videos: their frames, and which of them each window gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ifirvos.errors import InputError

LINKS = ('agreement', 'independent')
Item = TypeVar('Item')


@dataclass(frozen=True)
class Window(Generic[Item]):
    """One window over a stream of frames.

    Attributes:
        new: The frames that no window before has seen.
        size: Its length: it sees the last ``size`` frames so far.
        shared: How many of them, the first ones, the window before saw too.
        gives: (first, stop) within the window: the frames whose results are taken from it.
    """

    new: list[Item]
    size: int
    shared: int
    gives: tuple[int, int]


def windows(
    frames: Iterable[Item], clip_len: int | None, overlap: int = 0, full_last: bool = True
) -> Iterator[Window[Item]]:
    """Yield overlapping windows of ``clip_len`` frames, holding only the current one.

    Of the frames that two windows share, each gives the half that lies farther from its own border. A video shorter
    than ``clip_len`` is one window.

    Args:
        frames: Read once, in order.
        clip_len: Frames of a window; None: all in one.
        overlap: Frames that neighbours share, at least.
        full_last: The last window starts earlier to be full; else it is shorter.

    Raises:
        ValueError: the overlap is not shorter than the window.
    """
    if clip_len is not None and not 0 <= overlap < clip_len:
        raise InputError(f'windows of {clip_len} frames cannot share {overlap}: use 0 to {clip_len - 1}')
    stream = iter(frames)
    new = list(islice(stream, clip_len))
    seen = given = 0
    while new:
        following = [] if clip_len is None else list(islice(stream, 1))
        known = min(seen, clip_len - len(new) if full_last else overlap) if seen else 0
        seen += len(new)
        size = known + len(new)
        stop = seen - overlap // 2 if following else seen
        yield Window(new, size, known, (given - (seen - size), stop - (seen - size)))
        given = stop
        new = following + list(islice(stream, clip_len - overlap - 1)) if following else []


def ahead(items: Iterable[Item], left: Event | None = None) -> Iterator[Item]:
    """Make the next item in a thread while the present one is used; errors come when their item is asked for.

    Args:
        items: Made one after the other.
        left: Is set when no more are wanted, see :func:`until`; leaving waits for the item that is being made.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix='ahead') as pool:
        coming = pool.submit(next, iterator, end)
        try:
            while (item := coming.result()) is not end:
                coming = pool.submit(next, iterator, end)
                yield item
        finally:
            if left is not None:
                left.set()
            if hasattr(iterator, 'close'):  # a generator, once the thread has left it
                pool.submit(iterator.close)


def until(left: Event, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items until the event is set."""
    for item in items:
        if left.is_set():
            return
        yield item


class FeatureWindow:
    """The features of the frames in the present window, kept so that every frame passes through the backbone once."""

    def __init__(self) -> None:
        self._levels: list[Tensor] = []

    def extend(self, new: list[Tensor], size: int) -> list[Tensor]:
        """Append the features (n, C, h, w) of every level and keep the last ``size`` frames.

        Returns:
            list[Tensor]: the window's features, (size, C, h, w) a level.
        """
        self._levels = self._levels or [fresh[:0] for fresh in new]
        for level, fresh in enumerate(new):  # one after the other, so that only one of them is in memory twice
            old, kept = self._levels[level], size - len(fresh)
            # 'auto' may have changed the precision since the frames that are kept.
            self._levels[level] = torch.cat([old[len(old) - kept :].to(fresh.dtype), fresh]) if kept else fresh
        return self._levels
