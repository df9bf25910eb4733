"""Swaps left and right in the sentence when a clip is flipped."""

import re

from mmcv.transforms import BaseTransform

from ifirvos.errors import InputError
from ifirvos.registry import TRANSFORMS

# "bright", "upright", "copyright" and "leftover" must not change, so the allowed prefixes and suffixes are listed.
_BEFORE = r'(?:top|bottom|upper|lower|front|back|rear|far|near|mid|middle|center|centre|inner|outer|from|on|in)'
_AFTER = r'(?:(?:er)?most|est|wards?|(?:hand)?sides?|corner|hand(?:ed|er)?|y|ie|ish)'
# Words end at digits and underscores too: "2ndleft", "left_most".
_LETTER, _COUNT = r'[^\W\d_]', r'(?:\d+(?:st|nd|rd|th))?'
_SIDE = re.compile(rf'(?<!{_LETTER})({_COUNT}{_BEFORE}?)(left|right)(?={_AFTER}?(?!{_LETTER}))', re.IGNORECASE)
_ANYWHERE = re.compile('left|right', re.IGNORECASE)
_OTHER = {'left': 'right', 'right': 'left'}


def swap_left_right(text: str) -> str:
    """Swap the words left and right, also in leftmost, leftside, lefty, topleft and the like, keeping their case."""
    return _SIDE.sub(lambda match: match[1] + _other(match[2]), text)


def swap_substrings(text: str) -> str:
    """Swap the letters of left and right everywhere, as the reference code does: "bright" becomes "bleft"."""
    return _ANYWHERE.sub(lambda match: _other(match[0]), text)


def _other(word: str) -> str:
    other = _OTHER[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


SWAPS = dict(words=swap_left_right, substrings=swap_substrings)


@TRANSFORMS.register_module()
class FlipExpression(BaseTransform):
    """Swap left and right in the sentence of a clip that RandomFlip has mirrored.

    It stands after the broadcaster that holds the flip: it works on the whole clip, whose frames share one flip.

    Required keys: ``text``, ``flip``, ``flip_direction`` (lists of T).

    Args:
        swap: ``'words'``: whole words and compounds of them, see :func:`swap_left_right`; ``'substrings'``: the
            reference's, which turns "bright" into "bleft".
    """

    def __init__(self, swap: str = 'words') -> None:
        if swap not in SWAPS:
            raise InputError(f'swap must be one of {tuple(SWAPS)}, not {swap!r}')
        self.swap = swap

    def transform(self, results: dict) -> dict:
        """Rewrite ``text`` where the clip was mirrored from left to right."""
        if len(set(results['flip_direction'])) > 1:
            raise InputError(
                'The frames of a clip were flipped differently: put RandomFlip into a TransformBroadcaster with '
                'share_random_params=True.'
            )
        if results['flip'][0] and results['flip_direction'][0] in ('horizontal', 'diagonal'):
            results['text'] = [SWAPS[self.swap](results['text'][0])] * len(results['text'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(swap={self.swap!r})'
