"""Ref-DAVIS17: merging of the objects of a video into one label map, and the unsupervised task of DAVIS 2017.

A label map is uint8 (T, H, W): 0 background, 1, 2, … objects, in annotations 255 void. Merging is that of ReferFormer's
inference; the evaluation gives the numbers of ``DAVISEvaluation(task='unsupervised')`` of davis2017-evaluation (Caelles
et al., The 2019 DAVIS Challenge on VOS). Values are fractions. Letters: T frames, O annotated objects, P proposals.
"""

from collections.abc import Iterable

import numpy as np

from .masks import contour_accuracy, region_similarity

VOID = 255
MAX_PROPOSALS = 20  # of the official task


def merge_objects(
    probabilities: Iterable[np.ndarray], shape: tuple[int, ...], threshold: float = 0.5, background: float = 0.1
) -> np.ndarray:
    """Give every pixel to the most probable object: argmax over the background and all objects.

    Probabilities below the threshold count as 0, so with the default values a pixel belongs to an object if one has at
    least 0.5. Ties go to the first.

    Args:
        probabilities: Mask probability of every object, float of the given shape.
        shape: Shape of the label map, such as (T, H, W).
        threshold: Lower probabilities count as 0.
        background: Probability of the background everywhere.

    Returns:
        uint8 of the given shape: the object's position in ``probabilities``, from 1, or 0 for the background.

    Raises:
        ValueError: if a probability map has another shape, or there are more objects than a label map can hold.
    """
    labels = np.zeros(shape, np.uint8)
    best = np.full(shape, background, np.float32)
    for label, probability in enumerate(probabilities, 1):
        if np.shape(probability) != tuple(shape):
            raise ValueError(f'object {label} has probabilities of shape {np.shape(probability)}, expected {shape}')
        if label == VOID:
            raise ValueError(f'a label map holds at most {VOID - 1} objects: {VOID} is void')
        wins = (probability >= threshold) & (probability > best)
        labels[wins], best[wins] = label, probability[wins]
    return labels


def evaluate_unsupervised(gt: np.ndarray, pred: np.ndarray, bound_th: float = 0.008) -> tuple[np.ndarray, np.ndarray]:
    """Match proposals to the annotated objects of a video, and return J and F of every object.

    The matching is one to one, by the Hungarian method on the mean of J and F over all frames. Objects are the labels 1
    to the largest in the *first* frame; a larger label that appears later is not evaluated. Proposals are the labels 1
    to the largest in any frame, filled up with empty ones to the number of objects. Unmatched proposals are ignored.
    Void pixels of the annotation count neither for nor against.

    Args:
        gt: Annotated label map, uint8 (T, H, W).
        pred: Predicted label map, uint8 (T, H, W); its labels need not be those of the annotation.
        bound_th: Tolerance of F, see `contour_accuracy`.

    Returns:
        J and F, float64 (O, T) each, in the order of the annotated labels (the official code lists them in the order of
        the proposals, which changes no mean).

    Raises:
        ValueError: if shapes differ, or there are more than 20 proposals, as the official task allows.
    """
    from scipy.optimize import linear_sum_assignment  # here: it takes half a second to import

    if gt.ndim != 3 or gt.shape != pred.shape or not len(gt):
        raise ValueError(f'expected two label maps of the same shape (T, H, W), got gt {gt.shape}, pred {pred.shape}')
    void = gt == VOID
    num_objects = int(np.where(void[0], 0, gt[0]).max())
    num_proposals = int(pred.max())
    if num_proposals > MAX_PROPOSALS:
        raise ValueError(
            f'the prediction holds label {num_proposals}, but the task allows {MAX_PROPOSALS}: number objects from 1'
        )
    num_proposals = max(num_proposals, num_objects)
    void = void if void.any() else None
    region, contour = np.zeros((2, num_objects, num_proposals, len(gt)))
    for i in range(num_objects):
        for k in range(num_proposals):
            pair = gt == i + 1, pred == k + 1
            region[i, k] = region_similarity(*pair, void)
            contour[i, k] = contour_accuracy(*pair, void, bound_th)
    objects, proposals = linear_sum_assignment(-(region.mean(axis=2) + contour.mean(axis=2)) / 2)
    return region[objects, proposals], contour[objects, proposals]
