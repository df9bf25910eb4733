"""The metrics of referring video object segmentation, on numpy arrays.

J and F are those of the DAVIS benchmark (Perazzi et al., CVPR 2016), equal to ``db_eval_iou`` and
``db_eval_boundary`` of the official davis2017-evaluation. Precision@K, overall and mean IoU are those of
A2D-Sentences, JHMDB-Sentences and RefCOCO.

All values are fractions in [0, 1]; the metric classes turn them into percent. Letters: T frames, H rows, W columns.
"""

from collections.abc import Iterable, Sequence
from math import ceil, hypot

import numpy as np

from . import bitmask

# Words processed at once by the contour measure: arrays of 256 KiB, large compared to the cost of a numpy call, and
# small enough for a cache.
_CHUNK_WORDS = 32768


def region_similarity(gt: np.ndarray, pred: np.ndarray, void: np.ndarray | None = None) -> np.ndarray:
    """Region similarity J: intersection over union of every frame, 1 where both masks are empty.

    Args:
        gt: Annotated masks, bool (T, H, W).
        pred: Predicted masks, bool (T, H, W).
        void: Pixels that count neither for nor against, bool (T, H, W).

    Returns:
        float64 (T,).

    Raises:
        ValueError: if the shapes differ or are not (T, H, W).
    """
    gt, pred = _valid_masks(gt, pred, void)
    inter, union = _inter_union(gt, pred)
    return _iou(inter, union)


def contour_accuracy(
    gt: np.ndarray, pred: np.ndarray, void: np.ndarray | None = None, bound_th: float = 0.008
) -> np.ndarray:
    """Contour accuracy F: F-measure of the boundary pixels of every frame.

    A boundary pixel is matched if a boundary pixel of the other mask lies within the tolerance (Euclidean distance).
    Two masks without boundary agree (F = 1). As in the official code, a mask that fills the whole frame has no
    boundary, so it agrees with an empty mask.

    Args:
        gt: Annotated masks, bool (T, H, W).
        pred: Predicted masks, bool (T, H, W).
        void: Pixels removed from both masks before their boundaries are taken, bool (T, H, W).
        bound_th: The tolerance. Below 1: a share of the frame's diagonal, rounded up to whole pixels (0.008 is 8 pixels
            at 480x854). From 1: a whole number of pixels.

    Returns:
        float64 (T,).

    Raises:
        ValueError: if the shapes differ or are not (T, H, W), or the tolerance is negative, or above 1 and not a whole
            number.
    """
    gt, pred = _valid_masks(gt, pred, void)
    num_frames, height, width = gt.shape
    radius = _tolerance(bound_th, height, width)
    scores = np.ones(num_frames)
    gt_words, pred_words = bitmask.pack(gt), bitmask.pack(pred)
    last_column = np.zeros((len(gt_words), 1, 1), np.uint64)
    last_column[-1] = np.uint64(1) << np.uint64((width - 1) % bitmask.WORD)

    window = _window(gt_words, pred_words)
    if window is None:  # nothing in any frame
        return scores
    gt_words, pred_words, last_column = gt_words[window], pred_words[window], last_column[window[0]]
    step = max(1, _CHUNK_WORDS // (2 * gt_words[..., 0].size))
    for start in range(0, num_frames, step):
        frames = slice(start, start + step)
        # Both masks are processed as frames of one clip: for a single pair, the calls of numpy take most of the time.
        both = np.concatenate([gt_words[..., frames], pred_words[..., frames]], axis=2)
        edges = bitmask.boundary(np.ascontiguousarray(both), last_column)
        near = bitmask.dilate(edges, radius)
        near_other = np.concatenate(np.split(near, 2, axis=2)[::-1], axis=2)
        recall, precision = np.split(_share(edges, near_other), 2)
        total = precision + recall
        scores[frames] = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return scores


def sequence_statistics(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, recall and decay of J or F over the frames of one object, as in davis2017's ``db_statistics``.

    Recall is the share of frames above 0.5; NaN counts as not above. Decay is the mean over the first quarter of the
    frames minus the mean over the last; neighbouring quarters share a frame. Up to 256 frames this equals the official
    code. For more frames that code is wrong, because it stores frame indices as uint8, which wrap around.

    Args:
        values: (T,) the values of the frames; NaN for frames that do not count.

    Raises:
        ValueError: if there is no frame.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f'expected the values of at least one frame, shape (T,), got shape {values.shape}')
    edges = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(np.intp) - 1
    decay = _nanmean(values[: edges[1] + 1]) - _nanmean(values[edges[3] : edges[4] + 1])
    return _nanmean(values), float(np.mean(values > 0.5)), decay


def precision_at_k(ious: Sequence[float], thresholds: Sequence[float]) -> np.ndarray:
    """Share of samples whose IoU is *above* (not at) each threshold: (N,), (K,) -> float64 (K,)."""
    ious = np.asarray(ious, np.float64)
    if ious.size == 0:
        raise ValueError('precision_at_k needs at least one IoU')
    return (ious[None, :] > np.asarray(thresholds, np.float64)[:, None]).mean(axis=1)


def overall_iou(gts: Iterable[np.ndarray], preds: Iterable[np.ndarray]) -> float:
    """Divide the summed intersections of N mask pairs, bool (H, W), by their summed unions; sizes may differ by pair.

    It is 1 if all masks are empty.
    """
    inter, union = _pairs_inter_union(gts, preds)
    return float(_iou(inter.sum(keepdims=True), union.sum(keepdims=True))[0])


def mean_iou(gts: Iterable[np.ndarray], preds: Iterable[np.ndarray]) -> float:
    """Mean IoU of N mask pairs, bool (H, W) each; a pair of empty masks counts 1."""
    return float(_iou(*_pairs_inter_union(gts, preds)).mean())


def bootstrap_interval(
    values: Sequence[float], clusters: Sequence[str], samples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap percentile interval of the mean of ``values``, with whole clusters resampled.

    The expressions of one video are not independent, so clusters (videos) are resampled, not expressions.

    Args:
        values: (N,) one value per expression.
        clusters: (N,) the video of each.
        samples: Number of draws.
        level: Share of the draws inside the interval.
        seed: The same seed gives the same interval.

    Returns:
        Lower and upper end.
    """
    values = np.asarray(values, np.float64)
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(index)
    sums = np.bincount(index, weights=values)
    draws = np.random.default_rng(seed).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=samples)
    means = (draws @ sums) / (draws @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _valid_masks(gt: np.ndarray, pred: np.ndarray, void: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return both masks as bool (T, H, W) without their void pixels."""
    gt, pred = np.asarray(gt).astype(bool, copy=False), np.asarray(pred).astype(bool, copy=False)
    if gt.ndim != 3 or gt.shape != pred.shape or 0 in gt.shape[1:]:
        raise ValueError(f'expected two masks of the same shape (T, H, W), got gt {gt.shape} and pred {pred.shape}')
    if void is None:
        return gt, pred
    if np.shape(void) != gt.shape:
        raise ValueError(f'expected void pixels of the shape of the masks, {gt.shape}, got {np.shape(void)}')
    counted = ~np.asarray(void).astype(bool, copy=False)
    return gt & counted, pred & counted


def _tolerance(bound_th: float, height: int, width: int) -> int:
    pixels = bound_th if bound_th >= 1 else ceil(bound_th * hypot(height, width))
    if bound_th < 0 or pixels != int(pixels):
        raise ValueError(
            f'bound_th is {bound_th}: give a share of the diagonal in [0, 1) or a whole number of pixels (1, 2, ...)'
        )
    return int(pixels)


def _window(gt_words: np.ndarray, pred_words: np.ndarray) -> tuple[slice, slice] | None:
    """Return the index of the words and rows with all boundaries of the clip; None if all masks are empty.

    A boundary lies on the object or just above or left of it. One row below the object is included too, so that the
    last row of the window is the last row of the frame, or empty.
    """
    filled = np.bitwise_or.reduce(gt_words, axis=2) | np.bitwise_or.reduce(pred_words, axis=2)
    words, rows = filled.any(axis=1).nonzero()[0], filled.any(axis=0).nonzero()[0]
    if rows.size == 0:
        return None
    return slice(max(words[0] - 1, 0), words[-1] + 1), slice(max(rows[0] - 1, 0), rows[-1] + 2)


def _share(edges: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the share of boundary pixels ``edges`` in ``near``, 1 where there are none: words (K, H, T) -> (T,)."""
    total = bitmask.count(edges)
    return np.divide(bitmask.count(edges & near), total, out=np.ones(len(total)), where=total > 0)


def _inter_union(gt: Iterable[np.ndarray], pred: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return intersection and union in pixels of every pair: int64 (N,) each."""
    counts = [tuple(map(np.count_nonzero, (g & p, g, p))) for g, p in zip(gt, pred, strict=True)]
    inter, of_gt, of_pred = np.array(counts, np.int64).reshape(-1, 3).T
    return inter, of_gt + of_pred - inter


def _pairs_inter_union(gts: Iterable[np.ndarray], preds: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    gts = [np.asarray(gt).astype(bool, copy=False) for gt in gts]
    preds = [np.asarray(pred).astype(bool, copy=False) for pred in preds]
    shapes = [gt.shape for gt in gts], [pred.shape for pred in preds]
    if not gts or shapes[0] != shapes[1]:
        raise ValueError(f'expected as many predicted as annotated masks, at least one, of equal shapes, got {shapes}')
    return _inter_union(gts, preds)


def _iou(inter: np.ndarray, union: np.ndarray) -> np.ndarray:
    return np.divide(inter, union, out=np.ones(len(union)), where=union > 0)


def _nanmean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if counted.size else float('nan')
