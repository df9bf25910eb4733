"""The shipped model says when it is asked about something it cannot know."""

import numpy as np
import pytest
from mmengine.logging import MMLogger

from ifirvos.inference.domain import not_like_synth_rvos, unknown_words, warn_of_another_domain
from ifirvos.synth.clip import make_clip
from ifirvos.synth.render import draw_frames


@pytest.fixture(scope='module')
def rendered() -> list[np.ndarray]:
    return list(draw_frames(make_clip(0, 'valid', 3).facts.scene))[:4]


@pytest.fixture(scope='module')
def photograph() -> np.ndarray:
    """Not one that is there: what photographs have is detail everywhere."""
    detail = np.random.default_rng(0).normal(0, 12, (192, 288, 3)).cumsum(1)
    return np.clip(128 + detail - detail.mean(), 0, 255).astype(np.uint8)


def test_every_sentence_of_synth_rvos_is_known():
    texts = [expression.text for index in range(40) for expression in make_clip(0, 'valid', index).expressions]
    assert len({word for text in texts for word in text.lower().split()}) > 40
    assert unknown_words(texts) == []


def test_its_own_clips_and_sentences_are_like_it(rendered):
    assert not_like_synth_rvos(rendered, ['the large red star', 'the circle on the left']) is None


def test_other_words_and_other_frames_are_not(rendered, photograph):
    assert not_like_synth_rvos(rendered, ['the red star', 'the dog']) == "it has never read 'dog' in 'the dog'"
    assert 'plain colours' in not_like_synth_rvos([photograph], ['the red star'])


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('The GREN star', "'gren' (for 'green'?) in 'The GREN star'"),
        ('the cat', "'cat' in 'the cat'"),  # a piece of "located", so a token
        ('the blue s', "'s' in 'the blue s'"),
        ('the ' + 'zebra ' * 40, f"'zebra' in '{('the ' + 'zebra ' * 40)[:60]} …'"),
    ],
)
def test_an_unknown_word_is_named_with_its_sentence_and_a_similar_one(text, says):
    assert unknown_words([text]) == [says]


def test_of_many_words_it_is_said_how_many_more():
    assert unknown_words(['aa bb', 'cc dd ee ff gg aa'], most=5)[4:] == ["'ee' in 'cc dd ee ff gg aa'", '2 more']


@pytest.mark.parametrize('text', ['!!!', '\N{LARGE RED CIRCLE}'])
def test_a_sentence_without_a_word(text):
    assert unknown_words([text]) == [f'{text!r} in {text!r}']


def test_a_word_in_several_sentences_is_named_once():
    assert unknown_words(['the dog', 'a red dog', 'the big bird']) == ["'dog' in 'the dog'", "'bird' in 'the big bird'"]


def test_the_card_decides_who_warns(photograph, monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lambda *args: said.append(args[0] % args[1:]))
    warn_of_another_domain(None, [photograph], ['the dog'])
    warn_of_another_domain('referformer-r50-ytvos', [photograph], ['the dog'])
    assert not said
    warn_of_another_domain('r18_synth', [photograph], ['the dog'])
    (line,) = said
    assert '--model referformer-r50-ytvos-joint' in line
