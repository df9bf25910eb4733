"""JHMDBSentencesDataset on SynthRVOS in its layout."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from shipped import shipped_dataset
from synth_tree import write_layout

from ifirvos.datasets import JHMDBSentencesDataset
from ifirvos.datasets.transforms import LoadRVOSMasks

METADATA = 'jhmdb_sentences_samples_metadata.json'


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp('jhmdb')
    return root, write_layout(root, 'jhmdb-sentences', {'valid': [0, 1]})['valid']


@pytest.fixture
def root(tree, tmp_path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tree[0], tmp_path / 'jhmdb')


def load_mask(info: dict) -> np.ndarray:
    frame = dict(info['images'][info['key_frame_id']], obj_id=info['obj_id'], ori_shape=(96, 144))
    return LoadRVOSMasks('jhmdb_mat').transform(frame)['gt_masks'].masks


def test_layout_is_that_of_the_release(tree):
    root, clips = tree
    for number, clip in enumerate(clips):
        asked = clip.expressions[number]
        frames = root / 'Rename_Images' / asked.kind / clip.video_id
        assert sorted(path.name for path in frames.iterdir()) == [f'{index:05d}.png' for index in range(1, 13)]
        volume = loadmat(root / 'puppet_mask' / asked.kind / clip.video_id / 'puppet_mask.mat')['part_mask']
        assert (volume.shape, volume.dtype) == ((96, 144, 12), np.uint8)
    lines = (root / 'jhmdb_annotation.txt').read_text().splitlines()
    assert lines[0] == 'video_id,query'
    assert [line.split(',')[0] for line in lines[1:]] == [clip.video_id for clip in clips]
    rows = json.loads((root / METADATA).read_text())
    assert len(rows) == 6
    assert rows[0][1].startswith('jhmdb_sentences/Rename_Images/')


def test_known_record(tree):
    root, (clip, _) = tree
    dataset = JHMDBSentencesDataset(str(root))
    assert dataset.test_mode
    assert len(dataset) == 6
    asked = clip.expressions[0]
    shown = clip.facts.labels == asked.object_id
    visible = np.flatnonzero(shown.any(axis=(1, 2))).tolist()
    key = visible[len(visible) // 2]  # the second of three
    info = dataset.get_data_info(1)
    assert (info['text'], info['video_id'], info['video_length']) == (asked.text, clip.video_id, 12)
    assert (info['key_frame_id'], info['exp_id']) == (key, f'v_{clip.video_id}_f_{key + 1}')
    assert info['images'][key]['img_path'].endswith(f'{clip.video_id}/{key + 1:05d}.png')
    assert Path(info['images'][key]['img_path']).is_file()
    np.testing.assert_array_equal(load_mask(info)[0], shown[key])
    assert [image['key_frame_flags'] for image in info['images']].count(True) == 1


def test_paths_of_the_list_may_start_anywhere(root):
    rows = json.loads((root / METADATA).read_text())
    for row in rows:
        row[1] = row[1].replace('jhmdb_sentences/', './elsewhere/jhmdb/')
    (root / METADATA).write_text(json.dumps(rows))
    info = JHMDBSentencesDataset(str(root)).get_data_info(0)
    assert Path(info['images'][info['key_frame_id']]['img_path']).is_file()


@pytest.mark.parametrize(
    ('count', 'frames'), [(3, [2, 6, 10]), (1, [6]), (None, list(range(12))), (50, list(range(12)))]
)
def test_without_a_list_frames_are_evenly_spaced(tree, count, frames):
    dataset = JHMDBSentencesDataset(str(tree[0]), ann_file='', frames_per_video=count)
    assert len(dataset) == 2 * len(frames)
    assert [dataset.get_data_info(index)['key_frame_id'] for index in range(len(frames))] == frames


def test_hidden_files_are_no_frames(root, tree):
    length = JHMDBSentencesDataset(str(root), ann_file='', frames_per_video=1).get_data_info(0)['video_length']
    for folder in (root / 'Rename_Images').glob('*/*'):
        for number in range(9):
            (folder / f'._{number:05d}.png').write_bytes(b'Mac OS X')
        (folder.parent / '.DS_Store').touch()
    info = JHMDBSentencesDataset(str(root), ann_file='', frames_per_video=1).get_data_info(0)
    assert info['video_length'] == length


def test_masks_may_end_before_the_frames_do(root, tree):
    asked, clip = tree[1][0].expressions[0], tree[1][0]
    path = root / 'puppet_mask' / asked.kind / clip.video_id / 'puppet_mask.mat'
    savemat(path, {'part_mask': np.zeros((96, 144, 5), np.uint8)})
    info = JHMDBSentencesDataset(str(root), ann_file='', frames_per_video=1).get_data_info(0)
    assert (info['video_length'], info['key_frame_id']) == (5, 2)
    assert len(load_mask(info)) == 0  # the object is not in the frame
    with pytest.raises(ValueError, match='masks of 5 frames, none of frame 9'):
        LoadRVOSMasks('jhmdb_mat').transform(dict(mask_path=str(path), mask_index=8, ori_shape=(96, 144)))


def test_awkward_sentences(root, tree):
    video = tree[1][0].video_id
    rows = [f'{video},ein  Würfel, rot', f'{video},', f'{video},{"very " * 600}long']
    (root / 'jhmdb_annotation.txt').write_bytes('\n'.join(['video_id,query', *rows]).encode('latin-1'))
    dataset = JHMDBSentencesDataset(str(root), ann_file='', frames_per_video=1)
    texts = [dataset.get_data_info(index)['text'] for index in range(3)]
    assert texts == ['ein würfel, rot', '', 'very ' * 600 + 'long']


def test_one_frame_video_whose_id_is_no_number(tmp_path):
    for folder in ('Rename_Images/walk/Ü b', 'puppet_mask/walk/Ü b'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'Rename_Images/walk/Ü b/00001.png').touch()
    savemat(tmp_path / 'puppet_mask/walk/Ü b/puppet_mask.mat', {'part_mask': np.ones((4, 6), np.uint8)})
    (tmp_path / 'jhmdb_annotation.txt').write_text('video_id,query\nÜ b,someone\n', encoding='utf-8')
    # MATLAB drops a last axis of length one.
    dataset = JHMDBSentencesDataset(str(tmp_path))
    info = dataset.get_data_info(0)
    assert (len(dataset), info['video_id'], info['video_length'], info['key_frame_id']) == (1, 'Ü b', 1, 0)
    frame = dict(info['images'][0], obj_id=1, ori_shape=(4, 6))
    assert LoadRVOSMasks('jhmdb_mat').transform(frame)['gt_masks'].masks.sum() == 24


def test_missing_or_wrong_files_are_named(root, tree):
    clip = tree[1][0]
    kind = clip.expressions[0].kind
    path = root / 'puppet_mask' / kind / clip.video_id / 'puppet_mask.mat'
    info = JHMDBSentencesDataset(str(root)).get_data_info(0)
    path.write_bytes(b'no matlab file')
    with pytest.raises(ValueError, match=r'puppet_mask\.mat'):
        load_mask(info)
    with pytest.raises(ValueError, match=r'puppet_mask\.mat'):
        JHMDBSentencesDataset(str(root), ann_file='')
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'puppet_mask\.mat is missing'):
        load_mask(info)
    with pytest.raises(FileNotFoundError, match=r'puppet_mask\.mat is missing'):
        JHMDBSentencesDataset(str(root), ann_file='')
    rows = json.loads((root / METADATA).read_text())
    (root / METADATA).write_text(json.dumps([[*rows[0][:3], 1, 'sentence']]))
    with pytest.raises(ValueError, match='has no mask'):
        JHMDBSentencesDataset(str(root))
    (root / METADATA).write_text(json.dumps([rows[0][:4]]))
    with pytest.raises(ValueError, match=METADATA):
        JHMDBSentencesDataset(str(root))
    shutil.rmtree(root / 'Rename_Images' / kind)
    with pytest.raises(FileNotFoundError, match=clip.video_id):
        JHMDBSentencesDataset(str(root), ann_file='')


def test_shipped_test_pipeline(root, tree):
    clip = tree[1][0]
    dataset = shipped_dataset('jhmdb_sentences', root, 'test_dataloader')
    packed, info = dataset[0], dataset.get_data_info(0)
    sample = packed['data_samples']
    assert packed['inputs'].shape == (5, 3, 360, 540)
    (key,) = sample.key_frames_inds
    assert sample[key].frame_id == info['key_frame_id']
    expected = clip.facts.labels[info['key_frame_id']] == clip.expressions[0].object_id
    np.testing.assert_array_equal(sample[key].gt_instances.masks.masks[0], expected)
    path = Path(info['images'][info['key_frame_id']]['img_path'])
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        dataset[0]
