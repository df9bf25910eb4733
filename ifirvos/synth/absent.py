"""Sentences that fit no object: none in the scene has the appearance they describe.

They are drawn last, with a random generator of their own, so that the frames and the other sentences of a clip do not
depend on them.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from .appearance import TRAIN_APPEARANCES, Appearance, pick
from .expressions import Expression
from .phrases import say
from .predicates import Beside, Both, Heads, Moves, Noun, Outermost, Predicate, referent
from .render import GroundTruth
from .trajectories import DIRECTIONS

ABSENT = 'absent'  # the kind
NO_OBJECT = 0  # the object id of such a sentence: the pixel value of the background
NEAR_MISS_SHARE = 0.6  # share that differs from an object of the scene in one attribute; the others name any appearance
PLAIN_SHARE = 0.5  # share that names only an appearance, as `attr` does; the others take the form of another kind
_ATTRIBUTES = ('size', 'colour', 'shape')
# With at least one attribute, of appearances allowed in training.
TRAIN_NOUNS = tuple(
    dict.fromkeys(
        Noun.of(appearance, names)
        for count in (1, 2, 3)
        for names in combinations(_ATTRIBUTES, count)
        for appearance in TRAIN_APPEARANCES
    )
)


def fits_nothing(predicate: Predicate, facts: GroundTruth) -> bool:
    """Return whether `predicate` is False, not None, for every object."""
    return all(predicate.truth(facts, index) is False for index in range(len(facts.scene.objects)))


def ask_absent(rng: np.random.Generator, facts: GroundTruth, count: int) -> list[Expression]:
    """Draw at most `count` sentences that fit no object of the scene, of kind `absent` and with the object id 0.

    They never name held-out appearances (`appearance.HELD_OUT_APPEARANCES`): a model would learn from them that there
    are no red stars.
    """
    asked: dict[str, Expression] = {}
    absent = [noun for noun in TRAIN_NOUNS if fits_nothing(noun, facts)]
    near = [noun for noun in absent if any(_differences(noun, thing.appearance) == 1 for thing in facts.scene.objects)]
    nouns = {True: near, False: absent}
    for _ in range(20 * count):
        options = nouns[bool(rng.random() < NEAR_MISS_SHARE)]
        if len(asked) == count or not options:
            break
        noun = pick(rng, options)
        predicate = noun if rng.random() < PLAIN_SHARE else pick(rng, list(_claims(noun, facts)))
        if fits_nothing(predicate, facts):
            text = say(predicate, rng)
            asked[text] = Expression(ABSENT, predicate, text, NO_OBJECT)
    return list(asked.values())


def _differences(noun: Noun, appearance: Appearance) -> int:
    return sum(getattr(noun, name) not in (None, getattr(appearance, name)) for name in _ATTRIBUTES)


def _claims(noun: Noun, facts: GroundTruth) -> Iterator[Predicate]:
    """Yield further claims about a noun, in the forms of the other kinds."""
    yield from (Outermost(side, noun) for side in DIRECTIONS)
    yield from (Both(noun, Moves(moving)) for moving in (True, False))
    yield from (Both(noun, Heads(direction)) for direction in DIRECTIONS)
    for thing in facts.scene.objects:
        anchor = Noun.of(thing.appearance, ('colour', 'shape'))
        if referent(anchor, facts) is not None:
            yield from (Both(noun, Beside(side, anchor)) for side in DIRECTIONS)
