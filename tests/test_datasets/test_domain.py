"""Zoom and texture: what moves moves with its mask, frames of a clip share the draw, and nothing else changes."""

import numpy as np
import pytest
from mmcv.transforms import TransformBroadcaster
from mmdet.structures.mask import BitmapMasks

from ifirvos.datasets.transforms import RandomTexture, RandomZoom

H, W = 64, 96


def frame(text='the red star', rows=slice(24, 40), columns=slice(36, 60)) -> dict:
    """A grey frame with a red rectangle, which is the object."""
    image = np.full((H, W, 3), 120, np.uint8)
    image[rows, columns] = (0, 0, 255)
    mask = np.zeros((1, H, W), np.uint8)
    mask[0, rows, columns] = 1
    return dict(
        img=image,
        text=text,
        frame_id=0,
        gt_masks=BitmapMasks(mask, H, W),
        gt_bboxes=np.array([[columns.start, rows.start, columns.stop - 1, rows.stop - 1]], np.float32),
        gt_bboxes_labels=np.zeros(1, np.int64),
        gt_instances_ids=np.ones(1, np.int32),
    )


@pytest.mark.parametrize('seed', range(8))
def test_the_mask_follows_the_picture(seed):
    np.random.seed(seed)
    results = RandomZoom(prob=1.0).transform(frame())
    red = (results['img'][..., 2].astype(int) - results['img'][..., 0]) > 127
    mask = results['gt_masks'].masks[0].astype(bool)
    assert (red & mask).sum() / (red | mask).sum() > 0.9
    x1, y1, x2, y2 = results['gt_bboxes'][0]
    assert mask[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].sum() == mask.sum()


def areas(text: str) -> list[float]:
    np.random.seed(0)
    return [RandomZoom(prob=1.0, shift=0).transform(frame(text))['gt_masks'].masks.sum() / 384 for _ in range(60)]


def test_sizes_hardly_change_where_a_sentence_names_one():
    free, named = areas('the red star'), areas('the tiny one')
    assert min(free) < 0.6 < 1.7 < max(free)
    assert 0.7 < min(named) < 0.85 < 1.2 < max(named) < 1.4
    assert areas('the smallish one') == free  # whole words


def test_a_zoom_shifts_by_up_to_its_share():
    np.random.seed(0)
    zoom, start = RandomZoom(prob=1.0, scales=(1, 1), shift=0.1), frame()['gt_bboxes'][0]
    moved = np.abs([zoom.transform(frame())['gt_bboxes'][0] - start for _ in range(100)]).max(0)
    assert (moved <= np.array([W, H, W, H]) * 0.1 + 1).all()
    assert (moved >= np.array([W, H, W, H]) * 0.08).all()


def test_a_frame_whose_object_is_moved_out_becomes_one_without_it():
    corner = frame(rows=slice(0, 2), columns=slice(0, 2))
    results = RandomZoom(prob=1.0, scales=(3.0, 3.0), shift=0).transform(corner)
    assert [len(results[key]) for key in ('gt_masks', 'gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids')] == [0] * 4
    assert results['gt_bboxes'].shape == (0, 4)


def test_a_frame_without_the_object_stays_one():
    empty = frame()
    for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids'):
        empty[key] = empty[key][:0]
    empty['gt_masks'] = BitmapMasks([], H, W)
    results = RandomZoom(prob=1.0).transform(empty)
    assert len(results['gt_masks']) == len(results['gt_bboxes']) == 0


def test_nothing_happens_at_probability_zero():
    for transform in (RandomZoom(prob=0.0), RandomTexture(prob=0.0)):
        results, before = transform.transform(frame()), frame()
        np.testing.assert_array_equal(results['img'], before['img'])
        np.testing.assert_array_equal(results['gt_masks'].masks, before['gt_masks'].masks)


@pytest.mark.parametrize('transform', [dict(type='RandomZoom', prob=1), dict(type='RandomTexture', prob=1, grain=0)])
def test_frames_of_a_clip_share_the_draw(transform):
    np.random.seed(1)
    frames = [frame(), frame()]
    clip = {key: [one[key] for one in frames] for key in frames[0]}
    clip = TransformBroadcaster(transforms=[transform], share_random_params=True).transform(clip)
    np.testing.assert_array_equal(*clip['img'])
    assert not np.array_equal(clip['img'][0], frame()['img'])


def test_the_grain_differs_from_frame_to_frame_and_pictures_stay_uint8():
    np.random.seed(2)
    frames = [frame(), frame() | dict(frame_id=1)]
    clip = {key: [one[key] for one in frames] for key in frames[0]}
    transform = dict(type='RandomTexture', prob=1.0, light=0.0, tint=0.0, blur=0.3)
    one, other = TransformBroadcaster(transforms=[transform], share_random_params=True).transform(clip)['img']
    assert one.dtype == np.uint8
    assert not np.array_equal(one, other)


def test_colours_stay_what_they_are_called():
    for seed in range(20):
        np.random.seed(seed)
        picture = RandomTexture(prob=1.0).transform(frame())['img'][28:36, 40:56].reshape(-1, 3).mean(0)
        assert picture[2] > 120
        assert picture[:2].max() < 0.25 * picture[2]
