"""MeViSDataset and its shipped pipelines on SynthRVOS written as MeViS."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from shipped import shipped_dataset
from synth_tree import FRAMES, SIZE, files_below, write_layout

from ifirvos.datasets import MeViSDataset
from ifirvos.datasets.mevis import RLEStore
from ifirvos.errors import AnnotationError

MASKS = 'valid_u/mask_dict.json'
ORDER_CLIP = 4  # objects 1 and 2 are absent in some frames; the last sentence names both


@pytest.fixture(scope='module')
def tree(tmp_path_factory) -> tuple[Path, dict]:
    root = tmp_path_factory.mktemp('mevis')
    return root, write_layout(root, 'mevis', {'train': [0], 'valid': [0, ORDER_CLIP]})


@pytest.fixture
def root(tree, tmp_path) -> Path:
    return Path(shutil.copytree(tree[0], tmp_path / 'mevis'))


def edit(root: Path, change, name: str = 'valid_u/meta_expressions.json') -> None:
    file = root / name
    content = json.loads(file.read_text())
    change(content.get('videos', content))
    file.write_text(json.dumps(content), encoding='utf-8')


config_dataset = partial(shipped_dataset, 'mevis')


def areas(info: dict) -> list[list[int]]:
    """Of every object seen in every frame."""
    return [[int(mask_utils.area(rle)) for rle in image['segmentations']] for image in info['images']]


def test_tree_is_that_of_the_release(tree):
    root, _ = tree
    assert files_below(root) == {
        f'{split}/{name}'
        for split in ('train', 'valid_u')
        for name in ('JPEGImages/VIDEO/*.jpg', 'meta_expressions.json', 'mask_dict.json')
    }
    videos = json.loads((root / 'valid_u/meta_expressions.json').read_text())['videos']
    assert videos['valid_00000']['frames'] == [f'{frame:05d}' for frame in range(FRAMES)]
    for video in videos.values():
        for raw in video['expressions'].values():
            assert set(raw) == {'exp', 'obj_id', 'anno_id', 'kind'}
            assert len(raw['obj_id']) == len(raw['anno_id'])
    masks = json.loads((root / 'valid_u/mask_dict.json').read_text())
    assert list(masks) == [str(number) for number in range(len(masks))]
    assert {len(track) for track in masks.values()} == {FRAMES}
    seen = [rle for track in masks.values() for rle in track if rle is not None]
    assert len(seen) < FRAMES * len(masks)
    assert all(rle['size'] == list(SIZE) and isinstance(rle['counts'], str) for rle in seen)


def test_known_records(tree):
    dataset = MeViSDataset(str(tree[0]), 'valid_u')
    assert dataset.test_mode
    assert len(dataset) == 4 + 5
    info = dataset.get_data_info(1)
    assert {key: value for key, value in info.items() if key != 'images'} == dict(
        video_id='valid_00000',
        exp_id='1',
        text='the right tiny orange thing',
        kind='spatial',
        obj_id=1,
        anno_ids=('1',),
        video_length=FRAMES,
        sample_idx=1,
    )
    assert Path(info['images'][1]['img_path']) == tree[0] / 'valid_u/JPEGImages/valid_00000/00001.jpg'
    assert areas(info) == [[310], [325], [310], [325], [310], [288], [310], [288], [310], [288], [310], [310]]
    both = dataset.get_data_info(8)
    assert both['text'] == 'the last one to appear and the object that vanishes first'
    assert both['kind'] == 'several'
    assert areas(both) == [[354]] * 6 + [[354, 354]] * 2 + [[354]] * 4


def test_masks_are_the_union_of_the_objects(tree):
    root, clips = tree
    sample = config_dataset(root, 'val_dataloader')[8]['data_samples']
    labels = clips['valid'][1].facts.labels
    for frame, label in zip(sample, labels, strict=True):
        np.testing.assert_array_equal(frame.gt_instances.masks.masks, np.isin(label, (1, 2))[None])
        assert frame.ori_shape == SIZE
    first = config_dataset(root, 'val_dataloader')[4]['data_samples']  # absent in the first half
    assert [len(frame.gt_instances) for frame in first] == [0] * 6 + [1] * 6


def test_overlapping_objects_count_once():
    one, other = np.zeros((2, 6, 8), np.uint8)
    one[1:4, 1:4] = 1
    other[2:5, 2:5] = 1
    rles = [mask_utils.encode(np.asfortranarray(mask)) for mask in (one, other)]
    store = RLEStore({'a': [dict(rle, counts=rle['counts'].decode()) for rle in rles], 'b': [None]})
    assert [store.length(name) for name in 'abc'] == [2, 1, None]
    assert store.get('b', 0) is None
    for frame, mask in enumerate((one, other)):
        np.testing.assert_array_equal(mask_utils.decode(store.get('a', frame)), mask)
    assert mask_utils.area(mask_utils.merge([store.get('a', 0), store.get('a', 1)])) == 9 + 9 - 4


def test_shipped_training_pipeline(tree):
    np.random.seed(0)
    dataset = config_dataset(tree[0], 'train_dataloader')
    number = len(tree[1]['train'][0].expressions) + 1
    assert len(dataset) == number * 2  # every sixth of 12 frames is a key frame
    assert [dataset.get_data_info(index)['key_frame_id'] for index in range(4)] == [0, 6, 0, 6]
    packed = dataset[2 * number - 1]
    assert packed['inputs'].shape[:2] == (6, 3)
    for frame in packed['data_samples']:
        assert frame.gt_instances.masks.masks.shape == (1, *frame.img_shape)


def test_a_sentence_that_fits_nothing_is_for_test_only(root):
    def empty(videos):
        videos['valid_00000']['expressions']['0'].update(obj_id=[], anno_id=[])

    edit(root, empty)
    frame = config_dataset(root, 'val_dataloader')[0]['data_samples'][0]
    assert frame.gt_instances.masks.masks.shape == (0, *SIZE)
    info = MeViSDataset(str(root), 'valid_u').get_data_info(0)
    assert (info['obj_id'], info['kind']) == (0, 'absent')
    training = MeViSDataset(str(root), 'valid_u', test_mode=False, records='expression')
    assert len(training) == 4 + 5 - 1
    assert training.get_data_info(0)['exp_id'] == '1'


@pytest.mark.parametrize('name', ['meta_expressions_v2.json', 'meta_expressions_v2_release.json'])
def test_names_of_the_second_edition(root, name):
    (root / 'valid_u/meta_expressions.json').rename(root / 'valid_u' / name)
    assert len(MeViSDataset(str(root), 'valid_u')) == 4 + 5


def test_secret_masks(root):
    (root / 'valid_u').rename(root / 'valid')
    (root / 'valid/mask_dict.json').unlink()

    def hide(videos):
        for video in videos.values():
            for raw in video['expressions'].values():
                del raw['obj_id'], raw['anno_id'], raw['kind']

    edit(root, hide, 'valid/meta_expressions.json')
    info = MeViSDataset(str(root), 'valid').get_data_info(0)
    assert (info['obj_id'], info['kind'], info['images'][0]['mask_path']) == (None, '', None)
    sample = config_dataset(root, 'val_dataloader', split='valid')[0]['data_samples']
    assert 'masks' not in sample[0].gt_instances
    with pytest.raises(FileNotFoundError, match='valid/mask_dict.json'):
        MeViSDataset(str(root), 'valid', test_mode=False)


def test_awkward_sentences_ids_and_lengths(root):
    long = ' '.join(f'word{number}' for number in range(600))

    def change(videos):
        video = videos.pop('valid_00000')
        video['expressions']['0'].update(exp='')
        video['expressions']['1'].update(exp=long)
        video['expressions']['Ä'] = dict(video['expressions'].pop('2'), exp='der  ROTE\tBär')
        for raw in video['expressions'].values():
            raw['anno_id'] = [f'a{number}' for number in raw['anno_id']]
        videos['bär'] = dict(video, frames=video['frames'][:1])

    edit(root, change)
    edit(root, lambda tracks: tracks.update({f'a{key}': track[:1] for key, track in list(tracks.items())}), MASKS)
    (root / 'valid_u/JPEGImages/valid_00000').rename(root / 'valid_u/JPEGImages/bär')
    dataset = config_dataset(root, 'val_dataloader')
    found = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [info['text'] for info in found[-4:-2]] == ['', long]
    assert (found[-1]['exp_id'], found[-1]['text'], found[-1]['video_id']) == ('Ä', 'der rote bär', 'bär')
    sample = dataset[len(dataset) - 1]['data_samples']
    assert (len(sample), sample.ori_video_length) == (1, 1)
    assert int(sample[0].gt_instances.masks.masks.sum()) == 288


def test_missing_files_are_named(root):
    (root / 'valid_u/JPEGImages/valid_00000/00003.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='valid_00000/00003.jpg'):
        config_dataset(root, 'val_dataloader')[0]
    (root / 'train/mask_dict.json').unlink()
    with pytest.raises(FileNotFoundError, match='train/mask_dict.json'):
        MeViSDataset(str(root))
    (root / 'train/meta_expressions.json').unlink()
    with pytest.raises(FileNotFoundError, match='train/meta_expressions.json'):
        MeViSDataset(str(root), 'train', test_mode=True)
    with pytest.raises(FileNotFoundError, match='valid/JPEGImages'):
        MeViSDataset(str(root), 'valid')


def test_annotations_that_do_not_fit_are_named(root):
    edit(root, lambda tracks: tracks['1'].pop(), MASKS)
    with pytest.raises(ValueError, match='Expression 1 of video valid_00000.*annotation 1 has 11 masks for 12 frames'):
        MeViSDataset(str(root), 'valid_u')
    edit(root, lambda tracks: tracks.pop('1'), MASKS)
    with pytest.raises(ValueError, match=r'Expression 1 of video valid_00000.*annotation 1, which .*mask_dict\.json'):
        MeViSDataset(str(root), 'valid_u')


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ('[]', r'the file holds \[\], not a dict'),
        ('{"0": null}', "annotation '0' is None, not a list"),
        ('{"0": "abc"}', "annotation '0' is 'abc', not a list"),
        ('{"0": [{"size": [1, 1]}]}', "annotation '0', mask 0: it is .*, not a run-length code"),
        ('{"0": [null, [[1, 2, 3, 4, 5, 6]]]}', "annotation '0', mask 1: it is .*, not a run-length code"),
        ('{"0": [{"size": [1, 1], "counts": [1]}]}', r"annotation '0', mask 0: its counts are \[1\]"),
        ('{"0": [{"size": [1, 1], "counts": "é"}]}', "annotation '0', mask 0: its counts are 'é'"),
        ('{"0": [{"size": [1000000, 1000000], "counts": "a"}]}', "annotation '0', mask 0: size is"),
    ],
)
def test_masks_of_another_form_are_named(root, content, says):
    (root / MASKS).write_text(content, encoding='utf-8')
    with pytest.raises(AnnotationError, match=rf'valid_u/mask_dict\.json: {says}'):
        MeViSDataset(str(root), 'valid_u')


def test_mask_of_another_size_is_named(root):
    def shrink(tracks):
        small = mask_utils.encode(np.ones((10, 10), np.uint8, order='F'))
        tracks['0'] = [dict(size=small['size'], counts=small['counts'].decode())] * FRAMES

    edit(root, shrink, MASKS)
    with pytest.raises(ValueError, match=r'mask_dict.json has size \(10, 10\).*valid_00000/00000.jpg'):
        config_dataset(root, 'val_dataloader')[0]
