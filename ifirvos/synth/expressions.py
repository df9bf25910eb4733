"""Sentences for a scene, generated from predicates that are checked to fit exactly one object."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .appearance import Appearance, pick, telling_attributes
from .phrases import say
from .predicates import (
    AppearsLast,
    Beside,
    Both,
    DisappearsFirst,
    Heads,
    Moves,
    Noun,
    Outermost,
    Predicate,
    Shows,
    beside,
    referent,
)
from .render import GroundTruth
from .trajectories import DIRECTIONS

KINDS = ('attr', 'spatial', 'relation', 'motion', 'coherence', 'direction', 'order')
_PAIR = (0, 1)  # indices of the pair
_ATTRIBUTES = ('size', 'colour', 'shape')
_AXES = (('left', 'right'), ('up', 'down'))


@dataclass(frozen=True)
class Expression:
    """A sentence, its predicate, its kind (of KINDS, or `absent`), and the id of the one object it fits (0: none)."""

    kind: str
    predicate: Predicate
    text: str
    object_id: int


@dataclass(frozen=True)
class Mix:
    """How many expressions a clip gets.

    Attributes:
        paraphrases: Paraphrases for each member of the pair; one for the spatial question beside another pair kind.
        attr: Largest number of sentences that name an object by its appearance.
        relation: Largest number of relation sentences.
        absent: Largest number of sentences that fit nothing; drawn apart from the others (see absent.py).
        held_out_only: Ask only for held-out combinations, and name all attributes that make them so.
    """

    paraphrases: int
    attr: int
    relation: int
    absent: int = 0
    held_out_only: bool = False


# Of 8,000 training clips a fifth has each pair kind (see clip.py): 1,600 x 4 = 6,400 expressions a kind or more.
MIXES = {
    'train': Mix(paraphrases=2, attr=2, relation=2, absent=2),
    'valid': Mix(paraphrases=1, attr=1, relation=1, absent=1),
    'comp': Mix(paraphrases=1, attr=1, relation=0, held_out_only=True),
}


def make_expressions(rng: np.random.Generator, facts: GroundTruth, mix: Mix) -> list[Expression] | None:
    """Return the expressions of one clip; None if there is none of its pair kind, or with `held_out_only` of `attr`.

    In every kind, equally many sentences refer to each of the pair: always answering the same one of the two is right
    exactly half of the time.
    """
    kind = facts.scene.kind
    asked = _ask_pair(rng, facts, kind, mix.paraphrases, mix.held_out_only)
    if not asked:
        return None
    if kind != 'spatial':
        asked += _ask_pair(rng, facts, 'spatial', 1, mix.held_out_only)
    attributes = _ask_attributes(rng, facts, mix)
    if mix.held_out_only and not attributes:
        return None
    return asked + attributes + _ask_relations(rng, facts, mix.relation)


def _ask_pair(
    rng: np.random.Generator, facts: GroundTruth, kind: str, paraphrases: int, held_out_only: bool
) -> list[Expression]:
    """Return `paraphrases` sentences for each member of the pair; [] if none is sound for both."""
    appearance = facts.scene.objects[0].appearance
    required = telling_attributes(appearance) if held_out_only else ()
    claims = [
        predicates
        for attributes in _subsets(_common_attributes(facts))
        if set(required) <= set(attributes)
        for predicates in _pair_claims(kind, facts, Noun.of(appearance, attributes))
        if {referent(predicate, facts) for predicate in predicates} == set(_PAIR)
    ]
    if not claims:
        return []
    said: dict[tuple[int, str], Expression] = {}
    while len(said) < paraphrases * len(_PAIR):
        for predicate in pick(rng, claims):
            target = referent(predicate, facts)
            if sum(index == target for index, _ in said) < paraphrases:
                text = say(predicate, rng)
                said[target, text] = Expression(kind, predicate, text, target + 1)
    return list(said.values())


def _pair_claims(kind: str, facts: GroundTruth, noun: Noun) -> list[tuple[Predicate, Predicate]]:
    """Return the predicates of the kind, for the one and the other member of the pair."""
    match kind:
        case 'spatial':
            return [tuple(Outermost(side, noun) for side in axis) for axis in _AXES]
        case 'motion':
            return [(Both(noun, Moves(True)), Both(noun, Moves(False)))]
        case 'coherence':
            return [tuple(Both(noun, Shows(facts.scene.objects[index].appearance.colour)) for index in _PAIR)]
        case 'direction':
            return [tuple(Both(noun, Heads(side)) for side in axis) for axis in _AXES]
        case 'order':
            return [(AppearsLast(noun), DisappearsFirst(noun))]
    raise ValueError(f'Unknown pair kind {kind!r}.')


def _ask_attributes(rng: np.random.Generator, facts: GroundTruth, mix: Mix) -> list[Expression]:
    asked = []
    for index in rng.permutation(len(facts.scene.objects)).tolist():
        appearance = facts.scene.objects[index].appearance
        required = telling_attributes(appearance)
        if mix.held_out_only and not required:
            continue
        nouns = [
            noun
            for attributes in _subsets(_ATTRIBUTES)
            if attributes and (not mix.held_out_only or set(required) <= set(attributes))
            if referent(noun := Noun.of(appearance, attributes), facts) == index
        ]
        if nouns and len(asked) < mix.attr:
            noun = pick(rng, nouns)
            asked.append(Expression('attr', noun, say(noun, rng), index + 1))
    return asked


def _ask_relations(rng: np.random.Generator, facts: GroundTruth, count: int) -> list[Expression]:
    """Return relations whose noun alone fits several objects, so that the relation is needed."""
    things = facts.scene.objects
    anchors = {
        index: nouns
        for index, thing in enumerate(things)
        if (nouns := [noun for noun in _nouns(thing.appearance) if referent(noun, facts) == index])
    }
    true_sides = [
        (index, anchor, side)
        for index in range(len(things))
        for anchor in anchors
        for side in DIRECTIONS
        if index != anchor and beside(facts, index, anchor, side)
    ]
    asked = []
    for choice in rng.permutation(len(true_sides)).tolist():
        index, anchor, side = true_sides[choice]
        predicates = [
            Both(Noun.of(things[index].appearance, attributes), Beside(side, pick(rng, anchors[anchor])))
            for attributes in _subsets(_ATTRIBUTES)
        ]
        sound = [
            predicate
            for predicate in predicates
            if referent(predicate.first, facts) is None and referent(predicate, facts) == index
        ]
        if sound and len(asked) < count:
            predicate = pick(rng, sound)
            asked.append(Expression('relation', predicate, say(predicate, rng), index + 1))
    return asked


def _common_attributes(facts: GroundTruth) -> tuple[str, ...]:
    first, second = (facts.scene.objects[index].appearance for index in _PAIR)
    return tuple(name for name in _ATTRIBUTES if getattr(first, name) == getattr(second, name))


def _subsets(attributes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(attributes) + 1):
        yield from combinations(attributes, count)


def _nouns(appearance: Appearance) -> Iterator[Noun]:
    """Return the nouns that fit `appearance` and name at least one attribute."""
    return (Noun.of(appearance, attributes) for attributes in _subsets(_ATTRIBUTES) if attributes)
