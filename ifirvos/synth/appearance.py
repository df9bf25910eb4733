"""Appearances of SynthRVOS's objects, and the combinations held out from training."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

# RGB. Seven hues far enough apart to be told at 64x96 under the shading and the JPEG loss.
COLOURS = {
    'red': (214, 40, 40),
    'orange': (244, 140, 26),
    'yellow': (242, 222, 56),
    'green': (52, 168, 72),
    'cyan': (70, 208, 214),
    'blue': (44, 84, 216),
    'pink': (244, 128, 204),
}
# What the objects of a `coherence` pair wear outside their window; no object has it as its own colour.
GREY = (146, 146, 146)
SHAPES = ('circle', 'square', 'triangle', 'star', 'cross')
# Radius in pixels of a 192x288 frame: 5.5-7 and 10-12 once resized to 64x96.
SIZES = {'small': (17.0, 21.0), 'large': (30.0, 36.0)}


@dataclass(frozen=True)
class Look:
    """The three attributes a sentence can name: `size` of SIZES, `colour` of COLOURS, `shape` of SHAPES."""

    size: str
    colour: str
    shape: str


# The compositional hold-out: these never occur in train and valid, neither asked for nor as a distractor, while every
# colour, shape and size does. A third of the looks of `comp` are of the second sort, whose other size training knows.
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

ALL_LOOKS = tuple(Look(size, colour, shape) for size, colour, shape in product(SIZES, COLOURS, SHAPES))


def telling_attributes(look: Look) -> tuple[str, ...]:
    """Return the attributes that make `look` a held-out combination, () if training may show it."""
    if (look.colour, look.shape) in HELD_OUT_COLOUR_SHAPE:
        return ('colour', 'shape')
    if (look.colour, look.shape, look.size) in HELD_OUT_COLOUR_SHAPE_SIZE:
        return ('size', 'colour', 'shape')
    return ()


def is_held_out(look: Look) -> bool:
    """Return whether `look` is one of the combinations that only `comp` shows."""
    return bool(telling_attributes(look))


TRAIN_LOOKS = tuple(look for look in ALL_LOOKS if not is_held_out(look))
HELD_OUT_LOOKS = tuple(look for look in ALL_LOOKS if is_held_out(look))


def pick(rng: np.random.Generator, options):
    """One of `options` (any sequence, whose items numpy would turn into an array), each as likely."""
    return options[int(rng.integers(len(options)))]


def near_misses(look: Look, attributes=('size', 'colour', 'shape')) -> list[Look]:
    """Return all appearances allowed in training that differ from `look` in exactly one of `attributes`."""
    values = {'size': tuple(SIZES), 'colour': tuple(COLOURS), 'shape': SHAPES}
    changed = [
        replace(look, **{attribute: value})
        for attribute in attributes
        for value in values[attribute]
        if value != getattr(look, attribute)
    ]
    return [other for other in changed if not is_held_out(other)]
