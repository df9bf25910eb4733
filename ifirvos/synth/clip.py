"""One clip of SynthRVOS from (seed, split, index): scene, annotation and expressions."""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from ifirvos.errors import InputError

from .absent import ask_absent
from .expressions import MIXES, Expression, make_expressions
from .render import GroundTruth
from .sampling import PAIR_KINDS, sample_scene
from .scene import REFERENCE_SIZE

# Increase it whenever the same seed gives other clips: weights are trained on one version.
# 1.1 has all that 1 has, and the sentences of kind `absent`.
GENERATOR_VERSION = '1.1'
SPLITS = ('train', 'valid', 'comp')
_MAX_TRIES = 1000


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip.

    Attributes:
        video_id: Its name.
        facts: The ground truth of its scene.
        expressions: Each fits exactly one object.
        absent: Each fits none; their object id is 0.
    """

    video_id: str
    facts: GroundTruth
    expressions: list[Expression]
    absent: list[Expression] = field(default_factory=list)


def pair_kind(split: str, index: int) -> str:
    """Return the pair kind of a clip: the kinds in turn, so that their shares are exact; in `comp` always `spatial`."""
    return 'spatial' if split == 'comp' else PAIR_KINDS[index % len(PAIR_KINDS)]


def make_clip(seed: int, split: str, index: int, size: tuple[int, int] = REFERENCE_SIZE, num_frames: int = 24) -> Clip:
    """Make the clip `index` of `split` (one of SPLITS); it depends only on the arguments, not on other clips.

    Args:
        size: (height, width); everything scales with it.
        num_frames: 12 or more; the length of trajectories does not depend on it.

    Raises:
        ValueError: for an unknown split or too few frames.
        RuntimeError: if no attempt gives a sound clip, which frames of another shape than 2:3 can cause.
    """
    if split not in SPLITS:
        raise InputError(f'Unknown split {split!r}: use one of {", ".join(SPLITS)}.')
    if num_frames < 12:
        raise InputError(f'{num_frames} frames are too few to show an order of events: use 12 or more.')
    place = [seed, SPLITS.index(split), index]
    rng = np.random.default_rng(place)
    kind = pair_kind(split, index)
    for _ in range(_MAX_TRIES):
        facts = sample_scene(rng, kind, split == 'comp', size, num_frames)
        expressions = make_expressions(rng, facts, MIXES[split]) if facts else None
        if expressions:
            absent = ask_absent(np.random.default_rng([*place, 1]), facts, MIXES[split].absent)
            return Clip(f'{split}_{index:05d}', facts, expressions, absent)
    raise InputError(f'No clip of kind {kind!r} fits into frames of {size[0]}x{size[1]}: use a size nearer to 2:3.')


def clip_with(kinds: Collection[str], seed: int, split: str, start: int) -> Clip:
    """Return the first clip from index ``start`` on that has a sentence of each of the kinds.

    Args:
        kinds: Kinds of sentences.
        seed: Seed of the data set.
        split: Split of the data set; its clips begin at 0.
        start: Index of the first clip to try.
    """
    return next(
        clip
        for clip in (make_clip(seed, split, index) for index in count(start))
        if set(kinds) <= {expression.kind for expression in clip.expressions}
    )
