"""Further measurements of an ablation: the best query, the order of frames, chance level.

Functions on arrays, which return fractions; no model is involved.
"""

import numpy as np

from .masks import contour_accuracy, region_similarity


def oracle_region(gt: np.ndarray, candidates: np.ndarray) -> float:
    """Return J of the best query sequence, which separates bad masks from a bad choice.

    Args:
        gt: bool (T, H, W).
        candidates: bool (T, N, H, W), the masks of all queries.
    """
    return max(float(region_similarity(gt, query).mean()) for query in candidates.swapaxes(0, 1))


def chance_region(gt: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected J of a perfect mask of a random object.

    Args:
        gt: bool (T, H, W), the object that the sentence refers to.
        labels: (T, H, W), the number of the object at every pixel, 0 for none, 255 for what nobody annotated.
    """
    objects = np.setdiff1d(labels, [0, 255])
    return float(np.mean([region_similarity(gt, labels == number).mean() for number in objects]))


def probe_expression(
    gt: np.ndarray,
    pred: np.ndarray,
    candidates: np.ndarray,
    reversed_pred: np.ndarray,
    shuffled_pred: np.ndarray,
    labels: np.ndarray | None = None,
) -> dict[str, float]:
    """Return all measures of an expression, in percent.

    Args:
        gt: bool (T, H, W), the annotated masks.
        pred: bool (T, H, W), the predicted ones.
        candidates: bool (T, N, H, W), the predicted masks of all queries.
        reversed_pred: bool (T, H, W), the masks predicted from the frames in reverse order, back in their order.
        shuffled_pred: bool (T, H, W), the same for a random order.
        labels: (T, H, W), the number of the object at every pixel; None if it is not known.

    Returns:
        ``J``, ``F``, ``oracle_J``; ``reversal_IoU``, which is 100 for a model that ignores the order of frames;
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
