"""What sentences claim, checked on scenes small enough to see: circles of radius 18 whose paths are written down."""

import numpy as np
import pytest

from ifirvos.synth.appearance import Appearance
from ifirvos.synth.predicates import (
    AppearsLast,
    Beside,
    Both,
    DisappearsFirst,
    Heads,
    Moves,
    Noun,
    Outermost,
    Shows,
    all_of,
    referent,
)
from ifirvos.synth.render import ground_truth
from ifirvos.synth.scene import Scene, SceneObject, reverse

FRAMES = 24


def circle(start, end=None, colour='red', size='small', shape='circle', present=slice(None), coloured=slice(None)):
    """An object that goes straight from `start` to `end` (x, y)."""
    path = np.linspace(start, start if end is None else end, FRAMES)
    shown, drawn = np.zeros(FRAMES, bool), np.zeros(FRAMES, bool)
    shown[coloured], drawn[present] = True, True
    return SceneObject(Appearance(size, colour, shape), 18.0, np.round(path * 2) / 2, drawn, shown)


def facts_of(*things, hidden_last=True):
    order = range(len(things)) if hidden_last else reversed(range(len(things)))
    return ground_truth(Scene('spatial', (192, 288), things, tuple(order), 0))


@pytest.mark.parametrize(
    ('values', 'expected'), [([], True), ([True, None], None), ([None, False], False), ([True, True], True)]
)
def test_all_of_is_kleene_and(values, expected):
    assert all_of(values) is expected


def test_noun_names_only_what_it_says():
    facts = facts_of(circle((50, 50)), circle((150, 50), colour='blue'), circle((240, 50), size='large'))
    assert referent(Noun(colour='blue'), facts) == 1
    assert referent(Noun('small', 'red'), facts) == 0
    assert referent(Noun(shape='circle'), facts) is None  # all three
    assert referent(Noun(shape='star'), facts) is None  # none


def test_noun_of_the_flashing_colour_is_arguable():
    flashing = circle((50, 50), coloured=slice(4, 12))
    facts = facts_of(flashing, circle((150, 50), colour='blue'))
    assert Noun(colour='red').truth(facts, 0) is None
    assert Noun(colour='blue').truth(facts, 0) is False
    assert referent(Noun(shape='circle', colour='blue'), facts) == 1


def test_shows_wants_the_colour_seen():
    flashing = circle((50, 50), coloured=slice(4, 12))
    facts = facts_of(flashing, circle((150, 50), colour='blue', coloured=slice(4, 12)))
    assert referent(Shows('red'), facts) == 0
    hidden = facts_of(circle((50, 50), size='large', colour='green'), flashing)
    assert hidden.visible[1].max() == 0
    assert Shows('red').truth(hidden, 1) is None


def test_moves_has_a_gap_between_moving_and_standing():
    facts = facts_of(circle((50, 50), (150, 50)), circle((50, 120)), circle((50, 170), (70, 170)))
    assert [Moves(True).truth(facts, index) for index in range(3)] == [True, False, None]
    assert [Moves(False).truth(facts, index) for index in range(3)] == [False, True, None]


def test_heads_wants_one_direction_all_the_time():
    there_and_back = circle((50, 50))
    there_and_back.centres[:, 0] += np.r_[np.arange(12), np.arange(12)[::-1]] * 10
    facts = facts_of(
        circle((200, 50), (90, 50)),
        circle((90, 110), (200, 110)),
        circle((200, 20), (100, 130)),  # left and down as much
        there_and_back,
        circle((250, 150)),
    )
    assert [Heads('left').truth(facts, index) for index in range(5)] == [True, False, None, None, False]
    assert [Heads('right').truth(facts, index) for index in range(5)] == [False, True, False, None, False]
    assert Heads('down').truth(facts, 2) is None


def test_heads_is_arguable_after_a_step_back():
    overshoot = circle((220, 50))
    overshoot.centres[:, 0] -= np.r_[np.arange(18) * 8, 136 - np.arange(1, 7) * 8]
    assert Heads('left').truth(facts_of(overshoot), 0) is None


def test_reversal_swaps_heads():
    facts = facts_of(circle((200, 50), (90, 50)), circle((90, 110), (200, 110)))
    backwards = ground_truth(reverse(facts.scene))
    assert referent(Heads('left'), facts) == 0
    assert referent(Heads('left'), backwards) == 1


@pytest.mark.parametrize(('x', 'expected'), [(100, True), (125, None), (140, False), (200, False)])
def test_beside_has_a_margin(x, expected):
    facts = facts_of(circle((x, 50)), circle((140, 120), colour='blue'))
    assert Beside('left', Noun(colour='blue')).truth(facts, 0) is expected


def test_beside_holds_in_all_frames_or_is_arguable():
    crossing = circle((60, 50), (220, 50))
    facts = facts_of(crossing, circle((140, 120), colour='blue'), circle((60, 150)))
    claim = Both(Noun(colour='red'), Beside('left', Noun(colour='blue')))
    assert [claim.truth(facts, index) for index in range(3)] == [None, False, True]
    assert referent(claim, facts) is None


def test_beside_needs_an_anchor_that_is_there_and_the_only_one():
    leaving = circle((140, 120), (140, 300), colour='blue')
    facts = facts_of(circle((60, 50)), leaving)
    assert Beside('left', Noun(colour='blue')).truth(facts, 0) is None
    assert Beside('left', Noun(shape='circle')).truth(facts, 0) is None


def test_outermost_compares_within_the_noun():
    facts = facts_of(circle((120, 50)), circle((220, 50)), circle((30, 50), colour='blue'))
    assert referent(Outermost('left', Noun(colour='red')), facts) == 0
    assert referent(Outermost('right', Noun(colour='red')), facts) == 1
    assert referent(Outermost('left', Noun()), facts) == 2


def test_order_of_appearance_and_its_reverse():
    late, early = circle((60, 50), present=slice(10, None)), circle((200, 50), present=slice(0, 14))
    facts = facts_of(late, early, circle((130, 150), colour='blue'))
    backwards = ground_truth(reverse(facts.scene))
    for claim, first in ((AppearsLast(Noun(colour='red')), 0), (DisappearsFirst(Noun(colour='red')), 1)):
        assert referent(claim, facts) == first
        assert referent(claim, backwards) == 1 - first


def test_order_too_close_is_arguable():
    facts = facts_of(circle((60, 50), present=slice(10, None)), circle((200, 50), present=slice(8, None)))
    assert AppearsLast(Noun()).truth(facts, 0) is None


def test_hidden_at_first_counts_as_not_yet_seen():
    cover = circle((60, 50), (200, 150), size='large', colour='blue')
    facts = facts_of(cover, circle((60, 50)))
    assert facts.visible[1][0] == 0
    assert AppearsLast(Noun()).truth(facts, 1) is not False
