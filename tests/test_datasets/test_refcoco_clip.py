"""RefCOCOClipDataset, pseudo-videos, and SynthRVOS in RefCOCO's official files."""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from pycocotools import mask as coco_mask
from shipped import CONFIGS, shipped_dataset

from ifirvos.datasets import RefCOCOClipDataset
from ifirvos.datasets.transforms import LoadRVOSMasks, PseudoVideo
from ifirvos.datasets.transforms.loading import mask_to_box
from ifirvos.datasets.transforms.pseudo_video import affine_matrix, blur_kernel, perspective_matrix
from ifirvos.errors import InputError
from ifirvos.registry import TRANSFORMS
from ifirvos.synth.layouts.refcoco import polygons

HEIGHT, WIDTH = 40, 60
SQUARE = [[10, 5, 30, 5, 30, 25, 10, 25]]  # 20 x 20 pixels


def write_tree(root: Path, **changes) -> Path:
    """Three expressions on two pictures; the last has a run-length code, as crowds have."""
    code = dict(size=[HEIGHT, WIDTH], counts=[0, HEIGHT, HEIGHT * (WIDTH - 1)])  # the first column
    images = [
        dict(id=1, original_id=9, file_name='COCO_train2014_000000000009.jpg', caption='The  LEFT square'),
        dict(id=2, original_id=9, file_name='COCO_train2014_000000000009.jpg', caption='le carré, à gauche'),
        dict(id='x3', original_id='b', file_name='b.jpg', caption=''),
    ]
    annotations = [
        dict(id=1, image_id=1, segmentation=SQUARE, bbox=[10.5, 5, 19, 20], iscrowd=0),
        dict(id=2, image_id=2, segmentation=SQUARE, bbox=[10.5, 5, 19, 20], iscrowd=0),
        dict(id=3, image_id='x3', segmentation=code, bbox=[0, 0, 1, HEIGHT], iscrowd=1),
    ]
    (root / 'train2014').mkdir(parents=True)
    (root / 'refcoco').mkdir()
    for name in {image['file_name'] for image in images}:
        picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        picture[5:25, 10:30] = (20, 20, 220)
        cv2.imwrite(str(root / 'train2014' / name), picture)
    content = dict(dict(images=images, annotations=annotations), **changes)
    for split in ('train', 'val'):
        (root / 'refcoco' / f'instances_refcoco_{split}.json').write_text(json.dumps(content))
    return root


def load_mask(info: dict) -> dict:
    frame = dict(info['images'][0], obj_id=info['obj_id'], ori_shape=(HEIGHT, WIDTH))
    return LoadRVOSMasks('coco').transform(frame)


def test_known_record(tmp_path):
    dataset = RefCOCOClipDataset(str(write_tree(tmp_path)))
    assert (len(dataset), dataset.test_mode) == (3, False)
    info = dataset.get_data_info(1)
    assert (info['text'], info['video_id'], info['exp_id']) == ('le carré, à gauche', '9', '2')
    assert (info['video_length'], info['key_frame_id']) == (1, 0)
    assert info['images'][0]['img_path'] == f'{tmp_path}/train2014/COCO_train2014_000000000009.jpg'
    results = load_mask(info)
    assert results['gt_masks'].masks.sum() == 400
    assert results['gt_masks'].masks[0, 5:25, 10:30].all()
    assert results['gt_bboxes'].tolist() == [[10.5, 5.0, 29.5, 25.0]]  # as annotated
    assert dataset.get_data_info(0)['text'] == 'the left square'


def test_ids_that_are_no_numbers_empty_sentence_and_run_length_code(tmp_path):
    info = RefCOCOClipDataset(str(write_tree(tmp_path)), split='val').get_data_info(2)
    assert (info['video_id'], info['exp_id'], info['text']) == ('b', 'x3', '')
    mask = load_mask(info)['gt_masks'].masks[0]
    assert mask[:, 0].all()
    assert mask.sum() == HEIGHT


def test_long_sentence_is_kept(tmp_path):
    image = dict(id=1, original_id=9, file_name='b.jpg', caption='very ' * 600 + 'long')
    dataset = RefCOCOClipDataset(str(write_tree(tmp_path, images=[image])))
    assert len(dataset.get_data_info(0)['text'].split()) == 601


def test_object_without_a_mask_is_absent(tmp_path):
    empty = [dict(id=1, image_id=1, segmentation=[], bbox=[1, 1, 2, 2]), dict(id=2, image_id='x3')]
    empty[1].update(segmentation=dict(size=[HEIGHT, WIDTH], counts=[HEIGHT * WIDTH]), bbox=[0, 0, 0, 0])
    images = [dict(id=key, original_id=9, file_name='b.jpg', caption='x') for key in (1, 'x3')]
    dataset = RefCOCOClipDataset(str(write_tree(tmp_path, images=images, annotations=empty)))
    for index in range(2):
        results = load_mask(dataset.get_data_info(index))
        assert results['gt_masks'].masks.shape == (0, HEIGHT, WIDTH)
        assert results['gt_bboxes'].shape == (0, 4)


def test_missing_or_wrong_files_are_named(tmp_path):
    root = write_tree(tmp_path)
    with pytest.raises(FileNotFoundError, match='refcoco_to_json'):
        RefCOCOClipDataset(str(root), split='testA')
    with pytest.raises(FileNotFoundError, match='nowhere/train2014'):
        RefCOCOClipDataset(str(root / 'nowhere'))
    with pytest.raises(ValueError, match='refclef'):
        RefCOCOClipDataset(str(root), 'refclef')
    path = root / 'refcoco/instances_refcoco_train.json'
    path.write_text(json.dumps(dict(images=[dict(id=7, file_name='b.jpg', caption='x')], annotations=[])))
    with pytest.raises(ValueError, match='expression 7 has no'):
        RefCOCOClipDataset(str(root))
    path.write_text('[]')
    with pytest.raises(ValueError, match=r'instances_refcoco_train\.json'):
        RefCOCOClipDataset(str(root))
    dataset = config_dataset(root, 'val_dataloader')
    (root / 'train2014/COCO_train2014_000000000009.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'000000000009\.jpg'):
        dataset[0]
    with pytest.raises(InputError, match='x3 of video b is empty'):
        dataset[2]


def test_mask_of_another_size_is_named(tmp_path):
    info = RefCOCOClipDataset(str(write_tree(tmp_path))).get_data_info(2)
    frame = dict(info['images'][0], obj_id=1, ori_shape=(HEIGHT, WIDTH + 1))
    with pytest.raises(ValueError, match=r'instances_refcoco_train\.json has size \(40, 60\)'):
        LoadRVOSMasks('coco').transform(frame)


# ---- shipped pipelines ----


config_dataset = partial(shipped_dataset, 'refcoco')


def test_shipped_test_pipeline(tmp_path):
    packed = config_dataset(write_tree(tmp_path), 'val_dataloader')[0]
    assert packed['inputs'].shape == (1, 3, 360, 540)
    instances = packed['data_samples'][0].gt_instances
    assert instances.masks.masks.shape == (1, HEIGHT, WIDTH)
    assert instances.masks.masks.sum() == 400
    assert instances.bboxes.tolist() == [[10.5, 5.0, 29.5, 25.0]]


def test_shipped_training_pipeline(tmp_path):
    np.random.seed(0)
    dataset = config_dataset(write_tree(tmp_path), 'train_dataloader')
    texts = set()
    for index in range(6):
        packed = dataset[index % 2]
        sample = packed['data_samples']
        assert packed['inputs'].shape[0] == 1
        assert sample[0].gt_instances.masks.masks.any()
        texts.add(sample.text)
    assert 'the right square' in texts  # mirrored


def test_shipped_pseudo_video_pipeline(tmp_path):
    np.random.seed(0)
    pipeline = Config.fromfile(CONFIGS / 'ref_youtube_vos_joint.py').pseudo_video_pipeline
    dataset = RefCOCOClipDataset(str(write_tree(tmp_path)), pipeline=pipeline)
    packed = dataset[0]
    sample = packed['data_samples']
    assert len(packed['inputs']) == len(sample) == 6
    assert [frame.frame_id for frame in sample] == list(range(6))
    assert sample.ori_video_length == 6
    assert sample.text.endswith('square')


# ---- pseudo-videos ----


def loaded_clip(mask: np.ndarray) -> dict:
    picture = np.repeat(mask[..., None] * 255, 3, axis=2)
    present = int(mask.any())
    return dict(
        img=[picture],
        gt_masks=[BitmapMasks(mask[None][:present], *mask.shape)],
        gt_bboxes=[mask_to_box(mask)],
        gt_bboxes_labels=[np.zeros(present, np.int64)],
        gt_instances_ids=[np.ones(present, np.int32)],
        text=['a square'],
        frame_id=[0],
        video_length=[1],
    )


def square() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:25, 10:30] = 1
    return mask


def test_affine_motion_by_hand():
    np.testing.assert_allclose(affine_matrix((11, 21), 0, (0.1, -0.2), 1), [[1, 0, 2.1], [0, 1, -2.2]], atol=1e-9)
    # a quarter turn counter-clockwise: what lies right of the middle (10, 5) comes to lie above it
    np.testing.assert_allclose(affine_matrix((11, 21), 90, (0, 0), 1) @ [14, 5, 1], [10, 1], atol=1e-9)
    np.testing.assert_allclose(affine_matrix((11, 21), 0, (0, 0), 2) @ [12, 5, 1], [14, 5], atol=1e-9)


def test_change_of_view_by_hand():
    np.testing.assert_allclose(perspective_matrix((11, 21), np.zeros((4, 2))), np.eye(3), atol=1e-9)
    # The left side is seen at half its height: a quarter of the picture's height is cut off above and below.
    matrix = perspective_matrix((11, 21), np.array([[0, 0.25], [0, 0], [0, 0], [0, 0.25]]))
    for old, new in {(0, 2.5): (0, 0), (20, 0): (20, 0), (20, 10): (20, 10), (0, 7.5): (0, 10), (0, 5): (0, 5)}.items():
        x, y, w = matrix @ [*old, 1]
        np.testing.assert_allclose([x / w, y / w], new, atol=1e-5)


@pytest.mark.parametrize(('angle', 'pixels'), [(0, 9), (np.pi / 2, 9), (np.pi / 4, 7)])
def test_blur_is_along_a_line_and_keeps_the_brightness(angle, pixels):
    kernel = blur_kernel(9, angle)
    assert np.count_nonzero(kernel) == pixels
    assert kernel.sum() == pytest.approx(1)
    assert kernel[4, 4] == kernel.max()
    along = kernel[4] if angle == 0 else kernel[:, 4] if pixels == 9 else np.diag(kernel)
    assert along.sum() == pytest.approx(1)


def test_so_many_frames_are_blurred():
    np.random.seed(0)

    def sharpness(prob: float) -> list[int]:
        clip = PseudoVideo(60, rotation=0, translation=0, perspective=0, blur_prob=prob).transform(
            loaded_clip(square())
        )
        return [len(np.unique(image)) for image in clip['img']]  # 2 where black borders on white

    assert set(sharpness(0)) == {2}
    assert 5 <= sum(levels > 2 for levels in sharpness(0.25)) <= 30
    assert sum(levels > 2 for levels in sharpness(1)) == 59  # all but the picture itself


def test_picture_mask_and_box_move_together():
    np.random.seed(0)
    loaded = loaded_clip(square())
    loaded['gt_bboxes'] = [loaded['gt_bboxes'][0] + 0.4]  # annotated boxes do not end at pixels
    clip = PseudoVideo(6, blur_prob=0).transform(loaded)
    assert {len(values) for values in clip.values()} == {6}
    moved = 0
    for image, masks, boxes in zip(clip['img'], clip['gt_masks'], clip['gt_bboxes']):
        mask = masks.masks[0]
        assert ((image[..., 0] > 127) != mask.astype(bool)).mean() < 0.02  # they differ by rounding at the border
        np.testing.assert_array_equal(boxes, mask_to_box(mask))
        moved += not np.array_equal(mask, square())
    assert moved == 5  # and one frame is the picture itself


def test_the_view_changes_where_nothing_else_moves():
    np.random.seed(0)

    def moved(perspective: float) -> int:
        step = PseudoVideo(6, rotation=0, translation=0, perspective=perspective, blur_prob=0)
        clip = step.transform(loaded_clip(square()))
        return sum(not np.array_equal(masks.masks[0], square()) for masks in clip['gt_masks'])

    assert (moved(0), moved(0.08)) == (0, 5)


def test_the_still_frame_stands_anywhere_and_a_seed_repeats_the_clip():
    def places(seed: int) -> list[int]:
        np.random.seed(seed)
        clips = (PseudoVideo(3).transform(loaded_clip(square())) for _ in range(20))
        return [[np.array_equal(masks.masks[0], square()) for masks in clip['gt_masks']].index(True) for clip in clips]

    assert set(places(0)) == {0, 1, 2}
    assert places(1) == places(1)


def test_an_object_that_moves_out_of_the_picture_is_absent():
    np.random.seed(0)
    corner = np.zeros((HEIGHT, WIDTH), np.uint8)
    corner[:2, :2] = 1
    clip = PseudoVideo(30, rotation=0, translation=0.5).transform(loaded_clip(corner))
    counts = [len(masks) for masks in clip['gt_masks']]
    assert set(counts) == {0, 1}
    for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids'):
        assert [len(values) for values in clip[key]] == counts


def test_pseudo_video_without_an_object_or_of_a_whole_clip():
    clip = PseudoVideo(3).transform(loaded_clip(np.zeros((HEIGHT, WIDTH), np.uint8)))
    assert [len(masks) for masks in clip['gt_masks']] == [0, 0, 0]
    with pytest.raises(ValueError, match='not of 3'):
        PseudoVideo(2).transform(clip)
    with pytest.raises(ValueError, match='num_frames'):
        TRANSFORMS.build(dict(type='PseudoVideo', num_frames=0))


# ---- SynthRVOS as polygons ----


@settings(max_examples=60, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans()))
def test_polygons_give_the_mask_back(mask):
    """With holes, single pixels and pixels that touch at a corner."""
    if mask.any():
        code = coco_mask.merge(coco_mask.frPyObjects(polygons(mask), *mask.shape))
        np.testing.assert_array_equal(coco_mask.decode(code), mask)
