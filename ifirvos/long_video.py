"""Videos of any length, window by window: which frames a window sees, and which of its queries goes on with the object.

The model looks at a clip as a whole and numbers its query sequences anew in each: query 3 of one window is not query 3
of the next. Neighbouring windows share some frames, and there the masks tell which query has the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

LINKS = ('agreement', 'independent')
Item = TypeVar('Item')


@dataclass(frozen=True)
class Window(Generic[Item]):
    """One window over a stream of frames.

    Attributes:
        new: the frames that no window before has seen.
        size: its length: it sees the last ``size`` frames so far.
        shared: how many of them, the first ones, the window before saw too.
        gives: (first, stop) within the window: the frames whose results are taken from it.
    """

    new: list[Item]
    size: int
    shared: int
    gives: tuple[int, int]


def windows(
    frames: Iterable[Item], clip_len: int | None, overlap: int = 0, full_last: bool = True
) -> Iterator[Window[Item]]:
    """Windows of ``clip_len`` frames that overlap; nothing of the stream is kept but what is handed out.

    Of the frames that two windows share, each gives the half that lies farther from its own border. A video shorter
    than ``clip_len`` is one window.

    Args:
        frames: read once, in order.
        clip_len: frames of a window; None: all in one.
        overlap: frames that neighbours share, at least.
        full_last: the last window starts earlier to be full; else it is shorter.

    Raises:
        ValueError: the overlap is not shorter than the window.
    """
    if clip_len is not None and not 0 <= overlap < clip_len:
        raise ValueError(f'windows of {clip_len} frames cannot share {overlap}: use 0 to {clip_len - 1}')
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


class QueryLinker:
    """Follows one sentence's object from window to window.

    A query counts its mean score over the window, plus ``weight`` times the IoU of its masks with those that the window
    before gave, over the frames that both see. So a query goes on with its object unless another is clearly better
    scored. Where the object was nowhere in the shared frames, the score alone decides, as in the first window.

    Args:
        weight: of the agreement; 0 links nothing.
    """

    def __init__(self, weight: float = 0.5) -> None:
        self.weight = weight
        self._shared = 0
        self._masks: Tensor | None = None

    def begin(self, shared: int) -> None:
        """Say how many frames at the start of the next window are the last ones of the window before."""
        self._shared = shared

    def choose(self, scores: Tensor, draw: Callable[[int], Tensor]) -> int:
        """The query to take.

        Args:
            scores: probabilities (T, N) of the window's queries.
            draw: n -> mask logits (n, N, h, w) of all queries on the first n frames.
        """
        total = scores.mean(0)
        if self._masks is not None and self._shared and self.weight:
            before = self._masks[-self._shared :]
            if before.any():
                total = total + self.weight * agreement(draw(self._shared) > 0, before)
        return int(total.argmax())

    def remember(self, masks: Tensor) -> None:
        """Keep the mask logits (T, h, w) of the query that was taken, for the next window."""
        self._masks = masks > 0


def agreement(masks: Tensor, reference: Tensor) -> Tensor:
    """IoU over frames and pixels together: bool (T, N, h, w) and (T, h, w) -> (N,)."""
    reference = reference[:, None]
    union = (masks | reference).sum((0, 2, 3))
    return (masks & reference).sum((0, 2, 3)) / union.clamp(min=1)


class FeatureWindow:
    """What is known of the frames that the present window sees, their features as a rule: so every frame passes through
    the backbone once."""

    def __init__(self) -> None:
        self._levels: list[Tensor] = []

    def extend(self, new: list[Tensor], size: int) -> list[Tensor]:
        """Append the features (n, C, h, w) of every level and keep the last ``size`` frames.

        Returns:
            list[Tensor]: the window's features, (size, C, h, w) a level.
        """
        self._levels = self._levels or [fresh[:0] for fresh in new]
        for level, fresh in enumerate(new):  # one after the other, so that only one of them is there twice
            old, kept = self._levels[level], size - len(fresh)
            self._levels[level] = torch.cat([old[len(old) - kept :], fresh]) if kept else fresh
        return self._levels
