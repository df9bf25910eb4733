"""Samples random scenes; every scene is as likely as its reverse, see `sample_scene`."""

from collections.abc import Callable, Sequence

import numpy as np

from . import trajectories as paths
from .appearance import HELD_OUT_LOOKS, SIZES, TRAIN_LOOKS, Look, near_misses, pick, telling_attributes
from .render import GroundTruth, extent, ground_truth
from .scene import Scene, SceneObject, length_unit, reverse

# What objects 1 and 2 differ in. They look the same, but for the telling colours of `coherence`.
PAIR_KINDS = ('spatial', 'motion', 'coherence', 'direction', 'order')

# Length of the path over a clip, in pixels of a 192x288 frame; a clip of 24 frames has 23 steps.
TRAVEL = {
    'mover': (115.0, 160.0),  # the moving one of `motion`: 5-7 pixels a frame
    'horizontal': (115.0, 185.0),  # `direction`, left and right: 5-8 pixels a frame
    'vertical': (80.0, 112.0),  # `direction`, up and down: 3.5-5, the frame is lower than wide
    'other': (80.0, 160.0),  # everything else that moves
}
HORIZONTAL_SHARE = 0.6  # of `direction` clips
DIRECTION_DRIFT = 10.0  # pixels of movement across the direction at most
PAIR_GAP = 30.0  # pixels between the lanes of a `direction` pair and between the members of a `spatial` one

# Shares of the clip.
FLASH_LENGTH = (7 / 24, 9 / 24)  # `coherence`: frames in which the telling colours show, the same for both
ABSENCE_LENGTH = (7 / 24, 13 / 24)  # `order`: frames one member misses at the start, the other at the end

MAX_DISTRACTORS = 4
NEAR_MISS_SHARE = 0.65  # of distractors: differ from another object in one attribute
STANDING_SHARE = 0.5  # of objects whose motion no sentence asks for
OUTSIDE_SHARE = 0.2  # of moving distractors: come into the frame or leave it

# A scene is dropped unless every object shows at least half of itself in this share of the frames it is in view.
HALF_VISIBLE_SHARE = 1 / 3
# ... and two objects keep at least this share of the sum of their radii apart in half of their frames.
MIN_DISTANCE = 0.9


def sample_scene(
    rng: np.random.Generator, kind: str, held_out: bool, size: tuple[int, int], num_frames: int
) -> GroundTruth | None:
    """One try at a scene whose pair is of `kind` (one of PAIR_KINDS); None if it came out too crowded.

    A fair coin turns the scene round in time. So a clip and its reverse are equally likely *exactly*, and nothing but
    the order of the frames can tell "moving left" from "moving right" or "appears last" from "disappears first".

    Args:
        held_out: Whether the pair and one distractor wear held-out looks (`comp`), or all wear training looks.
        size: (height, width).
    """
    unit = length_unit(size)
    looks = _held_out_looks(rng) if held_out else _train_looks(rng, kind)
    pair_radius = unit * rng.uniform(*SIZES[looks[0].size])
    pair = _PAIRS[kind](rng, looks[:2], pair_radius, size, num_frames)
    if pair is None:
        return None
    things = [*pair]
    for look in looks[2:]:
        radius = unit * rng.uniform(*SIZES[look.size])
        path = _any_path(rng, _box(look, radius, size), num_frames, unit, may_leave=kind != 'order')
        things.append(_thing(look, radius, path))
    front_to_back = tuple(rng.permutation(len(things)).tolist())
    scene = Scene(kind, size, tuple(things), front_to_back, int(rng.integers(2**31)))
    if rng.random() < 0.5:
        scene = reverse(scene)
    if not _apart(scene):
        return None
    facts = ground_truth(scene)
    return facts if _all_half_visible(facts) else None


def _train_looks(rng: np.random.Generator, kind: str) -> list[Look]:
    first = pick(rng, TRAIN_LOOKS)
    second = first
    if kind == 'coherence':
        second = pick(rng, near_misses(first, ['colour']))
    looks = [first, second]
    telling = {first.colour, second.colour} if kind == 'coherence' else set()
    for _ in range(int(rng.integers(1, MAX_DISTRACTORS + 1))):
        near = rng.random() < NEAR_MISS_SHARE
        options = near_misses(pick(rng, looks)) if near else TRAIN_LOOKS
        options = [look for look in options if look not in looks and look.colour not in telling]
        looks.append(pick(rng, options or [look for look in TRAIN_LOOKS if look not in looks]))
    return looks


def _held_out_looks(rng: np.random.Generator) -> list[Look]:
    """Sample a held-out pair, a held-out distractor and its near misses, so that nothing less names it."""
    pair, target = (HELD_OUT_LOOKS[index] for index in rng.permutation(len(HELD_OUT_LOOKS))[:2])
    looks = [pair, pair, target]
    for attribute in telling_attributes(target):
        looks.append(pick(rng, [look for look in near_misses(target, [attribute]) if look not in looks]))
    return looks


def _thing(look: Look, radius: float, path: np.ndarray, present=None, coloured=None) -> SceneObject:
    always = np.ones(len(path), bool)
    return SceneObject(
        look=look,
        radius=float(radius),
        centres=np.round(path * 2) / 2,
        present=always if present is None else present,
        coloured=always if coloured is None else coloured,
    )


def _box(look: Look, radius: float, size: tuple[int, int]) -> paths.Box:
    """Return where the centre may be for the object to lie inside the frame."""
    margin = extent(look.shape) * radius + 2
    return margin, margin, size[1] - 1 - margin, size[0] - 1 - margin


def _any_path(rng: np.random.Generator, box: paths.Box, num_frames: int, unit: float, may_leave: bool) -> np.ndarray:
    if rng.random() < STANDING_SHARE:
        return paths.standing(rng, box, num_frames)
    if may_leave and rng.random() < OUTSIDE_SHARE:
        return paths.passing(rng, box, num_frames, margin=2.4 * box[0])  # its shadow is out of view too
    return _moving(rng, box, num_frames, unit * rng.uniform(*TRAVEL['other']))


def _moving(rng: np.random.Generator, box: paths.Box, num_frames: int, travel: float) -> np.ndarray:
    sampler = paths.bouncing if rng.random() < 0.5 else paths.turning
    return sampler(rng, box, num_frames, travel)


def _spatial_pair(rng, looks, radius, size, num_frames):
    box, unit = _box(looks[0], radius, size), length_unit(size)
    for _ in range(50):
        first, second = (_any_path(rng, box, num_frames, unit, may_leave=False) for _ in range(2))
        gap = first - second
        if (np.abs(gap).min(0) >= PAIR_GAP * unit)[np.ptp(np.sign(gap), axis=0) == 0].any():
            return _thing(looks[0], radius, first), _thing(looks[1], radius, second)
    return None


def _motion_pair(rng, looks, radius, size, num_frames):
    box, unit = _box(looks[0], radius, size), length_unit(size)
    pair = [
        _thing(looks[0], radius, _moving(rng, box, num_frames, unit * rng.uniform(*TRAVEL['mover']))),
        _thing(looks[0], radius, paths.standing(rng, box, num_frames)),
    ]
    return _shuffled(rng, pair)


def _coherence_pair(rng, looks, radius, size, num_frames):
    box, unit = _box(looks[0], radius, size), length_unit(size)
    length = _frames(rng, FLASH_LENGTH, num_frames)
    start = int(rng.integers(0, num_frames - length + 1))
    coloured = np.zeros(num_frames, bool)
    coloured[start : start + length] = True
    return [
        _thing(look, radius, _any_path(rng, box, num_frames, unit, may_leave=False), coloured=coloured)
        for look in looks
    ]


def _direction_pair(rng, looks, radius, size, num_frames):
    box, unit = _box(looks[0], radius, size), length_unit(size)
    axis = 'horizontal' if rng.random() < HORIZONTAL_SHARE else 'vertical'
    one, other = ('left', 'right') if axis == 'horizontal' else ('up', 'down')
    room = box[2] - box[0] if axis == 'horizontal' else box[3] - box[1]
    travel = min(unit * rng.uniform(*TRAVEL[axis]), room)
    ways = [paths.heading(rng, box, num_frames, travel, way, unit * DIRECTION_DRIFT) for way in (one, other)]
    across = 1 if axis == 'horizontal' else 0
    if np.abs(ways[0][:, across] - ways[1][:, across]).min() < PAIR_GAP * unit:
        return None  # on one lane, passing each other and bouncing off each other look alike
    return _shuffled(rng, [_thing(looks[0], radius, way) for way in ways])


def _order_pair(rng, looks, radius, size, num_frames):
    box, unit = _box(looks[0], radius, size), length_unit(size)
    frames = np.arange(num_frames)
    late = frames >= _frames(rng, ABSENCE_LENGTH, num_frames)
    early = frames < num_frames - _frames(rng, ABSENCE_LENGTH, num_frames)
    return _shuffled(
        rng,
        [
            _thing(looks[0], radius, _any_path(rng, box, num_frames, unit, may_leave=False), present=present)
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
