"""Random scenes; every scene is as likely as its reverse, see `sample_scene`."""

from collections.abc import Callable, Sequence

import numpy as np

from . import trajectories
from .appearance import (
    HELD_OUT_APPEARANCES,
    SIZES,
    TRAIN_APPEARANCES,
    Appearance,
    near_misses,
    pick,
    telling_attributes,
)
from .render import GroundTruth, extent, ground_truth
from .scene import Scene, SceneObject, length_unit, reverse

# How objects 1 and 2 differ. They look the same, except for the colours of a `coherence` pair.
PAIR_KINDS = ('spatial', 'motion', 'coherence', 'direction', 'order')

# Length of the trajectory over a clip, in pixels of a 192x288 frame; a clip of 24 frames has 23 steps.
TRAVEL = {
    'mover': (115.0, 160.0),  # the moving object of `motion`: 5-7 pixels per frame
    'horizontal': (115.0, 185.0),  # `direction`, left and right: 5-8 pixels per frame
    'vertical': (
        80.0,
        112.0,
    ),  # `direction`, up and down: 3.5-5 pixels per frame, because the frame is less high than wide
    'other': (80.0, 160.0),  # all other moving objects
}
HORIZONTAL_SHARE = 0.6  # of `direction` clips
DIRECTION_DRIFT = 10.0  # pixels of movement across the direction at most
PAIR_GAP = 30.0  # pixels between the lanes of a `direction` pair and between the members of a `spatial` one

# Shares of the clip.
FLASH_LENGTH = (7 / 24, 9 / 24)  # `coherence`: frames in which the telling colours show, the same for both
ABSENCE_LENGTH = (7 / 24, 13 / 24)  # `order`: frames that one member misses at the start, the other at the end

MAX_DISTRACTORS = 4
NEAR_MISS_SHARE = 0.65  # of distractors: differ from another object in one attribute
STANDING_SHARE = 0.5  # of objects whose motion no sentence asks for
OUTSIDE_SHARE = 0.2  # of moving distractors: come into the frame or leave it

# A scene is dropped unless every object is at least half visible in this share of the frames in which it is in view
HALF_VISIBLE_SHARE = 1 / 3
# and, in half of their frames, any two objects are at least this share of the sum of their radii apart.
MIN_DISTANCE = 0.9


def sample_scene(
    rng: np.random.Generator, kind: str, held_out: bool, size: tuple[int, int], num_frames: int
) -> GroundTruth | None:
    """Try to sample a scene whose pair is of `kind` (one of PAIR_KINDS); None if it is too crowded.

    With probability 1/2 the scene is reversed in time. So a clip and its reverse are *exactly* equally likely, and only
    the order of the frames can tell "moving left" from "moving right" or "appears last" from "disappears first".

    Args:
        held_out: True: the pair and one distractor have held-out appearances (`comp`); False: no object has.
        size: (height, width).
    """
    unit = length_unit(size)
    appearances = _held_out_appearances(rng) if held_out else _train_appearances(rng, kind)
    pair_radius = unit * rng.uniform(*SIZES[appearances[0].size])
    pair = _PAIRS[kind](rng, appearances[:2], pair_radius, size, num_frames)
    if pair is None:
        return None
    things = [*pair]
    for appearance in appearances[2:]:
        radius = unit * rng.uniform(*SIZES[appearance.size])
        centres = _any_trajectory(rng, _box(appearance, radius, size), num_frames, unit, may_leave=kind != 'order')
        things.append(_thing(appearance, radius, centres))
    front_to_back = tuple(rng.permutation(len(things)).tolist())
    scene = Scene(kind, size, tuple(things), front_to_back, int(rng.integers(2**31)))
    if rng.random() < 0.5:
        scene = reverse(scene)
    if not _apart(scene):
        return None
    facts = ground_truth(scene)
    return facts if _all_half_visible(facts) else None


def _train_appearances(rng: np.random.Generator, kind: str) -> list[Appearance]:
    first = pick(rng, TRAIN_APPEARANCES)
    second = first
    if kind == 'coherence':
        second = pick(rng, near_misses(first, ['colour']))
    appearances = [first, second]
    telling = {first.colour, second.colour} if kind == 'coherence' else set()
    for _ in range(int(rng.integers(1, MAX_DISTRACTORS + 1))):
        near = rng.random() < NEAR_MISS_SHARE
        options = near_misses(pick(rng, appearances)) if near else TRAIN_APPEARANCES
        options = [one for one in options if one not in appearances and one.colour not in telling]
        appearances.append(pick(rng, options or [one for one in TRAIN_APPEARANCES if one not in appearances]))
    return appearances


def _held_out_appearances(rng: np.random.Generator) -> list[Appearance]:
    """Sample a held-out pair, a held-out distractor, and near misses, which fit every shorter name of it."""
    pair, target = (HELD_OUT_APPEARANCES[index] for index in rng.permutation(len(HELD_OUT_APPEARANCES))[:2])
    appearances = [pair, pair, target]
    for attribute in telling_attributes(target):
        options = [one for one in near_misses(target, [attribute]) if one not in appearances]
        appearances.append(pick(rng, options))
    return appearances


def _thing(appearance: Appearance, radius: float, centres: np.ndarray, present=None, coloured=None) -> SceneObject:
    always = np.ones(len(centres), bool)
    return SceneObject(
        appearance=appearance,
        radius=float(radius),
        centres=np.round(centres * 2) / 2,
        present=always if present is None else present,
        coloured=always if coloured is None else coloured,
    )


def _box(appearance: Appearance, radius: float, size: tuple[int, int]) -> trajectories.Box:
    """Return the box of the centres for which the object lies inside the frame."""
    margin = extent(appearance.shape) * radius + 2
    return margin, margin, size[1] - 1 - margin, size[0] - 1 - margin


def _any_trajectory(
    rng: np.random.Generator, box: trajectories.Box, num_frames: int, unit: float, may_leave: bool
) -> np.ndarray:
    if rng.random() < STANDING_SHARE:
        return trajectories.standing(rng, box, num_frames)
    if may_leave and rng.random() < OUTSIDE_SHARE:
        return trajectories.passing(rng, box, num_frames, margin=2.4 * box[0])  # its shadow is out of view too
    return _moving(rng, box, num_frames, unit * rng.uniform(*TRAVEL['other']))


def _moving(rng: np.random.Generator, box: trajectories.Box, num_frames: int, travel: float) -> np.ndarray:
    sampler = trajectories.bouncing if rng.random() < 0.5 else trajectories.turning
    return sampler(rng, box, num_frames, travel)


def _spatial_pair(rng, appearances, radius, size, num_frames):
    box, unit = _box(appearances[0], radius, size), length_unit(size)
    for _ in range(50):
        first, second = (_any_trajectory(rng, box, num_frames, unit, may_leave=False) for _ in range(2))
        gap = first - second
        if (np.abs(gap).min(0) >= PAIR_GAP * unit)[np.ptp(np.sign(gap), axis=0) == 0].any():
            return _thing(appearances[0], radius, first), _thing(appearances[1], radius, second)
    return None


def _motion_pair(rng, appearances, radius, size, num_frames):
    box, unit = _box(appearances[0], radius, size), length_unit(size)
    pair = [
        _thing(appearances[0], radius, _moving(rng, box, num_frames, unit * rng.uniform(*TRAVEL['mover']))),
        _thing(appearances[0], radius, trajectories.standing(rng, box, num_frames)),
    ]
    return _shuffled(rng, pair)


def _coherence_pair(rng, appearances, radius, size, num_frames):
    box, unit = _box(appearances[0], radius, size), length_unit(size)
    length = _frames(rng, FLASH_LENGTH, num_frames)
    start = int(rng.integers(0, num_frames - length + 1))
    coloured = np.zeros(num_frames, bool)
    coloured[start : start + length] = True
    return [
        _thing(appearance, radius, _any_trajectory(rng, box, num_frames, unit, may_leave=False), coloured=coloured)
        for appearance in appearances
    ]


def _direction_pair(rng, appearances, radius, size, num_frames):
    box, unit = _box(appearances[0], radius, size), length_unit(size)
    axis = 'horizontal' if rng.random() < HORIZONTAL_SHARE else 'vertical'
    one, other = ('left', 'right') if axis == 'horizontal' else ('up', 'down')
    room = box[2] - box[0] if axis == 'horizontal' else box[3] - box[1]
    travel = min(unit * rng.uniform(*TRAVEL[axis]), room)
    ways = [trajectories.heading(rng, box, num_frames, travel, way, unit * DIRECTION_DRIFT) for way in (one, other)]
    across = 1 if axis == 'horizontal' else 0
    if np.abs(ways[0][:, across] - ways[1][:, across]).min() < PAIR_GAP * unit:
        return None  # on one lane, passing and bouncing off each other could not be told apart
    return _shuffled(rng, [_thing(appearances[0], radius, way) for way in ways])


def _order_pair(rng, appearances, radius, size, num_frames):
    box, unit = _box(appearances[0], radius, size), length_unit(size)
    frames = np.arange(num_frames)
    late = frames >= _frames(rng, ABSENCE_LENGTH, num_frames)
    early = frames < num_frames - _frames(rng, ABSENCE_LENGTH, num_frames)
    return _shuffled(
        rng,
        [
            _thing(
                appearances[0], radius, _any_trajectory(rng, box, num_frames, unit, may_leave=False), present=present
            )
            for present in (late, early)
        ],
    )


_PAIRS: dict[str, Callable[..., Sequence[SceneObject] | None]] = {
    'spatial': _spatial_pair,
    'motion': _motion_pair,
    'coherence': _coherence_pair,
    'direction': _direction_pair,
    'order': _order_pair,
}


def _shuffled(rng: np.random.Generator, pair: list[SceneObject]) -> list[SceneObject]:
    return pair if rng.random() < 0.5 else pair[::-1]


def _frames(rng: np.random.Generator, shares: tuple[float, float], num_frames: int) -> int:
    low, high = (round(share * num_frames) for share in shares)
    return int(rng.integers(low, high + 1))


def _apart(scene: Scene) -> bool:
    for index, thing in enumerate(scene.objects):
        for other in scene.objects[index + 1 :]:
            together = thing.present & other.present
            if not together.any():
                continue
            distance = np.linalg.norm(thing.centres[together] - other.centres[together], axis=1)
            if np.median(distance) < MIN_DISTANCE * (thing.radius + other.radius):
                return False
    return True


def _all_half_visible(facts: GroundTruth) -> bool:
    in_view = (facts.in_view > 0).sum(1)
    return bool(((facts.visible >= 0.5).sum(1) >= np.maximum(1, HALF_VISIBLE_SHARE * in_view)).all())
