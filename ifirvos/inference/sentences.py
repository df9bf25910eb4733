"""The sentences that the inferencer is given: what is one, and how many."""

from collections.abc import Iterable, Sequence

from ifirvos.errors import InputError, LimitError
from ifirvos.json_files import limit_of

MAX_SENTENCES = 1000  # IFIRVOS_MAX_SENTENCES sets another limit
MAX_CHARACTERS = 10_000  # of a sentence: RoBERTa takes some 2,000


def check_sentences(texts: str | Sequence[str]) -> list[str]:
    """Return the sentences as a list, without surrounding blanks.

    Raises:
        InputError: there is none, or one is empty.
    """
    if not isinstance(texts, Iterable):
        raise InputError(f'A sentence or a list of sentences is needed, not {texts!r}.')
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise InputError('Give at least one sentence.')
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise InputError(f'Sentence {number} is a {type(text).__name__}, not a string.')
        if not text.strip():
            raise InputError(f'Sentence {number} is empty: say what to segment, for example "the red star".')
        if len(text) > MAX_CHARACTERS:
            raise LimitError(f'Sentence {number} has {len(text):,} characters, more than {MAX_CHARACTERS:,}.')
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f'Sentence {number} has a character that is not text (U+{ord(text[error.start]):04X}): '
                'is it written in UTF-8?'
            ) from error
    most = limit_of('IFIRVOS_MAX_SENTENCES', MAX_SENTENCES)
    if len(texts) > most:
        raise LimitError(
            f'{len(texts):,} sentences are more than {most:,}; '
            '--max-sentences, or the environment variable IFIRVOS_MAX_SENTENCES, sets another limit.'
        )
    return [text.strip() for text in texts]


def texts_of_videos(texts: str | Sequence, number: int) -> list[list[str]]:
    """Return the sentences of every video: the same for all, or a list for each.

    Raises:
        InputError: there are not as many lists as videos, or a sentence is not one.
    """
    if isinstance(texts, str) or not any(isinstance(part, list | tuple) for part in texts):
        return [check_sentences(texts)] * number
    if len(texts) != number:
        raise InputError(f'{number} videos need {number} lists of sentences, or one list for all, not {len(texts)}.')
    return [check_sentences(part) for part in texts]


def as_trained(text: str) -> str:
    """Return a sentence as the data sets train on it: in lower case, with single blanks."""
    return ' '.join(text.lower().split())
