"""Sentences and the tokenizer made for them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

import ifirvos
from ifirvos.synth import make_clip
from ifirvos.synth.appearance import COLOURS, SHAPES
from ifirvos.synth.phrases import all_predicates, say, sentences, vocabulary
from ifirvos.synth.predicates import Both, Moves, Noun

TOKENIZER = Path(ifirvos.__file__).parent / 'assets' / 'synth_tokenizer'


@pytest.fixture(scope='module')
def tokenizer():
    return AutoTokenizer.from_pretrained(str(TOKENIZER))


def test_the_vocabulary_is_that_of_the_sentences():
    assert vocabulary() == {word for text in sentences(np.random.default_rng(0)) for word in text.split()}


def test_every_kind_of_predicate_has_four_sentences():
    by_kind = {}
    for predicate in all_predicates():
        what = getattr(predicate, 'second', predicate)
        key = type(what).__name__, getattr(what, 'moving', None) or getattr(what, 'direction', None)
        by_kind.setdefault(key, predicate)
    assert len(by_kind) >= 10
    rng = np.random.default_rng(0)
    for predicate in by_kind.values():
        heads = 'object|thing|shape|one'
        said = {re.sub(heads, 'X', say(predicate, rng)) for _ in range(200)}
        assert len(said) >= 4, predicate


def test_a_sentence_says_all_that_its_noun_names():
    rng = np.random.default_rng(0)
    for _ in range(50):
        words = say(Both(Noun('large', 'red', 'star'), Moves(True)), rng).split()
        assert {'red', 'star'} <= set(words)
        assert {'large', 'big'} & set(words)
        assert not {'moving', 'moves', 'motion', 'changes', 'still'}.isdisjoint(words)


def test_sides_are_whole_words_and_articles_fit():
    for sentence in sentences(np.random.default_rng(0)):
        assert not re.search(r'\w(left|right)|(left|right)\w', sentence), sentence
        assert not re.search(r'\ba [aeiou]', sentence), sentence
        assert '  ' not in sentence
        assert '{' not in sentence


def test_unknown_predicates_are_refused():
    with pytest.raises(TypeError, match='No sentence'):
        say(Moves(True), np.random.default_rng(0))


def test_tokenizer_frames_and_pads_like_roberta(tokenizer):
    ids = tokenizer(['the large red star', 'the'], padding=True)
    assert ids['input_ids'][0][0] == ids['input_ids'][1][0] == tokenizer.bos_token_id == 0
    assert ids['input_ids'][1][2:] == [2] + [1] * (len(ids['input_ids'][0]) - 3)
    assert ids['attention_mask'][1] == [1, 1, 1] + [0] * (len(ids['input_ids'][0]) - 3)
    assert [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id] == [
        1,
        2,
        3,
        4,
    ]


def test_tokenizer_has_every_word_of_the_generator_as_one_token(tokenizer):
    said = [asked.text for index in range(10) for asked in make_clip(0, 'train', index).expressions]
    for text in [*said, 'red star', f'the {" ".join([*COLOURS, *SHAPES])}']:
        assert len(tokenizer(text)['input_ids']) == len(text.split()) + 2, text


@given(st.text(st.characters(exclude_categories=['Cs'])).filter(lambda text: '<' not in text))
def test_tokenizer_gives_any_text_back(tokenizer, text):
    ids = tokenizer(text)['input_ids']
    assert 3 not in ids
    assert tokenizer.decode(ids[1:-1], clean_up_tokenization_spaces=False) == text


def test_tokenizer_files_are_those_the_tool_builds(tokenizer):
    """Guards the shipped weights: other sentences could give other ids."""
    merges = json.loads((TOKENIZER / 'tokenizer.json').read_text(encoding='utf-8'))['model']['merges']
    text = (TOKENIZER / 'merges.txt').read_text(encoding='utf-8').splitlines()[1:]
    assert [' '.join(merge) for merge in merges] == text
    assert len(tokenizer) == 537
