"""The score of a clip, from those of its frames."""

from collections.abc import Sequence

import numpy as np

SHARE = 1 / 3  # SynthRVOS's `order` shows an object in 11 of 24 frames at least


def clip_score(scores: Sequence[float], share: float = SHARE) -> float:
    """Return the mean of the highest scores: the object need not be in view all the time. NaN without a frame.

    Args:
        scores: (T,) of the frames.
        share: The share of the frames that count, at least one; 1: the mean of all.
    """
    if not len(scores):
        return float('nan')
    count = max(1, round(share * len(scores)))
    return float(np.sort(np.asarray(scores, np.float64))[-count:].mean())
