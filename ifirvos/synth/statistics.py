"""Chance level and ceiling (perfect masks at a model's stride) of a clip. J is the mean IoU over frames."""

from collections import defaultdict
from collections.abc import Iterable

import cv2
import numpy as np

from .clip import Clip
from .sampling import PAIR_KINDS

STRIDE = 4  # of the model's masks


def clip_jaccard(gt: np.ndarray, pred: np.ndarray) -> float:
    """Return the mean IoU over frames of masks, bool (T, H, W); 1 where both are empty."""
    intersection = (gt & pred).sum((1, 2))
    union = (gt | pred).sum((1, 2))
    return float(np.where(union > 0, intersection / np.maximum(union, 1), 1).mean())


def chance_levels(clip: Clip) -> list[dict]:
    """Return J and S (whether J > 0.5) of the perfect masks of a random object.

    Returns:
        For every expression a dict of `kind` and `J_object`, `S_object` (any object of the clip is as likely); for the
        pair kinds also `J_pair`, `S_pair` (either member) and `S_first` (always object 1).
    """
    num_objects = len(clip.facts.scene.objects)
    seen = np.stack([(clip.facts.labels == index + 1).any((1, 2)) for index in range(num_objects)])
    levels = []
    for asked in clip.expressions:
        target = asked.object_id - 1
        # Masks of different objects never overlap: the wrong object scores only in frames where both are absent.
        scores = (~seen & ~seen[target]).mean(1)
        scores[target] = 1
        level = {'kind': asked.kind, 'J_object': scores.mean(), 'S_object': (scores > 0.5).mean()}
        if asked.kind in PAIR_KINDS:
            level |= {
                'J_pair': scores[:2].mean(),
                'S_pair': (scores[:2] > 0.5).mean(),
                'S_first': float(scores[0] > 0.5),
            }
        levels.append(level)
    return levels


def mask_ceiling(mask: np.ndarray, input_size: tuple[int, int], soft: bool) -> float:
    """Return J of the best masks that a model with input `input_size` (height, width) can draw at a quarter of it.

    The mask, bool (T, H, W), is reduced by averaging over areas, thresholded unless `soft`, and resized back
    bilinearly.
    """
    low = input_size[1] // STRIDE, input_size[0] // STRIDE
    back = []
    for frame in mask:
        small = cv2.resize(frame.astype(np.float32), low, interpolation=cv2.INTER_AREA)
        small = small if soft else (small > 0.5).astype(np.float32)
        back.append(cv2.resize(small, frame.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5)
    return clip_jaccard(mask, np.stack(back))


def mask_ceilings(clip: Clip, input_sizes: Iterable[tuple[int, int]] = ((64, 96), (192, 288))) -> list[dict]:
    """Return, for every expression, its `kind` and ceilings such as `ceiling_binary_64x96`."""
    by_object = {}
    for object_id in {asked.object_id for asked in clip.expressions}:
        mask = clip.facts.labels == object_id
        by_object[object_id] = {
            f'ceiling_{"soft" if soft else "binary"}_{size[0]}x{size[1]}': mask_ceiling(mask, size, soft)
            for size in input_sizes
            for soft in (False, True)
        }
    return [{'kind': asked.kind, **by_object[asked.object_id]} for asked in clip.expressions]


def mean_by_kind(rows: Iterable[dict]) -> dict[str, dict[str, float]]:
    """Return the means of all values over the rows of each `kind`, and their number as `count`."""
    grouped = defaultdict(list)
    for row in rows:
        grouped[row['kind']].append(row)
    return {
        kind: {
            'count': len(members),
            **{name: float(np.mean([row[name] for row in members])) for name in members[0] if name != 'kind'},
        }
        for kind, members in grouped.items()
    }
