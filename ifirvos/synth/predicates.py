"""The meaning of a sentence as a predicate, evaluated on the ground truth of a scene.

For one object a predicate is True, False, or None in borderline cases (a star that is left of the square in most
frames, a ball that drifts a little). An expression is sound if it is True for exactly one object and False, not None,
for all others: `referent`. So all margins are defined here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from .appearance import Appearance
from .render import GroundTruth
from .trajectories import DIRECTIONS

Truth = bool | None

# In pixels of a 192x288 frame.
SIDE_MARGIN = 18.0  # how much farther to a side a centre must be than another to lie on that side of it
MOVING_SPAN = 60.0  # least extent of the trajectory of a moving object
STANDING_SPAN = 1.0  # largest extent of the trajectory of a standing object
HEADING_TRAVEL = 60.0  # least distance that an object moving in a direction covers
# Shares.
SEEN = 0.1  # share of the area that must be visible for an object to count as seen
CLEARLY_SEEN = 0.5  # ... and for its colour to count as shown
HEADING_DRIFT = 0.4  # largest movement across the direction, relative to that along it
# Frames in a clip of 24 frames.
ORDER_MARGIN = 3


def all_of(values: Iterable[Truth]) -> Truth:
    """Kleene's conjunction: False if any is False, else None if any is None, else True."""
    values = list(values)
    if False in values:
        return False
    return None if None in values else True


class Predicate(Protocol):
    """A property that an object of a scene has or has not."""

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        """Return whether it holds for `facts.scene.objects[index]`."""


@dataclass(frozen=True)
class Noun:
    """The attributes that a noun phrase names (None: not named): Noun('large', None, 'star') is "large star"."""

    size: str | None = None
    colour: str | None = None
    shape: str | None = None

    @classmethod
    def of(cls, appearance: Appearance, attributes: Iterable[str]) -> Noun:
        """Return the noun that names `attributes` of `appearance`."""
        return cls(**{attribute: getattr(appearance, attribute) for attribute in attributes})

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        thing = facts.scene.objects[index]
        matches: list[Truth] = [
            named is None or named == has
            for named, has in ((self.size, thing.appearance.size), (self.shape, thing.appearance.shape))
        ]
        if self.colour is not None:
            same = self.colour == thing.appearance.colour
            matches.append(None if same and thing.flashes else same)
        return all_of(matches)


@dataclass(frozen=True)
class Moves:
    """It moves (`moving`), or it stands still all the time (not `moving`)."""

    moving: bool

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        trajectory = _trajectory_in_view(facts, index)
        span = float(np.linalg.norm(np.ptp(trajectory, axis=0))) / facts.scene.unit if len(trajectory) else 0.0
        if span >= MOVING_SPAN:
            return self.moving
        return not self.moving if span <= STANDING_SPAN else None


@dataclass(frozen=True)
class Heads:
    """It moves in `direction` (left, right, up, down) all the time."""

    direction: str

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        trajectory = _trajectory_in_view(facts, index) / facts.scene.unit
        if len(trajectory) < 2:
            return False
        x, y = DIRECTIONS[self.direction]
        along, across = trajectory @ [x, y], trajectory @ [y, x]
        steps = np.diff(along)
        if not (steps > 0).any():
            return False
        steady = (steps >= 0).all() and along[-1] - along[0] >= HEADING_TRAVEL
        return True if steady and np.ptp(across) <= HEADING_DRIFT * np.ptp(along) else None


@dataclass(frozen=True)
class Shows:
    """It has the colour `colour` in at least some frames."""

    colour: str

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        thing = facts.scene.objects[index]
        if thing.appearance.colour != self.colour:
            return False
        shown = facts.visible[index][thing.coloured] >= CLEARLY_SEEN
        return True if shown.mean() >= 0.5 else None


@dataclass(frozen=True)
class Beside:
    """In all its frames its centre is on `side` (left, right, up, down) of the only object that is `anchor`."""

    side: str
    anchor: Noun

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        other = referent(self.anchor, facts)
        if other is None:
            return None
        return False if other == index else beside(facts, index, other, self.side)


@dataclass(frozen=True)
class Outermost:
    """In all frames it is the one farthest to `side` of all objects that are `noun`."""

    side: str
    noun: Noun

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        return _first_of(self.noun, facts, index, lambda other: beside(facts, index, other, self.side))


@dataclass(frozen=True)
class AppearsLast:
    """It is the last to appear of all objects that are `noun`."""

    noun: Noun

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        first = [seen[0] for seen in _frames_seen(facts)]
        return _first_of(self.noun, facts, index, lambda other: _clearly(first[index] - first[other], facts))


@dataclass(frozen=True)
class DisappearsFirst:
    """It is the first to disappear of all objects that are `noun`."""

    noun: Noun

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        last = [seen[-1] for seen in _frames_seen(facts)]
        return _first_of(self.noun, facts, index, lambda other: _clearly(last[other] - last[index], facts))


@dataclass(frozen=True)
class Both:
    """Both predicates hold."""

    first: Predicate
    second: Predicate

    def truth(self, facts: GroundTruth, index: int) -> Truth:
        return all_of([self.first.truth(facts, index), self.second.truth(facts, index)])


@lru_cache(maxsize=512)
def referent(predicate: Predicate, facts: GroundTruth) -> int | None:
    """Return the index of the only object that `predicate` fits; None unless it is False (not None) for all others."""
    truths = [predicate.truth(facts, index) for index in range(len(facts.scene.objects))]
    return truths.index(True) if truths.count(True) == 1 and None not in truths else None


@lru_cache(maxsize=512)
def beside(facts: GroundTruth, index: int, other: int, side: str) -> Truth:
    """Return whether an object is on `side` of the other in all its frames; None if the other is not always in view."""
    together = facts.in_view[index] >= SEEN
    if not together.any() or (facts.in_view[other][together] < SEEN).any():
        return None
    gap = facts.scene.objects[index].centres[together] - facts.scene.objects[other].centres[together]
    gap = gap @ DIRECTIONS[side] / facts.scene.unit
    if gap.min() >= SIDE_MARGIN:
        return True
    return False if gap.max() <= 0 else None


def _first_of(noun: Noun, facts: GroundTruth, index: int, beats) -> Truth:
    """Return whether the object is `noun` and beats all others that are; `beats(other)` is a Truth."""
    is_noun = noun.truth(facts, index)
    if is_noun is False:
        return False
    verdicts = [is_noun]
    for other in range(len(facts.scene.objects)):
        rival = False if other == index else noun.truth(facts, other)
        if rival is not False:
            won = beats(other)
            verdicts.append(won if rival or won else None)
    return all_of(verdicts)


def _trajectory_in_view(facts: GroundTruth, index: int) -> np.ndarray:
    return facts.scene.objects[index].centres[facts.in_view[index] >= SEEN]


def _frames_seen(facts: GroundTruth) -> list[np.ndarray]:
    return [np.flatnonzero(seen) if seen.any() else np.array([-1]) for seen in facts.visible >= SEEN]


def _clearly(frames_ahead: int, facts: GroundTruth) -> Truth:
    margin = max(1, round(ORDER_MARGIN * facts.scene.num_frames / 24))
    if frames_ahead >= margin:
        return True
    return False if frames_ahead <= -margin else None
