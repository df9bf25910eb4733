"""How well a score tells whether the object is present.

The area under the ROC curve, and the share refused at the threshold that keeps a given share of present objects.
"""

from collections.abc import Sequence

import numpy as np


def roc_auc(present: Sequence[float], absent: Sequence[float]) -> float:
    """Return the area under the ROC curve; NaN if there are no scores of one of the two.

    It is the probability that a score with the object is above one without it; a tie counts half.

    Args:
        present: Scores of present objects.
        absent: Scores of absent objects.
    """
    from scipy.stats import rankdata  # slow to import

    if not len(present) or not len(absent):
        return float('nan')
    ranks = rankdata(np.concatenate([present, absent]))  # ties get their mean
    wins = ranks[: len(present)].sum() - len(present) * (len(present) + 1) / 2
    return float(wins / (len(present) * len(absent)))


def keeping_threshold(present: Sequence[float], keep: float) -> float:
    """Return the highest threshold that at least the share `keep` of `present` reaches.

    Raises:
        ValueError: if nothing is present, or `keep` is not in (0, 1].
    """
    if not 0 < keep <= 1:
        raise ValueError(f'keep must be above 0 and at most 1, not {keep}')
    if not len(present):
        raise ValueError('no score is there to keep')
    ordered = np.sort(np.asarray(present, float))[::-1]
    return float(ordered[int(np.ceil(round(keep * len(ordered), 9))) - 1])


def refusal_rate(absent: Sequence[float], threshold: float) -> float:
    """Return the share of `absent` below the threshold; NaN if there is none."""
    return float(np.mean(np.asarray(absent, float) < threshold)) if len(absent) else float('nan')
