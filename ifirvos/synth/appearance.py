"""Appearances of SynthRVOS's objects, and the combinations held out from training."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

# RGB. Seven hues that can be told apart at 64x96, despite shading and JPEG compression.
COLOURS = {
    'red': (214, 40, 40),
    'orange': (244, 140, 26),
    'yellow': (242, 222, 56),
    'green': (52, 168, 72),
    'cyan': (70, 208, 214),
    'blue': (44, 84, 216),
    'pink': (244, 128, 204),
}
# The colour of a `coherence` pair outside its coloured frames; no object has it as its own colour.
GREY = (146, 146, 146)
SHAPES = ('circle', 'square', 'triangle', 'star', 'cross')
# Radius in pixels of a 192x288 frame (5.5-7 and 10-12 after resizing to 64x96).
SIZES = {'small': (17.0, 21.0), 'large': (30.0, 36.0)}


@dataclass(frozen=True)
class Appearance:
    """The three attributes a sentence can name: `size` of SIZES, `colour` of COLOURS, `shape` of SHAPES."""

    size: str
    colour: str
    shape: str


# The compositional hold-out: these never occur in train and valid, neither asked for nor as a distractor, while every
# colour, shape and size does. A third of the appearances of `comp` are of the second sort, which training shows in the
# other size.
HELD_OUT_COLOUR_SHAPE = (
    ('red', 'star'),
    ('blue', 'circle'),
    ('green', 'triangle'),
    ('yellow', 'square'),
    ('pink', 'cross'),
)
HELD_OUT_COLOUR_SHAPE_SIZE = (
    ('orange', 'circle', 'large'),
    ('cyan', 'square', 'small'),
    ('red', 'triangle', 'small'),
    ('blue', 'star', 'large'),
    ('green', 'cross', 'small'),
)

ALL_APPEARANCES = tuple(Appearance(size, colour, shape) for size, colour, shape in product(SIZES, COLOURS, SHAPES))


def telling_attributes(appearance: Appearance) -> tuple[str, ...]:
    """Return the attributes that make `appearance` a held-out combination; () if it is allowed in training."""
    if (appearance.colour, appearance.shape) in HELD_OUT_COLOUR_SHAPE:
        return ('colour', 'shape')
    if (appearance.colour, appearance.shape, appearance.size) in HELD_OUT_COLOUR_SHAPE_SIZE:
        return ('size', 'colour', 'shape')
    return ()


def is_held_out(appearance: Appearance) -> bool:
    """Return whether `appearance` is a combination that only `comp` shows."""
    return bool(telling_attributes(appearance))


TRAIN_APPEARANCES = tuple(appearance for appearance in ALL_APPEARANCES if not is_held_out(appearance))
HELD_OUT_APPEARANCES = tuple(appearance for appearance in ALL_APPEARANCES if is_held_out(appearance))


def pick(rng: np.random.Generator, options):
    """Draw one of `options` uniformly; numpy's `choice` would turn the items into an array."""
    return options[int(rng.integers(len(options)))]


def near_misses(appearance: Appearance, attributes=('size', 'colour', 'shape')) -> list[Appearance]:
    """Return all appearances allowed in training that differ from `appearance` in exactly one of `attributes`."""
    values = {'size': tuple(SIZES), 'colour': tuple(COLOURS), 'shape': SHAPES}
    changed = [
        replace(appearance, **{attribute: value})
        for attribute in attributes
        for value in values[attribute]
        if value != getattr(appearance, attribute)
    ]
    return [other for other in changed if not is_held_out(other)]
