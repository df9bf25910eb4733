"""What is a sentence, and how many of them."""

import pytest

from ifirvos.errors import InputError, LimitError
from ifirvos.inference import sentences
from ifirvos.inference.sentences import check_sentences, texts_of_videos


def test_one_or_several_without_the_blanks_around_them():
    assert check_sentences('  the red star ') == ['the red star']
    assert check_sentences(('a  b', 'c\n')) == ['a  b', 'c']


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        ([], 'at least one'),
        (['a', '  '], 'Sentence 2 is empty'),
        (['a', 3], 'Sentence 2 is a int'),
        (['\udcff'], 'UTF-8'),
    ],
)
def test_what_is_no_sentence(texts, message):
    with pytest.raises(InputError, match=message):
        check_sentences(texts)


def test_limits(monkeypatch):
    monkeypatch.setattr(sentences, 'MAX_SENTENCES', 2)
    monkeypatch.setattr(sentences, 'MAX_CHARACTERS', 5)
    assert check_sentences(['a' * 5] * 2) == ['aaaaa'] * 2
    with pytest.raises(LimitError, match='6 characters, more than 5'):
        check_sentences('a' * 6)
    with pytest.raises(LimitError, match='IFIRVOS_MAX_SENTENCES'):
        check_sentences(['a'] * 3)


def test_sentences_of_several_videos():
    """The same for all, or a list for each."""
    assert texts_of_videos('a', 2) == [['a'], ['a']]
    assert texts_of_videos(['a', 'b'], 2) == [['a', 'b'], ['a', 'b']]
    assert texts_of_videos([['a'], ('b', 'c')], 2) == [['a'], ['b', 'c']]
    with pytest.raises(InputError, match='2 videos need 2 lists of sentences, or one list for all, not 1'):
        texts_of_videos([['a']], 2)
