"""Trajectories of object centres over T frames: (T, 2) arrays of x and y in pixels.

Every sampler takes a `box` (x_min, y_min, x_max, y_max) that holds the centres, and the `travel`, the length of the
trajectory in pixels. Speed is constant.
"""

import math

import numpy as np

from ifirvos.errors import InputError

# Unit vectors, y downwards as in images.
DIRECTIONS = {'left': (-1.0, 0.0), 'right': (1.0, 0.0), 'up': (0.0, -1.0), 'down': (0.0, 1.0)}

Box = tuple[float, float, float, float]


def _point(rng: np.random.Generator, box: Box) -> np.ndarray:
    return rng.uniform(box[:2], box[2:])


def _heading(angle: float) -> np.ndarray:
    return np.array([math.cos(angle), math.sin(angle)])


def standing(rng: np.random.Generator, box: Box, num_frames: int) -> np.ndarray:
    """Stand still at a random point of the box."""
    return np.tile(_point(rng, box), (num_frames, 1))


def bouncing(rng: np.random.Generator, box: Box, num_frames: int, travel: float) -> np.ndarray:
    """Move straight in a random direction, reflected at the sides of the box."""
    low, span = np.array(box[:2]), np.array(box[2:]) - np.array(box[:2])
    step = _heading(rng.uniform(0, 2 * math.pi)) * travel / (num_frames - 1)
    unfolded = _point(rng, box) - low + np.arange(num_frames)[:, None] * step
    folded = np.mod(unfolded, 2 * span)
    return low + np.minimum(folded, 2 * span - folded)


def turning(rng: np.random.Generator, box: Box, num_frames: int, travel: float) -> np.ndarray:
    """Turn by 40 to 120 degrees in the middle third, on two straight legs; if they do not fit, :func:`bouncing`."""
    speed = travel / (num_frames - 1)
    for _ in range(30):
        turn_frame = int(rng.integers(num_frames // 3, num_frames - num_frames // 3))
        angle = rng.uniform(0, 2 * math.pi)
        turn = math.radians(rng.uniform(40, 120)) * rng.choice([-1, 1])
        steps = np.arange(num_frames)[:, None] - turn_frame
        legs = np.where(steps < 0, steps * _heading(angle), steps * _heading(angle + turn))
        trajectory = _point(rng, box) + speed * legs
        if (trajectory >= box[:2]).all() and (trajectory <= box[2:]).all():
            return trajectory
    return bouncing(rng, box, num_frames, travel)


def heading(
    rng: np.random.Generator, box: Box, num_frames: int, travel: float, direction: str, drift: float
) -> np.ndarray:
    """Move in one of DIRECTIONS all the time, inside the box, and at most `drift` pixels across it.

    Raises:
        ValueError: if the box is shorter than `travel`.
    """
    axis = 0 if direction in ('left', 'right') else 1
    slack = box[axis + 2] - box[axis] - travel
    if slack < 0:
        raise InputError(f'A travel of {travel:.0f} pixels does not fit into the box {box}.')
    sign = DIRECTIONS[direction][axis]
    start = box[axis] + rng.uniform(0, slack) + (travel if sign < 0 else 0)
    across = rng.uniform(box[1 - axis], box[3 - axis], 2)
    across[1] = np.clip(across[1], across[0] - drift, across[0] + drift)
    trajectory = np.empty((num_frames, 2))
    trajectory[:, axis] = np.linspace(start, start + sign * travel, num_frames)
    trajectory[:, 1 - axis] = np.linspace(*across, num_frames)
    return trajectory


def passing(rng: np.random.Generator, box: Box, num_frames: int, margin: float) -> np.ndarray:
    """Move from outside the box to a point inside, or the reverse; `margin` pixels outside it is out of view."""
    side = rng.choice(tuple(DIRECTIONS))
    inside, outside = _point(rng, box), _point(rng, box)
    axis = 0 if side in ('left', 'right') else 1
    outside[axis] = box[axis] - margin if side in ('left', 'up') else box[axis + 2] + margin
    wait = rng.uniform(0.1, 0.5) * (num_frames - 1)
    progress = np.clip((np.arange(num_frames) - wait) / (num_frames - 1 - wait), 0, 1)[:, None]
    trajectory = outside + progress * (inside - outside)
    return trajectory if rng.random() < 0.5 else trajectory[::-1]
