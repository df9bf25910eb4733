"""Clip targets, worked out by hand: what a frame without the object, padding and small masks become."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from ifirvos.structures import MASK_TARGETS, clip_targets, flatten_samples, image_sizes, padding_masks, spread

CPU = torch.device('cpu')


def make_clip(masks: list[np.ndarray | None], size: tuple[int, int], padded: tuple[int, int] | None = None):
    """A clip whose frames hold one mask (h,w) or None; boxes are the masks' pixel extents."""
    frames = []
    for mask in masks:
        frame = DetDataSample(metainfo=dict(img_shape=size, batch_input_shape=padded or size))
        count = 0 if mask is None else 1
        stack = np.zeros((count, *size), np.uint8)
        boxes = torch.zeros(count, 4)
        if count:
            stack[0] = mask
            y, x = np.nonzero(mask)
            boxes[0] = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1])
        frame.gt_instances = InstanceData(
            bboxes=boxes, labels=torch.zeros(count, dtype=torch.long), masks=BitmapMasks(stack, *size)
        )
        frames.append(frame)
    clip = TrackDataSample()
    clip.video_data_samples = frames
    return clip


def rectangle(size, y1, y2, x1, x2):
    mask = np.zeros(size, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def test_object_absent_in_a_frame():
    """8x16 pixels, stride 4: the object fills rows 0-7, columns 4-11, and is gone in the second frame."""
    clip = make_clip([rectangle((8, 16), 0, 8, 4, 12), None], (8, 16))
    for mode in MASK_TARGETS:
        (target,) = clip_targets([clip], (2, 4), 4, mode, CPU)
        assert target.masks.tolist() == [[[[0, 1, 1, 0]] * 2, [[0, 0, 0, 0]] * 2]]
        assert target.boxes.tolist() == [[[0.5, 0.5, 0.5, 1.0], [0, 0, 0, 0]]]
        assert target.valid.tolist() == [1, 0]


def test_point_takes_the_pixel_at_2_2_and_area_the_share():
    clip = make_clip([rectangle((4, 8), 2, 3, 2, 3)], (4, 8))
    point, area = (clip_targets([clip], (1, 2), 4, mode, CPU)[0].masks for mode in ('point', 'area'))
    assert point.tolist() == [[[[1, 0]]]]
    assert area.tolist() == [[[[1 / 16, 0]]]]
    clip = make_clip([rectangle((4, 8), 0, 2, 0, 8)], (4, 8))
    point, area = (clip_targets([clip], (1, 2), 4, mode, CPU)[0].masks for mode in ('point', 'area'))
    assert point.tolist() == [[[[0, 0]]]]
    assert area.tolist() == [[[[0.5, 0.5]]]]


def test_boxes_are_relative_to_the_picture_without_padding():
    clip = make_clip([rectangle((8, 8), 0, 8, 0, 4)], (8, 8), padded=(16, 32))
    (target,) = clip_targets([clip], (4, 8), 4, 'area', CPU)
    assert target.boxes.tolist() == [[[0.25, 0.5, 0.5, 1.0]]]
    assert target.masks.shape == (1, 1, 4, 8)
    assert target.masks.sum() == 2
    assert target.masks[0, 0, :2, 0].tolist() == [1, 1]


def test_two_objects_in_a_frame_are_refused():
    clip = make_clip([rectangle((8, 8), 0, 8, 0, 4)], (8, 8))
    frame = clip[0]
    frame.gt_instances = InstanceData.cat([frame.gt_instances, frame.gt_instances.clone()])
    with pytest.raises(ValueError, match='one referred object or none, not 2'):
        clip_targets([clip], (2, 2), 4, 'point', CPU)


def test_padding_masks_and_sizes():
    like = torch.zeros(1)
    whole, part = make_clip([None], (8, 16)), make_clip([None], (4, 12), padded=(8, 16))
    assert padding_masks([whole, whole], like) is None
    masks = padding_masks([whole, part], like)
    assert masks.shape == (2, 8, 16)
    assert not masks[0].any()
    assert not masks[1, :4, :12].any()
    assert masks[1, 4:].all()
    assert masks[1, :, 12:].all()
    assert image_sizes([whole, part], like).tolist() == [[16, 8], [12, 4]]


def test_frames_are_flattened_clip_by_clip():
    clips = [make_clip([None, None], (4, 4)), make_clip([None, None], (8, 8))]
    assert [frame.img_shape for frame in flatten_samples(clips)] == [(4, 4), (4, 4), (8, 8), (8, 8)]


@given(st.integers(0, 6), st.integers(0, 10), st.integers(1, 8), st.integers(1, 12))
def test_area_targets_keep_the_area(y, x, height, width):
    mask = rectangle((12, 20), y, y + height, x, x + width)
    (target,) = clip_targets([make_clip([mask], (12, 20), padded=(16, 32))], (4, 8), 4, 'area', CPU)
    assert target.masks.sum().item() * 16 == pytest.approx(mask.sum())


def test_spread():
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(10, 1) == [5]
    assert spread(3, 4) == spread(3, None) == [0, 1, 2]
    assert spread(0, 4) == []
