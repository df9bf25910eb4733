"""How well the score of a clip tells whether the object is present.

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


def auc_interval(
    scores: Sequence[float],
    present: Sequence[bool],
    clusters: Sequence[str],
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap percentile interval of :func:`roc_auc`, with whole clusters resampled.

    Draws without a score of one of the two sorts are left out.

    Args:
        scores: (N,) of all sentences.
        present: (N,) whether the object is there.
        clusters: (N,) the video of each, with all its sentences of both sorts.
        samples: Number of draws.
        level: Share of the draws inside the interval.
        seed: The same seed gives the same interval.

    Returns:
        Lower and upper end; NaN if no draw has both sorts.
    """
    _, place = np.unique(np.asarray(scores, float), return_inverse=True)  # equal scores are one place
    videos, video = np.unique(np.asarray(clusters), return_inverse=True)
    present = np.asarray(present, bool)
    draws = np.random.default_rng(seed).multinomial(len(videos), np.full(len(videos), 1 / len(videos)), size=samples)
    found = []
    for weights in draws[:, video]:
        wins = np.bincount(place, weights * present)
        losses = np.bincount(place, weights * ~present)
        pairs = wins.sum() * losses.sum()
        if pairs:
            found.append((wins * (losses.cumsum() - losses / 2)).sum() / pairs)
    if not found:
        return float('nan'), float('nan')
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
