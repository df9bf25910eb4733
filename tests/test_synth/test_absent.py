"""Sentences that fit nothing: proved, of appearances that training may name, and drawn apart from everything else."""

from dataclasses import astuple, replace

import numpy as np
import pytest

from ifirvos.synth import ABSENT, NO_OBJECT, make_clip
from ifirvos.synth.absent import ask_absent, fits_nothing
from ifirvos.synth.appearance import TRAIN_APPEARANCES
from ifirvos.synth.predicates import Both, Moves, Noun, Outermost

CLIPS = [make_clip(0, 'train', index) for index in range(25)]


def noun_of(predicate) -> Noun:
    while not isinstance(predicate, Noun):
        predicate = predicate.noun if isinstance(predicate, Outermost) else predicate.first
    return predicate


def matches(noun: Noun, appearance) -> bool:
    return all(named in (None, getattr(appearance, name)) for name, named in vars(noun).items())


def test_no_object_has_the_appearance_that_is_named():
    asked = [(clip, sentence) for clip in CLIPS for sentence in clip.absent]
    assert len(asked) >= 45
    for clip, sentence in asked:
        assert (sentence.kind, sentence.object_id) == (ABSENT, NO_OBJECT)
        noun = noun_of(sentence.predicate)
        assert not any(matches(noun, thing.appearance) for thing in clip.facts.scene.objects), sentence.text


def test_only_appearances_of_training_are_named():
    for clip in CLIPS:
        for sentence in clip.absent:
            noun = noun_of(sentence.predicate)
            assert any(matches(noun, appearance) for appearance in TRAIN_APPEARANCES), sentence.text


def test_forms_and_near_misses_are_mixed():
    asked = [(clip, sentence) for clip in CLIPS for sentence in ask_absent(np.random.default_rng(0), clip.facts, 4)]
    plain = np.mean([isinstance(sentence.predicate, Noun) for _, sentence in asked])
    assert 0.3 < plain < 0.7
    words = ' '.join(sentence.text for _, sentence in asked)
    assert all(word in words for word in ('left', 'of the', 'mov'))


def test_what_a_person_could_argue_about_is_not_absent():
    clip = next(clip for clip in CLIPS if clip.facts.scene.kind == 'motion')
    things = clip.facts.scene.objects
    standing = next(index for index in (0, 1) if np.ptp(things[index].centres, axis=0).max() == 0)
    appearance = things[standing].appearance
    assert not fits_nothing(Noun.of(appearance, ('shape',)), clip.facts)
    drifting = replace(things[standing], centres=things[standing].centres + np.linspace(0, 10, 24)[:, None])
    scene = replace(clip.facts.scene, objects=tuple(drifting if t is things[standing] else t for t in things))
    facts = replace(clip.facts, scene=scene)
    claim = Both(Noun.of(appearance, ('size', 'colour', 'shape')), Moves(False))
    assert claim.truth(facts, standing) is None
    assert not fits_nothing(claim, facts)


def test_a_scene_of_everything_gives_none():
    clip = CLIPS[0]
    appearances = iter(TRAIN_APPEARANCES)
    everything = tuple(replace(clip.facts.scene.objects[0], appearance=appearance) for appearance in appearances)
    facts = replace(
        clip.facts,
        scene=replace(clip.facts.scene, objects=everything),
        in_view=np.ones((len(everything), 24)),
        visible=np.ones((len(everything), 24)),
    )
    assert ask_absent(np.random.default_rng(0), facts, 2) == []


@pytest.mark.parametrize('split', ['train', 'valid', 'comp'])
def test_how_many_and_reproducible(split):
    one, other = make_clip(3, split, 7), make_clip(3, split, 7)
    assert list(map(astuple, one.absent)) == list(map(astuple, other.absent))
    assert len(one.absent) == {'train': 2, 'valid': 1, 'comp': 0}[split]
    assert all(sentence.kind != ABSENT for sentence in one.expressions)
