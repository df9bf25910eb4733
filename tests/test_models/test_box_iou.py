"""The generalised IoU against mmdet's, and by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.losses import GIoULoss
from mmdet.structures.bbox import bbox_overlaps
from torch.testing import assert_close

from ifirvos.models.box_iou import AlignedGIoULoss, generalised_iou

corner = st.floats(0, 1, width=32)


@pytest.mark.parametrize(
    ('box', 'other', 'expected'),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 1, 1), (3, 0, 4, 1), -0.5),  # nothing in common: two of the four that enclose both are empty
        ((0, 0, 2, 2), (0, 0, 1, 1), 0.25),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0.0),  # no area at all
    ],
)
def test_by_hand(box, other, expected):
    assert float(generalised_iou(torch.tensor(box).float(), torch.tensor(other).float())) == pytest.approx(expected)


@given(st.lists(st.tuples(*[corner] * 8), min_size=1, max_size=5))
def test_as_mmdet(numbers):
    """Also for boxes without area and those whose corners are in the wrong order, as a zero box may be."""
    boxes, others = torch.tensor(numbers).split(4, -1)
    expected = bbox_overlaps(boxes, others, mode='giou', is_aligned=True)
    assert_close(generalised_iou(boxes, others), expected, rtol=1e-5, atol=1e-6)
    assert_close(generalised_iou(boxes[:, None], others).diagonal(), expected, rtol=1e-5, atol=1e-6)


def test_the_loss_and_its_gradient_are_those_of_mmdet():
    torch.manual_seed(0)
    start, size = torch.rand(2, 20, 2), torch.rand(2, 20, 2) + 0.1
    boxes, target = torch.cat([start, start + size], -1)
    found = []
    for loss in (AlignedGIoULoss(loss_weight=2.0), GIoULoss(loss_weight=2.0)):
        pred = boxes.clone().requires_grad_()
        value = loss(pred, target, reduction_override='none')
        value.sum().backward()
        found.append((value.detach(), pred.grad))
    for ours, mmdets in zip(*found, strict=True):
        assert_close(ours, mmdets)
