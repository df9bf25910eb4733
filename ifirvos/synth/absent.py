"""Sentences that fit no object: none in the scene has the appearance they describe.

They are drawn with a generator of their own, after everything else of a clip: a clip's frames and its other sentences
are the same with and without them.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from .appearance import TRAIN_LOOKS, Look, pick
from .expressions import Expression
from .phrases import say
from .predicates import Beside, Both, Heads, Moves, Noun, Outermost, Predicate, referent
from .render import GroundTruth
from .trajectories import DIRECTIONS

ABSENT = 'absent'  # the kind
NO_OBJECT = 0  # the object id of such a sentence: the pixel value of the background
NEAR_MISS_SHARE = 0.6  # one attribute away from an object of the scene; the others name any look
PLAIN_SHARE = 0.5  # say a look and no more, as `attr` does; the others take the form of another kind
_ATTRIBUTES = ('size', 'colour', 'shape')
# With one attribute at least, and of a look that training may show.
TRAIN_NOUNS = tuple(
    dict.fromkeys(
        Noun.of(look, names)
        for count in (1, 2, 3)
        for names in combinations(_ATTRIBUTES, count)
        for look in TRAIN_LOOKS
    )
)


def fits_nothing(predicate: Predicate, facts: GroundTruth) -> bool:
    """Return whether `predicate` is False, not None, for every object."""
    return all(predicate.truth(facts, index) is False for index in range(len(facts.scene.objects)))


def ask_absent(rng: np.random.Generator, facts: GroundTruth, count: int) -> list[Expression]:
    """Draw at most `count` sentences that fit no object of the scene, of kind `absent` and with the object id 0.

    A look that training never shows (`appearance.HELD_OUT_LOOKS`) is not named: a model that has learnt that red stars
    are never there could not find one.
    """
    asked: dict[str, Expression] = {}
    absent = [noun for noun in TRAIN_NOUNS if fits_nothing(noun, facts)]
    near = [noun for noun in absent if any(_differences(noun, thing.look) == 1 for thing in facts.scene.objects)]
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


def _differences(noun: Noun, look: Look) -> int:
    return sum(getattr(noun, name) not in (None, getattr(look, name)) for name in _ATTRIBUTES)


def _claims(noun: Noun, facts: GroundTruth) -> Iterator[Predicate]:
    """Yield further claims about a noun, in the forms of the other kinds."""
    yield from (Outermost(side, noun) for side in DIRECTIONS)
    yield from (Both(noun, Moves(moving)) for moving in (True, False))
    yield from (Both(noun, Heads(direction)) for direction in DIRECTIONS)
    for thing in facts.scene.objects:
        anchor = Noun.of(thing.look, ('colour', 'shape'))
        if referent(anchor, facts) is not None:
            yield from (Both(noun, Beside(side, anchor)) for side in DIRECTIONS)
