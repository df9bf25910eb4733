"""One clip of SynthRVOS from (seed, split, index): scene, annotation and expressions."""

from dataclasses import dataclass

import numpy as np

from .expressions import MIXES, Expression, make_expressions
from .render import GroundTruth
from .sampling import PAIR_KINDS, sample_scene
from .scene import REFERENCE_SIZE

# Raise it whenever the same seed gives other clips: weights are trained on one version.
GENERATOR_VERSION = '1'
SPLITS = ('train', 'valid', 'comp')
_MAX_TRIES = 1000


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip: its `video_id`, the ground truth of its scene, and its expressions."""

    video_id: str
    facts: GroundTruth
    expressions: list[Expression]


def pair_kind(split: str, index: int) -> str:
    """Return the pair kind of a clip: kinds take turns to get their exact shares; `comp` asks `spatial` only."""
    return 'spatial' if split == 'comp' else PAIR_KINDS[index % len(PAIR_KINDS)]


def make_clip(seed: int, split: str, index: int, size: tuple[int, int] = REFERENCE_SIZE, num_frames: int = 24) -> Clip:
    """Make the clip `index` of `split` (one of SPLITS); it depends on the arguments alone, not on the clips before it.

    Args:
        size: (height, width); everything scales with it.
        num_frames: 12 or more; paths are as long whatever it is.

    Raises:
        ValueError: for an unknown split or too few frames.
        RuntimeError: if no try gives a sound clip, which a frame far from 2:3 can cause.
    """
    if split not in SPLITS:
        raise ValueError(f'Unknown split {split!r}: use one of {", ".join(SPLITS)}.')
    if num_frames < 12:
        raise ValueError(f'{num_frames} frames are too few to show an order of events: use 12 or more.')
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    kind = pair_kind(split, index)
    for _ in range(_MAX_TRIES):
        facts = sample_scene(rng, kind, split == 'comp', size, num_frames)
        expressions = make_expressions(rng, facts, MIXES[split]) if facts else None
        if expressions:
            return Clip(f'{split}_{index:05d}', facts, expressions)
    raise RuntimeError(f'No clip of kind {kind!r} fits into frames of {size[0]}x{size[1]}: use a size nearer to 2:3.')
