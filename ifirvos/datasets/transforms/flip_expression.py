"""Keep the sentence true when the picture is mirrored."""

import re

from mmcv.transforms import BaseTransform

from ifirvos.registry import TRANSFORMS

# "bright", "upright" and "leftover" must stay: the word ends where the pattern ends.
_SIDE = re.compile(r'\b(left|right)(?=(?:most|wards?)?\b)', re.IGNORECASE)
_OTHER = {'left': 'right', 'right': 'left'}


def swap_left_right(text: str) -> str:
    """Swap the words left and right (also leftmost, leftward, leftwards), keeping their case."""

    def swap(match: re.Match) -> str:
        word = match.group()
        other = _OTHER[word.lower()]
        if word.isupper():
            return other.upper()
        return other.capitalize() if word[0].isupper() else other

    return _SIDE.sub(swap, text)


@TRANSFORMS.register_module()
class FlipExpression(BaseTransform):
    """Swap left and right in the sentence of a clip that RandomFlip has mirrored.

    It stands after the broadcaster that holds the flip: it works on the whole clip, whose frames share one flip. Whole
    words only: swapping substrings, as the reference implementation does, turns "bright" into "bleft".

    Required keys: ``text``, ``flip``, ``flip_direction`` (lists of T).
    """

    def transform(self, results: dict) -> dict:
        """Rewrite ``text`` where the clip was mirrored from left to right."""
        if len(set(results['flip_direction'])) > 1:
            raise ValueError(
                'The frames of a clip were flipped differently: put RandomFlip into a TransformBroadcaster with '
                'share_random_params=True.'
            )
        if results['flip'][0] and results['flip_direction'][0] in ('horizontal', 'diagonal'):
            results['text'] = [swap_left_right(results['text'][0])] * len(results['text'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
