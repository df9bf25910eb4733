"""Further measurements of an ablation: the best query, the order of frames, chance level.

Functions on arrays, which return fractions; no model is involved.
"""

import numpy as np

from .masks import contour_accuracy, region_similarity


def oracle_region(gt: np.ndarray, candidates: np.ndarray) -> float:
    """J of the best query sequence: were the masks there, and only the choice wrong?

    Args:
        gt: bool (T, H, W).
        candidates: bool (T, N, H, W), the masks of all queries.
    """
    return max(float(region_similarity(gt, query).mean()) for query in candidates.swapaxes(0, 1))


def chance_region(gt: np.ndarray, labels: np.ndarray) -> float:
    """J of a perfect mask of an object drawn at random.

    Args:
        gt: bool (T, H, W), the object that is meant.
        labels: (T, H, W), the number of the object at every pixel, 0 for none.
    """
    objects = np.setdiff1d(labels, [0])
    return float(np.mean([region_similarity(gt, labels == number).mean() for number in objects]))


def probe_expression(
    gt: np.ndarray,
    pred: np.ndarray,
    candidates: np.ndarray,
    reversed_pred: np.ndarray,
    shuffled_pred: np.ndarray,
    labels: np.ndarray | None = None,
) -> dict[str, float]:
    """All measures of an expression, in percent.

    Args:
        gt: bool (T, H, W), the annotated masks.
        pred: bool (T, H, W), the predicted ones.
        candidates: bool (T, N, H, W), those of all queries.
        reversed_pred: bool (T, H, W), what was predicted for each of the frames when they came in reverse order.
        shuffled_pred: bool (T, H, W), the same for a random order.
        labels: (T, H, W), the number of the object at every pixel, where it is known.

    Returns:
        ``J``, ``F``, ``oracle_J``; ``reversal_IoU``, which is 100 for a model that is blind to the order of frames;
        ``shuffled_J``, ``shuffled_F``; ``chance_J`` with ``labels``.
    """
    measures = dict(
        J=region_similarity(gt, pred).mean(),
        F=contour_accuracy(gt, pred).mean(),
        oracle_J=oracle_region(gt, candidates),
        reversal_IoU=region_similarity(pred, reversed_pred).mean(),
        shuffled_J=region_similarity(gt, shuffled_pred).mean(),
        shuffled_F=contour_accuracy(gt, shuffled_pred).mean(),
    )
    if labels is not None:
        measures['chance_J'] = chance_region(gt, labels)
    return {name: 100 * float(value) for name, value in measures.items()}
