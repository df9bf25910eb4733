"""RefYouTubeVOSDataset and its shipped pipelines on a tiny tree in the official layout."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from rvos_tree import HEIGHT, WIDTH, edit_expressions, index_mask, object_box, write_tree
from shipped import shipped_dataset

from ifirvos.datasets import RefYouTubeVOSDataset
from ifirvos.registry import MODELS


@pytest.fixture
def root(tmp_path) -> Path:
    return write_tree(tmp_path)


def test_known_record(root):
    dataset = RefYouTubeVOSDataset(str(root))
    assert len(dataset) == 2 * 8 + 2 * 1
    info = dataset.get_data_info(3)
    assert (info['video_id'], info['exp_id'], info['obj_id'], info['key_frame_id']) == ('aa', '0', 1, 3)
    assert info['text'] == 'the red box on the left, bright'
    assert info['kind'] == 'spatial'  # SynthRVOS's; the release has none
    # The file lists the frames backwards: here they are in order.
    assert [Path(image['img_path']).name for image in info['images'][:3]] == ['00000.jpg', '00005.jpg', '00010.jpg']
    assert Path(info['images'][1]['mask_path']) == root / 'train/Annotations/aa/00005.png'


def test_one_frame_video_with_a_non_ascii_name_and_sentence(root):
    info = RefYouTubeVOSDataset(str(root)).get_data_info(-1)
    assert (info['video_id'], info['video_length'], info['text']) == ('bb-Ü', 1, 'la boîte verte')
    assert Path(info['images'][0]['img_path']).is_file()


def test_split_without_masks_is_for_test_only(tmp_path):
    root = str(write_tree(tmp_path, 'valid', masks=False))
    dataset = RefYouTubeVOSDataset(root, 'valid')
    assert dataset.test_mode
    assert len(dataset) == 4
    assert {image['mask_path'] for image in dataset.get_data_info(0)['images']} == {None}
    with pytest.raises(FileNotFoundError, match='valid/Annotations'):
        RefYouTubeVOSDataset(root, 'valid', test_mode=False)


def test_expression_whose_object_is_secret(root):
    edit_expressions(root, lambda videos: videos['aa']['expressions']['0'].pop('obj_id'))
    info = RefYouTubeVOSDataset(str(root), test_mode=True).get_data_info(0)
    assert info['obj_id'] is None
    assert info['images'][0]['mask_path'] is None
    with pytest.raises(ValueError, match='0 of video aa'):
        RefYouTubeVOSDataset(str(root))


def test_missing_files_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere/train/JPEGImages'):
        RefYouTubeVOSDataset(str(tmp_path / 'nowhere'))
    (root / 'test/JPEGImages').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match='meta_expressions/test/meta_expressions.json'):
        RefYouTubeVOSDataset(str(root), 'test')
    file = root / 'meta_expressions/train/meta_expressions.json'
    file.write_text('{"vids": {}}', encoding='utf-8')
    with pytest.raises(ValueError, match='train/meta_expressions.json'):
        RefYouTubeVOSDataset(str(root))


def write_test_file(root: Path, *videos: str) -> None:
    file = root / 'meta_expressions/test/meta_expressions.json'
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({'videos': {video: {'expressions': {}, 'frames': []} for video in videos}}))


def video_ids(dataset) -> set[str]:
    return {dataset.get_data_info(index)['video_id'] for index in range(len(dataset))}


def test_validation_is_what_is_left_without_the_test_videos(tmp_path):
    root = write_tree(tmp_path, 'valid', {'aa': 2, 'bb': 1, 'cc': 1})
    assert video_ids(RefYouTubeVOSDataset(str(root), 'valid')) == {'aa', 'bb', 'cc'}
    write_test_file(root, 'bb', 'not in valid')
    assert video_ids(RefYouTubeVOSDataset(str(root), 'valid')) == {'aa', 'cc'}
    # Only the validation set is trimmed, and the frames of the test set may lie in its folder.
    write_tree(tmp_path, 'train', {'bb': 1})
    assert video_ids(RefYouTubeVOSDataset(str(root))) == {'bb'}
    shutil.copy(
        root / 'meta_expressions/valid/meta_expressions.json', root / 'meta_expressions/test/meta_expressions.json'
    )
    test = RefYouTubeVOSDataset(str(root), 'test')
    assert video_ids(test) == {'aa', 'bb', 'cc'}
    assert Path(test.get_data_info(0)['images'][0]['img_path']).parts[-4:-1] == ('valid', 'JPEGImages', 'aa')
    with pytest.raises(ValueError, match=r"meta_expressions/valid.*meta_expressions/test.*split='test'"):
        RefYouTubeVOSDataset(str(root), 'valid')


@pytest.mark.parametrize('split', ['valid', 'val'])
def test_a_copy_may_call_the_validation_set_val(tmp_path, split):
    root = write_tree(tmp_path, 'val')
    write_test_file(root, 'aa')
    dataset = RefYouTubeVOSDataset(str(root), split)
    assert video_ids(dataset) == {'bb-Ü'}
    assert Path(dataset.get_data_info(0)['images'][0]['mask_path']).is_file()


def test_the_release_is_named_never_asserted(tmp_path):
    root = write_tree(tmp_path, 'valid', {f'v{number}': 1 for number in range(3)})
    file = root / 'meta_expressions/valid/meta_expressions.json'
    video = json.loads(file.read_text(encoding='utf-8'))['videos']['v0']

    def release(count: int, split: str = 'valid') -> str:
        file.write_text(json.dumps({'videos': {f'v{number}': video for number in range(count)}}))
        dataset = RefYouTubeVOSDataset(str(root), split)
        assert len(dataset) == 2 * count
        return dataset.release

    assert release(202) == 'the official validation set'
    assert release(202, 'val') == 'the official validation set'
    assert 'together with the test set' in release(507)
    assert release(3) == 'no release known by that number of videos'


def test_awkward_sentences_and_ids(root):
    long = ' '.join(f'word{number}' for number in range(600))

    def change(videos):
        expressions = videos['aa']['expressions']
        expressions['0']['exp'], expressions['1']['exp'] = '', long
        expressions['Ä 3'] = {'exp': '狗', 'obj_id': 2}

    edit_expressions(root, change)
    dataset = RefYouTubeVOSDataset(str(root), test_mode=True)
    found = [dataset.get_data_info(index) for index in range(3)]
    assert found[2]['kind'] == ''
    assert [info['text'] for info in found] == ['', long, '狗']
    assert [(info['exp_id'], info['obj_id']) for info in found] == [('0', 1), ('1', 2), ('Ä 3', 2)]
    edit_expressions(root, lambda videos: videos['aa']['expressions']['0'].update(obj_id='dog'))
    with pytest.raises(ValueError, match="Expression 0 of video aa.*'dog'"):
        RefYouTubeVOSDataset(str(root))


@pytest.mark.parametrize('content', ['[]', '{"videos": []}', '{"videos": {"aa": {"frames": []}}}', 'not json'])
def test_other_structures_are_refused(root, content):
    (root / 'meta_expressions/train/meta_expressions.json').write_text(content)
    with pytest.raises(ValueError, match='train/meta_expressions.json'):
        RefYouTubeVOSDataset(str(root))


config_dataset = partial(shipped_dataset, 'ref_youtube_vos')


def test_missing_frame_or_mask_is_named_when_read(root):
    dataset = config_dataset(root, 'test_dataloader', split='train', test_mode=True)
    (root / 'train/Annotations/aa/00005.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'Annotations/aa/00005\.png'):
        dataset[0]
    (root / 'train/JPEGImages/aa/00005.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'JPEGImages/aa/00005\.jpg'):
        dataset[0]


def test_shipped_test_pipeline_keeps_masks_at_original_size(root):
    packed = config_dataset(root, 'test_dataloader', split='train', test_mode=True)[1]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (8, 3, 360, 540)  # 48x72: short side 360
    assert packed['inputs'].dtype == torch.uint8
    assert {key: sample.metainfo[key] for key in ('text', 'exp_id', 'video_id', 'kind', 'ori_video_length')} == dict(
        text='la boîte verte', exp_id='1', video_id='aa', kind='attr', ori_video_length=8
    )
    for index, frame in enumerate(sample):
        box = object_box(2, index)
        assert frame.frame_id == index
        assert (frame.ori_shape, frame.img_shape) == ((HEIGHT, WIDTH), (360, 540))
        assert frame.scale_factor == (7.5, 7.5)
        assert frame.gt_instances.bboxes.tolist() == ([list(box)] if box else [])
        expected = (index_mask(index) == 2)[None] if box else np.zeros((0, HEIGHT, WIDTH))
        np.testing.assert_array_equal(frame.gt_instances.masks.masks, expected)


def test_test_pipeline_without_masks_leaves_the_truth_open(tmp_path):
    sample = config_dataset(write_tree(tmp_path, 'valid', masks=False), 'test_dataloader')[0]['data_samples']
    assert 'masks' not in sample[0].gt_instances


def test_shipped_training_pipeline(root):
    """Sizes, mirrored sentence, and that mask, box and colour stay together through all of the augmentation."""
    np.random.seed(0)
    dataset = config_dataset(root, 'train_dataloader', key_frame_interval=1)
    assert len(config_dataset(root, 'train_dataloader')) == 2 * 2 + 2  # key frames 0 and 6 of 8, 0 of 1
    mirrored, cropped, sizes = set(), False, set()
    for index in range(16):
        packed = dataset[index % 8]  # expression 0: the red box
        sample, inputs = packed['data_samples'], packed['inputs']
        height, width = inputs.shape[-2:]
        sizes.add(min(height, width))
        assert inputs.dtype == torch.uint8
        assert len(inputs) == len(sample) == 6
        assert max(height, width) <= 640
        flips = {frame.flip for frame in sample}
        assert len(flips) == 1  # one draw a clip
        assert ('on the right' in sample.text) == flips.pop()
        assert sample.text.endswith(', bright')
        mirrored.add('on the right' in sample.text)
        cropped |= abs(width / height - WIDTH / HEIGHT) > 0.05
        assert any(len(frame.gt_instances) for frame in sample)
        for frame in sample:
            masks = frame.gt_instances.masks.masks
            assert masks.shape[1:] == frame.img_shape == (height, width)
            for mask, box in zip(masks, frame.gt_instances.bboxes.tolist(), strict=True):
                assert mask.any()
                rows, columns = np.nonzero(mask)
                tight = [columns.min(), rows.min(), columns.max(), rows.max()]
                # An original pixel is up to 15 wide here; mirrored boxes are one off, as in the reference.
                np.testing.assert_allclose(box, tight, atol=2 * max(height / HEIGHT, width / WIDTH, 14))
    assert mirrored == {True, False}
    assert cropped
    assert len(sizes) > 2


def test_training_never_shows_a_clip_without_its_object(root):
    np.random.seed(0)
    dataset = config_dataset(root, 'train_dataloader')
    sample = dataset[len(dataset) - 1]['data_samples']  # the green box is in no frame of the one-frame video
    assert any(len(frame.gt_instances) for frame in sample)
    assert dataset.num_resampled > 0


def test_training_is_repeatable_under_a_seed(root):
    dataset = config_dataset(root, 'train_dataloader')

    def draw():
        np.random.seed(7)
        return dataset[0]['inputs']

    assert torch.equal(draw(), draw())


def test_packed_clips_go_through_mmdets_preprocessor(root):
    """Two clips of different size: padded to a common multiple of 32, masks too, empty frames included."""
    np.random.seed(1)
    dataset = config_dataset(root, 'train_dataloader', key_frame_interval=1)
    preprocessor = MODELS.build(
        dict(
            type='TrackDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_mask=True,
            pad_size_divisor=32,
        )
    )
    items = [dataset[8], dataset[3]]  # the green box, absent in frames 0 and 1, and the red one
    batch = preprocessor(pseudo_collate(items), training=True)
    batch_height, batch_width = batch['inputs'].shape[-2:]
    assert batch['inputs'].shape[:3] == (2, 6, 3)
    assert batch['inputs'].dtype == torch.float32
    assert batch_height % 32 == batch_width % 32 == 0
    first = items[0]['inputs'][0].float()
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    torch.testing.assert_close(
        batch['inputs'][0, 0, :, : first.shape[1], : first.shape[2]],
        (first.flip(0) - mean[:, None, None]) / std[:, None, None],
    )
    for sample in batch['data_samples']:
        assert isinstance(sample.text, str)
        for frame in sample:
            assert frame.batch_input_shape == (batch_height, batch_width)
            assert frame.gt_instances.masks.masks.shape[1:] == (batch_height, batch_width)
