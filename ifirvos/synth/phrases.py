"""Sentences for predicates. Sides are always the whole words left and right, so that a flip can swap them."""

import re
from collections.abc import Iterator
from itertools import chain, product

import numpy as np

from .appearance import COLOURS, SHAPES, SIZES, pick
from .predicates import AppearsLast, Beside, Both, DisappearsFirst, Heads, Moves, Noun, Outermost, Predicate, Shows

SIZE_WORDS = {'small': ('small', 'little', 'tiny'), 'large': ('large', 'big')}
HEADS = ('object', 'thing', 'shape', 'one')  # for a noun that names no shape

# {np}: adjectives and head; {head}: the head alone; {adjectives}: "large and red".
ATTRIBUTE = ('the {np}', '{np}', 'a {np}', 'the {np} in the video', 'find the {np}')
ATTRIBUTE_WITH_ADJECTIVES = (*ATTRIBUTE, 'the {head} that is {adjectives}')
MOVES = {
    True: (
        'the {np} that is moving',
        'the moving {np}',
        'the {np} that moves',
        'the {np} in motion',
        'the {np} that changes its place',
        'the {np} that does not stand still',
    ),
    False: (
        'the {np} that stands still',
        'the {np} that is standing still',
        'the {np} that does not move',
        'the {np} at rest',
        'the {np} that stays in its place',
        'the {np} that is not moving',
    ),
}
HEADING = (
    'the {np} moving {way}',
    'the {np} that moves {way}',
    'the {np} that is moving {way}',
    'the {np} going {way}',
    'the {np} heading {way}',
    'the {np} that travels {way}',
)
WAYS = {
    'left': ('left', 'to the left', 'towards the left'),
    'right': ('right', 'to the right', 'towards the right'),
    'up': ('up', 'upwards', 'towards the top'),
    'down': ('down', 'downwards', 'towards the bottom'),
}
SHOWS = (
    'the {np} that flashes {colour}',
    'the {np} that turns {colour}',
    'the {np} that becomes {colour}',
    'the {np} that lights up {colour}',
    'the {np} that is {colour} for a while',
    'the {np} that is {colour} at some point',
)
_LEFT_OR_RIGHT = (
    'the {np} on the {side}',
    'the {np} on the {side} side',
    'the {side} {np}',
    'the {np} farther to the {side}',
    'the {np} that is more to the {side}',
)
OUTERMOST = {
    'left': tuple(template.replace('{side}', 'left') for template in _LEFT_OR_RIGHT),
    'right': tuple(template.replace('{side}', 'right') for template in _LEFT_OR_RIGHT),
    'up': (
        'the {np} at the top',
        'the upper {np}',
        'the top {np}',
        'the {np} that is higher up',
        'the {np} farther up',
    ),
    'down': (
        'the {np} at the bottom',
        'the lower {np}',
        'the bottom {np}',
        'the {np} that is lower down',
        'the {np} farther down',
    ),
}
APPEARS_LAST = (
    'the {np} that appears last',
    'the last {np} to appear',
    'the {np} that appears later',
    'the {np} that shows up last',
    'the {np} that comes in last',
)
DISAPPEARS_FIRST = (
    'the {np} that disappears first',
    'the first {np} to disappear',
    'the {np} that disappears earlier',
    'the {np} that vanishes first',
    'the {np} that goes away first',
)
BESIDE = (
    'the {np} {side} the {anchor}',
    'the {np} that is {side} the {anchor}',
    'the {np} which lies {side} the {anchor}',
    'the {np} located {side} the {anchor}',
)
SIDES = {
    'left': ('left of', 'to the left of', 'on the left side of'),
    'right': ('right of', 'to the right of', 'on the right side of'),
    'up': ('above', 'higher than', 'higher up than'),
    'down': ('below', 'lower than', 'lower down than'),
}


def say(predicate: Predicate, rng: np.random.Generator) -> str:
    """Draw one of the sentences for `predicate`.

    Raises:
        TypeError: there is no sentence for such a predicate.
    """
    noun, templates, words = _wording(predicate)
    template = pick(rng, templates)
    filled = {name: pick(rng, options) for name, options in words.items() if f'{{{name}}}' in template}
    return _fill(template, rng, noun, filled)


def _wording(predicate: Predicate) -> tuple[Noun, tuple[str, ...], dict[str, tuple]]:
    """Return the noun of a predicate, its templates, and the options for their other slots (words, or nouns)."""
    match predicate:
        case Noun(size, colour):
            return predicate, ATTRIBUTE_WITH_ADJECTIVES if size or colour else ATTRIBUTE, {}
        case Both(Noun() as noun, Moves(moving)):
            return noun, MOVES[moving], {}
        case Both(Noun() as noun, Heads(direction)):
            return noun, HEADING, {'way': WAYS[direction]}
        case Both(Noun() as noun, Shows(colour)):
            return noun, SHOWS, {'colour': (colour,)}
        case Both(Noun() as noun, Beside(side, anchor)):
            return noun, BESIDE, {'side': SIDES[side], 'anchor': (anchor,)}
        case Outermost(side, noun):
            return noun, OUTERMOST[side], {}
        case AppearsLast(noun):
            return noun, APPEARS_LAST, {}
        case DisappearsFirst(noun):
            return noun, DISAPPEARS_FIRST, {}
    raise TypeError(f'No sentence is known for {predicate}.')


def _fill(template: str, rng: np.random.Generator, noun: Noun, words: dict[str, str | Noun]) -> str:
    adjectives, head = _noun_words(noun, rng)
    words = {
        name: ' '.join(sum(_noun_words(word, rng), ())) if isinstance(word, Noun) else word
        for name, word in words.items()
    }
    text = template.format(np=' '.join(adjectives + head), head=head[0], adjectives=' and '.join(adjectives), **words)
    return re.sub(r'\ba (?=[aeiou])', 'an ', text)


def _noun_words(noun: Noun, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str]]:
    adjectives = (pick(rng, SIZE_WORDS[noun.size]),) if noun.size else ()
    if noun.colour:
        adjectives += (noun.colour,)
    return adjectives, (noun.shape or pick(rng, HEADS),)


def vocabulary() -> frozenset[str]:
    """Return the words of all sentences."""
    by_option = (MOVES, WAYS, OUTERMOST, SIDES, SIZE_WORDS)
    groups = (ATTRIBUTE_WITH_ADJECTIVES, HEADING, SHOWS, APPEARS_LAST, DISAPPEARS_FIRST, BESIDE, HEADS, COLOURS, SHAPES)
    parts = chain(*groups, *(options for group in by_option for options in group.values()))
    words = chain.from_iterable(re.sub(r'{\w+}', ' ', part).split() for part in parts)
    return frozenset(words) | {'an', 'and'}  # which joining words makes


def all_predicates() -> Iterator[Predicate]:
    """Yield every predicate of the generator with every noun; each noun occurs once with each side of an anchor."""
    nouns = [Noun(*values) for values in product((None, *SIZES), (None, *COLOURS), (None, *SHAPES))]
    for index, noun in enumerate(nouns):
        yield noun
        yield AppearsLast(noun)
        yield DisappearsFirst(noun)
        for moving in MOVES:
            yield Both(noun, Moves(moving))
        for colour in COLOURS:
            yield Both(noun, Shows(colour))
        for offset, side in enumerate(SIDES):
            yield Outermost(side, noun)
            yield Both(noun, Heads(side))
            yield Both(noun, Beside(side, nouns[(7 * index + offset) % len(nouns)]))


def sentences(rng: np.random.Generator) -> Iterator[str]:
    """Yield sentences of every template with every noun, with words drawn by `rng`, to train a tokenizer on."""
    for predicate in all_predicates():
        noun, templates, words = _wording(predicate)
        for template in templates:
            yield _fill(template, rng, noun, {name: pick(rng, options) for name, options in words.items()})
