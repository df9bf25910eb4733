"""Matching costs against their formulas, written out query by query and frame by frame."""

import math

import pytest
import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData

QUERIES, OBJECTS, FRAMES = 3, 2, 4


@pytest.fixture
def sequences() -> tuple[InstanceData, InstanceData]:
    """Three query sequences and two objects of four frames; the second object is in none."""
    predictions = InstanceData(
        scores=torch.randn(QUERIES, FRAMES),
        bboxes=torch.rand(QUERIES, FRAMES, 4) * 0.4 + 0.3,
        masks=torch.randn(QUERIES, FRAMES, 5, 6) * 3,
    )
    valid = torch.tensor([[1.0, 0, 1, 1], [0, 0, 0, 0]])
    objects = InstanceData(
        bboxes=(torch.rand(OBJECTS, FRAMES, 4) * 0.4 + 0.3) * valid[..., None],
        masks=(torch.rand(OBJECTS, FRAMES, 5, 6) > 0.5).float() * valid[..., None, None],
        valid=valid,
    )
    return predictions, objects


def cost_of(name: str, sequences, **kwargs) -> torch.Tensor:
    return TASK_UTILS.build(dict(type=name, **kwargs))(*sequences)


def check(found: torch.Tensor, formula, weight: float) -> None:
    expected = [[weight * formula(q, o) for o in range(OBJECTS)] for q in range(QUERIES)]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-5)


def focal(logit: float, target: float) -> float:
    """Of a pixel or a score; alpha 0.25, gamma 2."""
    p = 1 / (1 + math.exp(-logit))
    positive = 0.25 * (1 - p) ** 2 * math.log1p(math.exp(-logit))
    negative = 0.75 * p**2 * math.log1p(math.exp(logit))
    return target * positive + (1 - target) * negative


def test_class_cost_is_a_mean_over_valid_frames(sequences):
    predictions, objects = sequences

    def formula(q, o):
        frames = [t for t in range(FRAMES) if objects.valid[o, t]]
        terms = [focal(float(predictions.scores[q, t]), 1) - focal(float(predictions.scores[q, t]), 0) for t in frames]
        return sum(terms) / max(len(frames), 1)

    check(cost_of('ClipFocalLossCost', sequences, weight=2.0), formula, 2.0)


def test_box_cost_is_a_mean_over_all_frames(sequences):
    predictions, objects = sequences

    def formula(q, o):
        return float((predictions.bboxes[q] - objects.bboxes[o]).abs().sum()) / FRAMES

    check(cost_of('ClipBBoxL1Cost', sequences, weight=5.0), formula, 5.0)


def corners(box) -> list[float]:
    cx, cy, w, h = box.tolist()
    return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]


def giou(a: list[float], b: list[float]) -> float:
    def area(x1, y1, x2, y2):
        return max(x2 - x1, 0) * max(y2 - y1, 0)

    overlap = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    hull = area(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
    union = area(*a) + area(*b) - overlap
    return overlap / union - (hull - union) / hull


def test_iou_cost_is_a_mean_over_all_frames(sequences):
    predictions, objects = sequences

    def formula(q, o):
        pairs = zip(predictions.bboxes[q], objects.bboxes[o], strict=True)
        return -sum(giou(corners(a), corners(b)) for a, b in pairs) / FRAMES

    check(cost_of('ClipIoUCost', sequences, weight=2.0), formula, 2.0)


def pixels(sequences, q, o):
    predictions, objects = sequences
    return zip(predictions.masks[q].flatten().tolist(), objects.masks[o].flatten().tolist(), strict=True)


@pytest.mark.parametrize('scale', [1, 20], ids=['usual', 'saturated'])
def test_mask_cost_is_a_mean_over_all_pixels(sequences, scale):
    """Also where sigmoid(logit) is 1 in float32, as it is for a sure pixel."""
    sequences[0].masks *= scale

    def formula(q, o):
        terms = [focal(logit, target) for logit, target in pixels(sequences, q, o)]
        return sum(terms) / len(terms)

    check(cost_of('ClipMaskFocalLossCost', sequences, weight=2.0), formula, 2.0)


def test_unsaturated_mask_cost_is_mmdets(sequences):
    found = cost_of('ClipMaskFocalLossCost', sequences)
    torch.testing.assert_close(found, cost_of('FocalLossCost', sequences, binary_input=True), rtol=1e-4, atol=1e-6)


def test_dice_cost_is_of_the_whole_clip(sequences):
    def formula(q, o):
        pairs = [(1 / (1 + math.exp(-logit)), target) for logit, target in pixels(sequences, q, o)]
        overlap = sum(p * target for p, target in pairs)
        return 1 - (2 * overlap + 1) / (sum(p for p, _ in pairs) + sum(target for _, target in pairs) + 1)

    check(cost_of('DiceCost', sequences, pred_act=True, eps=1.0, weight=5.0), formula, 5.0)
