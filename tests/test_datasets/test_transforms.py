"""The pipeline steps, on inputs a person can check."""

import copy
import pickle
from multiprocessing.reduction import ForkingPickler

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import TransformBroadcaster
from mmdet.structures.mask import BitmapMasks
from PIL import Image

from ifirvos.datasets.transforms import (
    FlipExpression,
    LoadRVOSMasks,
    PackRVOSInputs,
    PhotoMetricDistortionUint8,
    ReferenceResize,
    RequireVisibleObject,
    ResizeByArea,
    RVOSClipSample,
)
from ifirvos.datasets.transforms.clip_sampling import reference_indices, stratified_indices, uniform_indices
from ifirvos.datasets.transforms.flip_expression import swap_left_right
from ifirvos.datasets.transforms.loading import mask_to_box
from ifirvos.datasets.transforms.resize import shrink_image
from ifirvos.errors import AnnotationError


def record(length: int, **extra) -> dict:
    images = [dict(frame_id=index, img_path=f'{index}.jpg') for index in range(length)]
    return dict(
        video_id='v', video_length=length, text='six ch', exp_id='3', kind='attr', obj_id=1, images=images, **extra
    )


# ---- which frames ----


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_training_samplers_give_t_sorted_frames_with_the_key_frame(length, num_frames, data):
    key = data.draw(st.integers(0, length - 1))
    for sampler in (reference_indices, stratified_indices):
        indices = sampler(length, num_frames, key)
        assert len(indices) == num_frames
        assert indices == sorted(indices)
        assert key in indices
        assert min(indices) >= 0
        assert max(indices) < length


@settings(max_examples=200, deadline=None)
@given(st.integers(20, 40), st.integers(4, 8), st.data())
def test_reference_clip_has_neighbours_within_3_and_the_rest_outside_them(length, num_frames, data):
    key = data.draw(st.integers(3, length - 4))
    indices = reference_indices(length, num_frames, key)
    before = [i for i in indices if key - 3 <= i < key]
    after = [i for i in indices if key < i <= key + 3]
    assert before
    assert after
    assert len(set(indices)) >= num_frames - 1  # only the frame after the key frame may be drawn a second time
    assert indices.count(key) == 1


def test_neighbours_of_the_key_frame_are_one_to_three_frames_away():
    clips = [reference_indices(30, 3, 15) for _ in range(300)]
    assert {15 - clip[0] for clip in clips} == {clip[2] - 15 for clip in clips} == {1, 2, 3}


def test_reference_clip_of_two_has_a_neighbour_of_either_side():
    offsets = {index - 15 for _ in range(300) for index in reference_indices(30, 2, 15)}
    assert offsets == {-3, -2, -1, 0, 1, 2, 3}


def test_reference_clip_at_the_border_repeats_the_key_frame():
    for _ in range(20):
        indices = reference_indices(30, 3, 0)
        assert indices[:2] == [0, 0]
        assert 1 <= indices[2] <= 3


def test_reference_clip_of_a_short_video_repeats_all_its_frames():
    # 3 of 2 frames are taken around the key frame; the 7 missing ones are both frames three times and one of them.
    for _ in range(20):
        assert sorted(np.bincount(reference_indices(2, 10, 0))) in ([4, 6], [5, 5])
    assert reference_indices(1, 6, 0) == [0] * 6


def test_reference_clip_reaches_the_whole_video():
    drawn = {i for _ in range(300) for i in reference_indices(27, 6, 13)}
    assert drawn == set(range(27))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_stratified_clip_has_one_frame_of_each_part(length, num_frames, data):
    key = data.draw(st.integers(0, length - 1))
    for part, index in enumerate(stratified_indices(length, num_frames, key)):
        first, end = part * length // num_frames, (part + 1) * length // num_frames
        assert first <= index < max(end, first + 1)


def test_stratified_clip_of_one_frame_is_the_key_frame():
    assert [stratified_indices(24, 1, key) for key in (0, 7, 23)] == [[0], [7], [23]]


def test_uniform_clip_holds_both_ends_and_never_repeats():
    assert uniform_indices(24, 4, 0) == [0, 8, 15, 23]
    assert uniform_indices(3, 5, 0) == [0, 1, 2]
    assert uniform_indices(24, 1, 0) == [12]
    assert uniform_indices(1, 4, 0) == [0]


def test_clip_sample_repeats_clip_keys_for_every_frame():
    clip = RVOSClipSample(4, 'reference').transform(record(6, key_frame_id=2))
    # A sentence of T characters must not be scattered into characters by a broadcaster.
    assert RVOSClipSample(mode='all').transform(record(6))['text'] == ['six ch'] * 6
    assert clip['ori_video_length'] == [6] * 4
    assert clip['video_length'] == [4] * 4
    assert clip['img_path'] == [f'{i}.jpg' for i in clip['frame_id']]
    assert clip['kind'] == ['attr'] * 4


def test_clip_sample_follows_numpys_seed():
    def draw() -> list[int]:
        np.random.seed(3)
        return RVOSClipSample(5, 'stratified').transform(record(20))['frame_id']

    assert draw() == draw()


def test_clip_sample_names_its_modes():
    with pytest.raises(ValueError, match='stratified'):
        RVOSClipSample(4, 'random')
    with pytest.raises(ValueError, match='num_frames'):
        RVOSClipSample(mode='reference')


# ---- masks ----


def save_mask(path, array, mode: str = 'P') -> str:
    image = Image.fromarray(array, mode='L' if mode == 'L' else None)
    if mode == 'P':
        image = Image.fromarray(array, mode='P')
        image.putpalette([0, 0, 0, 0, 0, 0, 9, 9, 9])  # ids 0 and 1 look the same: only the index tells them apart
    image.save(path)
    return str(path)


@pytest.mark.parametrize('mode', ['P', 'L'])
def test_load_masks_reads_the_index_not_the_colour(tmp_path, mode):
    array = np.zeros((5, 7), dtype=np.uint8)
    array[1:4, 2] = 1
    array[3:, 4:] = 2
    path = save_mask(tmp_path / 'm.png', array, mode)
    for obj_id, box in ((1, [2, 1, 2, 3]), (2, [4, 3, 6, 4])):
        results = LoadRVOSMasks().transform(dict(mask_path=path, obj_id=obj_id, ori_shape=(5, 7), img_path='f.jpg'))
        np.testing.assert_array_equal(results['gt_masks'].masks, (array == obj_id)[None])
        assert results['gt_bboxes'].tolist() == [box]
        assert results['gt_bboxes_labels'].tolist() == [0]
        assert results['gt_instances_ids'].tolist() == [obj_id]


def test_load_masks_of_an_absent_object_gives_no_instance(tmp_path):
    path = save_mask(tmp_path / 'm.png', np.ones((5, 7), dtype=np.uint8))
    results = LoadRVOSMasks().transform(dict(mask_path=path, obj_id=3, ori_shape=(5, 7), img_path='f.jpg'))
    assert results['gt_masks'].masks.shape == (0, 5, 7)
    assert results['gt_bboxes'].shape == (0, 4)
    assert len(results['gt_bboxes_labels']) == len(results['gt_instances_ids']) == 0


def test_load_masks_leaves_unknown_truth_unknown():
    assert 'gt_masks' not in LoadRVOSMasks().transform(dict(mask_path=None, obj_id=None, ori_shape=(5, 7)))


def test_load_masks_names_what_is_wrong(tmp_path):
    frame = dict(mask_path=str(tmp_path / 'gone.png'), obj_id=1, ori_shape=(5, 7), img_path='f.jpg')
    with pytest.raises(FileNotFoundError, match=r'gone\.png'):
        LoadRVOSMasks().transform(frame)
    frame['mask_path'] = save_mask(tmp_path / 'small.png', np.ones((4, 7), dtype=np.uint8))
    with pytest.raises(ValueError, match=r'small\.png.*f\.jpg'):
        LoadRVOSMasks().transform(frame)
    frame['mask_path'] = save_mask(tmp_path / 'rgb.png', np.ones((5, 7, 3), dtype=np.uint8), 'RGB')
    with pytest.raises(ValueError, match=r'rgb\.png.*RGB'):
        LoadRVOSMasks().transform(frame)
    with pytest.raises(ValueError, match='palette_png'):
        LoadRVOSMasks('bmp')


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**35 - 1))
def test_mask_to_box_is_first_and_last_pixel(bits):
    mask = np.array([bits >> i & 1 for i in range(35)], dtype=np.uint8).reshape(5, 7)
    rows, columns = np.nonzero(mask)
    expected = [[columns.min(), rows.min(), columns.max(), rows.max()]] if len(rows) else []
    assert mask_to_box(mask).tolist() == expected


def test_resize_by_area_does_not_shift_the_mask():
    mask = np.zeros((1, 12, 18), dtype=np.uint8)
    mask[0, 3:6, 6:12] = 1  # covers new pixels (1, 2) and (1, 3) exactly
    mask[0, 9:11, 0:3] = 1  # two thirds of new pixel (3, 0)
    mask[0, 9:10, 15:18] = 1  # one third of new pixel (3, 5)
    results = ResizeByArea((6, 4)).transform(
        dict(
            img=np.full((12, 18, 3), 7, dtype=np.uint8),
            gt_masks=BitmapMasks(mask, 12, 18),
            gt_bboxes=np.array([[6, 3, 11, 5]], dtype=np.float32),
        )
    )
    assert list(zip(*np.nonzero(results['gt_masks'].masks[0]), strict=True)) == [(1, 2), (1, 3), (3, 0)]
    np.testing.assert_allclose(results['gt_bboxes'], [[2, 1, 11 / 3, 5 / 3]], rtol=1e-6)
    assert results['gt_bboxes'].dtype == np.float32
    assert results['img'].shape == (4, 6, 3)
    assert results['img_shape'] == (4, 6)
    assert results['scale_factor'] == (1 / 3, 1 / 3)


def test_shrinking_a_picture_averages_and_does_not_shift():
    # A checkerboard of single pixels is grey when averaged; taking every third pixel would leave it black and white.
    board = np.indices((192, 288)).sum(axis=0) % 2 * 255
    grey = shrink_image(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), (96, 64))
    assert 120 <= grey.min() <= grey.max() <= 135
    # A ramp keeps its value at the centre of every new pixel: source pixel 3x + 1.
    ramp = np.broadcast_to(np.arange(288)[None, :, None] * 0.8, (192, 288, 3)).astype(np.uint8)
    expected = (3 * np.arange(96) + 1) * 0.8
    np.testing.assert_allclose(shrink_image(ramp, (96, 64))[30, 1:-1, 0], expected[1:-1], atol=1.2)
    assert shrink_image(ramp, (96, 64)).shape == (64, 96, 3)
    assert shrink_image(ramp[:7, :9], (5, 3)).shape == (3, 5, 3)


def test_resize_by_area_takes_pictures_without_truth_or_object():
    picture = dict(img=np.zeros((12, 18, 3), dtype=np.uint8))
    assert 'gt_masks' not in ResizeByArea((6, 4)).transform(dict(picture))
    empty = dict(picture, gt_masks=BitmapMasks([], 12, 18), gt_bboxes=np.zeros((0, 4), dtype=np.float32))
    results = ResizeByArea((6, 4)).transform(empty)
    assert results['gt_masks'].masks.shape == (0, 4, 6)
    assert results['gt_bboxes'].shape == (0, 4)


def test_a_resize_forgets_the_picture_before():
    step = ReferenceResize((None, 360))
    for size, expected in (((480, 854), (360, 640)), ((480, 1152), (360, 864)), ((854, 480), (640, 360))):
        assert step(dict(img=np.zeros((*size, 3), np.uint8)))['img_shape'] == expected


# ---- sentences and colours ----


@pytest.mark.parametrize(
    ('text', 'flipped'),
    [
        ('the bright box left of the upright one', 'the bright box right of the upright one'),
        ('Left LEFT left, right-hand (right)', 'Right RIGHT right, left-hand (left)'),
        ('the leftmost, moving rightwards', 'the rightmost, moving leftwards'),
        ('lefthandside, the leftest, fromleft, left_most', 'righthandside, the rightest, fromright, right_most'),
        ('bottom_left, 2ndleft, 3rd from left, leftcorner', 'bottom_right, 2ndright, 3rd from right, rightcorner'),
        ('leftover rights, copyright, cleft, rightful', 'leftover rights, copyright, cleft, rightful'),
        ('the leftside one, topright, a Lefty', 'the rightside one, topleft, a Righty'),
        ('bottom-left, upperleft, left-handed righthander', 'bottom-right, upperright, right-handed lefthander'),
        ('', ''),
    ],
)
def test_swap_left_right_takes_whole_words(text, flipped):
    assert swap_left_right(text) == flipped
    assert swap_left_right(flipped) == text


def test_flip_expression_only_where_left_and_right_change_sides():
    def flip(flag: bool, direction: str | None) -> list[str]:
        return FlipExpression().transform(dict(text=['left'] * 2, flip=[flag] * 2, flip_direction=[direction] * 2))[
            'text'
        ]

    assert flip(False, None) == ['left', 'left']
    assert flip(True, 'horizontal') == ['right', 'right']
    assert flip(True, 'vertical') == ['left', 'left']
    assert flip(True, 'diagonal') == ['right', 'right']


def test_flip_expression_refuses_frames_flipped_apart():
    with pytest.raises(ValueError, match='share_random_params'):
        FlipExpression().transform(dict(text=['a'] * 2, flip=[True, False], flip_direction=['horizontal', None]))


def test_photometric_distortion_stays_a_picture():
    np.random.seed(0)
    distort = PhotoMetricDistortionUint8(brightness_delta=200, contrast_range=(1, 1))
    image = np.array([[[100, 100, 100], [250, 250, 250]]], dtype=np.uint8)
    outs = [distort.transform(dict(img=image.copy()))['img'] for _ in range(16)]
    for out in outs:
        assert out.dtype == np.uint8
        # The brighter pixel stays the brighter one: without clipping, 250 + 50 would wrap round to 44.
        assert int(out[0, 1].min()) >= int(out[0, 0].max())
    assert len({out.tobytes() for out in outs}) > 4


def test_photometric_distortion_can_be_shared_by_a_clip():
    image = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)

    def run(shared: bool) -> list[np.ndarray]:
        step = TransformBroadcaster([dict(type='PhotoMetricDistortionUint8')], share_random_params=shared)
        return step(dict(img=[image.copy() for _ in range(6)]))['img']

    assert all((frame == frames[0]).all() for frames in [run(True)] for frame in frames)
    assert any((frame != frames[0]).any() for frames in [run(False)] for frame in frames)


# ---- what is left of the object, and packing ----


def clip(masks: list[np.ndarray]) -> dict:
    """A clip whose every frame still has one instance, though its mask may be empty."""
    return dict(
        gt_masks=[BitmapMasks(mask[None], *mask.shape) for mask in masks],
        gt_bboxes=[np.array([[0, 0, 1, 1]], dtype=np.float32) for _ in masks],
        gt_bboxes_labels=[np.zeros(1, dtype=np.int64) for _ in masks],
        gt_instances_ids=[np.ones(1, dtype=np.int32) for _ in masks],
    )


def test_require_visible_object_empties_frames_without_a_pixel():
    full, empty = np.ones((2, 3), dtype=np.uint8), np.zeros((2, 3), dtype=np.uint8)
    results = RequireVisibleObject().transform(clip([empty, full]))
    assert [len(value) for value in results['gt_masks']] == [0, 1]
    assert [len(value) for value in results['gt_bboxes']] == [0, 1]
    assert [len(value) for value in results['gt_instances_ids']] == [0, 1]
    assert RequireVisibleObject().transform(clip([empty, empty])) is None


def test_require_visible_object_keeps_a_clip_of_a_sentence_that_fits_nothing():
    empty = np.zeros((2, 3), dtype=np.uint8)
    assert RequireVisibleObject().transform(clip([empty, empty]) | dict(obj_id=[3, 3])) is None
    results = RequireVisibleObject().transform(clip([empty, empty]) | dict(obj_id=[0, 0]))
    assert [len(value) for value in results['gt_masks']] == [0, 0]


def test_object_zero_has_no_pixel_and_its_file_is_not_read():
    frame = dict(obj_id=0, mask_path='not there.png', ori_shape=(2, 3), img_path='a.jpg')
    results = LoadRVOSMasks().transform(frame)
    assert len(results['gt_masks']) == len(results['gt_bboxes']) == 0
    assert (results['gt_masks'].height, results['gt_masks'].width) == (2, 3)


def test_pack_gives_the_clip_its_own_metainfo():
    frames = dict(clip([np.ones((2, 3), dtype=np.uint8)] * 2), img=[np.zeros((2, 3, 3), dtype=np.uint8)] * 2)
    frames.update(img_id=[0, 1], frame_id=[4, 9], img_path=['a', 'b'], text=['ab'] * 2, exp_id=['0'] * 2)
    packed = PackRVOSInputs().transform(frames)
    sample = packed['data_samples']
    assert packed['inputs'].shape == (2, 3, 2, 3)
    assert sample.text == 'ab'
    assert sample.metainfo['exp_id'] == '0'
    assert [frame.frame_id for frame in sample] == [4, 9]
    assert frames['gt_masks']  # the caller's dict is left as it was


def test_annotations_leave_a_worker_by_value():
    """A shared memory file for each small tensor would cost more than loading the frame."""
    frames = dict(clip([np.ones((2, 3), dtype=np.uint8)]), img=[np.zeros((2, 3, 3), dtype=np.uint8)], img_id=[0])
    instances = PackRVOSInputs().transform(frames)['data_samples'][0].gt_instances
    copies = [pickle.loads(ForkingPickler.dumps(instances)), copy.deepcopy(instances), instances.to('cpu')]  # noqa: S301
    for received in copies:
        assert set(received.keys()) == {'masks', 'bboxes', 'labels', 'instances_ids'}
        assert received.bboxes.tolist() == [[0, 0, 1, 1]]
        assert received.labels.dtype == torch.int64
        assert not received.bboxes.is_shared()
        assert received.masks.masks.tolist() == [[[1, 1, 1]] * 2]
    assert not instances.bboxes.is_shared()


@pytest.mark.parametrize('swap_channels', [False, True])
def test_channels_are_swapped_only_if_allowed(swap_channels):
    np.random.seed(0)
    neutral = dict(brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=0)
    distort = PhotoMetricDistortionUint8(**neutral, swap_channels=swap_channels)
    picture = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    colours = {tuple(distort.transform(dict(img=picture))['img'][0, 0].tolist()) for _ in range(30)}
    assert (colours == {(200, 100, 50)}) is not swap_channels


def test_a_size_that_does_not_fit_for_its_exif_orientation_is_explained(tmp_path):
    image = Image.new('RGB', (8, 6))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / 'a.jpg', exif=exif)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((6, 8), np.uint8))
    frame = dict(img_path=str(tmp_path / 'a.jpg'), mask_path=str(tmp_path / 'a.png'), obj_id=1, ori_shape=(8, 6))
    with pytest.raises(ValueError, match='has the EXIF orientation 6'):
        LoadRVOSMasks().transform(frame)
    frame['ori_shape'] = (8, 7)
    with pytest.raises(ValueError, match=r'\(8, 7\)\.$'):
        LoadRVOSMasks().transform(frame)


def test_an_annotated_frame_that_the_video_does_not_have_is_named():
    sample = RVOSClipSample(num_frames=3, mode='window')
    frames = [dict(frame_id=t, key_frame_flags=False) for t in range(4)]
    with pytest.raises(AnnotationError, match='Frame 8 of video v1 is annotated, but it has 4 frames'):
        sample(dict(video_id='v1', video_length=4, key_frame_id=7, images=frames))
