"""A SynthRVOS scene as plain data: position and appearance of every object in every frame."""

from dataclasses import dataclass, replace

import numpy as np

from .appearance import Appearance

# Lengths in pixels in this package are those at this frame size (height, width); see `Scene.unit`.
REFERENCE_SIZE = (192, 288)


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object over T frames.

    Attributes:
        appearance: Its size, colour and shape.
        radius: Radius in pixels.
        centres: (T, 2) x and y in pixels, multiples of a half (the renderer draws a sprite for each of the 4 phases);
            may lie outside the frame.
        present: (T,) bool, False where the object is not drawn.
        coloured: (T,) bool, False where it is grey instead of its colour.
    """

    appearance: Appearance
    radius: float
    centres: np.ndarray
    present: np.ndarray
    coloured: np.ndarray

    @property
    def flashes(self) -> bool:
        """Return whether its colour shows in some frames only."""
        return not self.coloured.all()


@dataclass(frozen=True, eq=False)
class Scene:
    """K objects over T frames; the object with id i (its pixel value in the annotation) is `objects[i - 1]`.

    Attributes:
        kind: The pair kind of objects 1 and 2.
        size: (height, width) of the frames.
        objects: Tuple of K.
        front_to_back: The K indices into `objects`, nearest first: a nearer object hides a farther one.
        background_seed: int.
    """

    kind: str
    size: tuple[int, int]
    objects: tuple[SceneObject, ...]
    front_to_back: tuple[int, ...]
    background_seed: int

    @property
    def num_frames(self) -> int:
        return len(self.objects[0].present)

    @property
    def unit(self) -> float:
        """Return the length in pixels of this scene that equals a pixel of a 192x288 frame."""
        return length_unit(self.size)


def length_unit(size: tuple[int, int]) -> float:
    """Return the length in pixels at frame `size` (height, width) that equals a pixel of a 192x288 frame."""
    return min(size[0] / REFERENCE_SIZE[0], size[1] / REFERENCE_SIZE[1])


def reverse(scene: Scene) -> Scene:
    """Return the same scene played backwards."""
    return replace(
        scene,
        objects=tuple(
            replace(thing, centres=thing.centres[::-1], present=thing.present[::-1], coloured=thing.coloured[::-1])
            for thing in scene.objects
        ),
    )
