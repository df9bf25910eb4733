"""Renders a scene: label maps (the annotation) and frames, from the same polygons."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .appearance import COLOURS, GREY
from .scene import Scene, SceneObject

_SUPERSAMPLING = 4  # sub-pixels per side of a pixel, to measure its coverage
_FIXED_POINT_BITS = 4  # cv2 takes polygon corners as fixed-point integers
_INNER = 0.84  # the outline lies between the shape and the shape scaled by this factor
_OUTLINE_BRIGHTNESS = 0.6
_SHADING = 0.2  # brightness added at the upper left of an object and subtracted at its lower right
_SHADOW = 0.32  # share of the light that the shadow removes
_SHADOW_OFFSET = (0.10, 0.16)  # of the radius, x and y


def _regular(corners: int, radius: float = 1.0, start: float = -math.pi / 2) -> np.ndarray:
    angles = start + 2 * math.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _star(outer: float, inner: float) -> np.ndarray:
    corners = _regular(10)
    return corners * np.where(np.arange(10) % 2, inner, outer)[:, None]


def _cross(arm: float, length: float) -> np.ndarray:
    quarter = np.array([[arm, -length], [arm, -arm], [length, -arm]])
    turn = np.array([[0, 1], [-1, 0]])  # a quarter turn for row vectors
    corners = [quarter]
    for _ in range(3):
        corners.append(corners[-1] @ turn)
    return np.concatenate(corners)


# Corner points (P, 2) for radius 1, y downwards; scaled so that shapes of one radius cover similar areas.
POLYGONS = {
    'circle': _regular(48),
    'square': _regular(4, 1.22, -math.pi / 4),
    'triangle': _regular(3, 1.3) + [0, 0.2],
    'star': _star(1.25, 0.6),
    'cross': _cross(0.4, 1.08),
}


def extent(shape: str) -> float:
    """Largest distance from the centre to the object's border along x or y, for radius 1."""
    return float(np.abs(POLYGONS[shape]).max())


def _fill(canvas: np.ndarray, polygon: np.ndarray) -> None:
    """Fill `polygon` (P, 2), in pixels of `canvas` with pixel centres at whole numbers."""
    corners = np.round(polygon * (1 << _FIXED_POINT_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, lineType=cv2.LINE_8, shift=_FIXED_POINT_BITS)


def _reach(thing: SceneObject) -> int:
    """Return the pixels from the centre of a sprite to its border, with room for the shadow."""
    return math.ceil(extent(thing.appearance.shape) * thing.radius + 0.35 * thing.radius) + 2


def _coverage(thing: SceneObject, phase: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    """Share of every pixel that the object covers, float32 (n, n) in 0..1, n = 2·reach + 1, its centre at phase."""
    reach = _reach(thing)
    side = 2 * reach + 1
    fine = np.zeros((side * _SUPERSAMPLING, side * _SUPERSAMPLING), np.uint8)
    centre = np.array(phase) + reach
    polygon = POLYGONS[thing.appearance.shape] * (thing.radius * scale) + centre
    _fill(fine, (polygon + 0.5) * _SUPERSAMPLING - 0.5)
    return cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


@dataclass(frozen=True, eq=False)
class _Sprite:
    """A blend for one object at one phase: picture <- picture * keep + add, both float32 (n, n, 3)."""

    keep: np.ndarray
    add: np.ndarray


def _sprite(thing: SceneObject, phase: tuple[float, float], rgb: tuple[int, int, int]) -> _Sprite:
    reach, radius = _reach(thing), thing.radius
    covered, inner = _coverage(thing, phase), _coverage(thing, phase, _INNER)
    grid = (np.arange(2 * reach + 1, dtype=np.float32) - reach) / radius
    light = 1 - _SHADING * np.clip((grid[:, None] + grid[None, :]) / 2, -1, 1)
    brightness = light * (inner + (1 - inner) * _OUTLINE_BRIGHTNESS)
    shadow = np.zeros_like(covered, np.uint8)
    _fill(shadow, POLYGONS[thing.appearance.shape] * radius + phase + reach + np.array(_SHADOW_OFFSET) * radius)
    blur = 2 * round(0.12 * radius) + 1
    shadow = cv2.GaussianBlur(shadow, (blur, blur), 0).astype(np.float32) / 255
    keep = (1 - covered) * (1 - _SHADOW * shadow)
    bgr = np.array(rgb[::-1], np.float32)
    return _Sprite(np.repeat(keep[..., None], 3, 2), (covered * brightness)[..., None] * bgr)


def _place(centre: np.ndarray, reach: int, size: tuple[int, int]):
    """Return where a sprite goes: (phase, slices of the frame, slices of the sprite), or None if it lies outside."""
    base = np.floor(centre).astype(int)
    phase = tuple((centre - base).tolist())
    frame, sprite = [], []
    for start, length in ((base[1] - reach, size[0]), (base[0] - reach, size[1])):
        low, high = max(start, 0), min(start + 2 * reach + 1, length)
        if low >= high:
            return None
        frame.append(slice(low, high))
        sprite.append(slice(low - start, high - start))
    return phase, tuple(frame), tuple(sprite)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The annotation of a scene with K objects and T frames.

    Attributes:
        scene: The scene.
        labels: uint8 (T, H, W), the id of the object that covers more than half of the pixel; 0 for none.
        in_view: (K, T) share of the object's area that lies inside the frame; 0 where it is absent.
        visible: (K, T) share of the object's area that is inside the frame and not hidden by another object.
    """

    scene: Scene
    labels: np.ndarray
    in_view: np.ndarray
    visible: np.ndarray


def ground_truth(scene: Scene) -> GroundTruth:
    """Draw the label maps of `scene` and measure the visible part of every object."""
    num_objects, num_frames = len(scene.objects), scene.num_frames
    labels = np.zeros((num_frames, *scene.size), np.uint8)
    in_view = np.zeros((num_objects, num_frames))
    visible = np.zeros((num_objects, num_frames))
    windows = {}
    for index in reversed(scene.front_to_back):
        thing, masks = scene.objects[index], {}
        for frame in np.flatnonzero(thing.present):
            place = _place(thing.centres[frame], _reach(thing), scene.size)
            if place is None:
                continue
            phase, where, part = place
            if phase not in masks:
                mask = _coverage(thing, phase) > 0.5
                masks[phase] = mask, np.count_nonzero(mask)
            mask, area = masks[phase]
            labels[frame][where][mask[part]] = index + 1
            in_view[index, frame] = np.count_nonzero(mask[part]) / area
            windows[index, frame] = where, area
    for (index, frame), (where, area) in windows.items():
        visible[index, frame] = np.count_nonzero(labels[frame][where] == index + 1) / area
    return GroundTruth(scene, labels, in_view, visible)


def draw_frames(scene: Scene) -> np.ndarray:
    """Draw the frames of `scene`: uint8 (T, H, W, 3), BGR as cv2 writes them."""
    background = draw_background(np.random.default_rng(scene.background_seed), scene.size)
    sprites = {}
    frames = np.empty((scene.num_frames, *scene.size, 3), np.uint8)
    for frame in range(scene.num_frames):
        picture = background.copy()
        for index in reversed(scene.front_to_back):
            thing = scene.objects[index]
            place = _place(thing.centres[frame], _reach(thing), scene.size) if thing.present[frame] else None
            if place is None:
                continue
            phase, where, part = place
            key = index, phase, bool(thing.coloured[frame])
            if key not in sprites:
                colour = COLOURS[thing.appearance.colour] if thing.coloured[frame] else GREY
                sprites[key] = _sprite(thing, phase, colour)
            patch = picture[where]
            patch *= sprites[key].keep[part]
            patch += sprites[key].add[part]
        cv2.convertScaleAbs(picture, dst=frames[frame])  # rounds and saturates
    return frames


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a soft, pale texture: gradients with stripes or blobs and a little grain, float32 (H, W, 3) BGR, 0 to 255.

    Its saturation is low, so that no patch resembles one of the COLOURS, and its brightness differs from that of grey
    objects.
    """
    height, width = size
    dark = rng.random() < 0.6
    brightness, tint, relief = (rng.uniform(55, 100), 0.14, 0.12) if dark else (rng.uniform(190, 215), 0.05, 0.05)
    coarse = 1 + rng.uniform(-tint, tint, 3) + rng.uniform(-relief, relief, (4, 6, 1))
    coarse = brightness * (coarse + rng.uniform(-tint / 2, tint / 2, (4, 6, 3)))
    picture = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pattern = rng.choice(['none', 'stripes', 'blobs'])
    if pattern == 'stripes':
        angle, period = rng.uniform(0, math.pi), height * rng.uniform(0.08, 0.3)
        wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period) + rng.uniform(0, 6))
        picture += (rng.uniform(0.25, 0.6) * relief * brightness * wave)[..., None]
    elif pattern == 'blobs':
        for _ in range(int(rng.integers(3, 8))):
            radius = height * rng.uniform(0.08, 0.3)
            distance = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) / radius
            picture += (rng.uniform(-relief, relief) * brightness * np.exp(-(distance**4)))[..., None]
    grain = rng.standard_normal((height // 2 + 1, width // 2 + 1)).astype(np.float32)
    grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    picture += (1.5 * grain)[..., None]
    return np.clip(picture, 0, 255)
