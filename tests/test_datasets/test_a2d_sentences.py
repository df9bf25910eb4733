"""A2DSentencesDataset on SynthRVOS in its layout, and on what the release has beside the usual."""

import json
import shutil
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from shipped import shipped_dataset
from synth_tree import write_layout

from ifirvos.datasets import A2DSentencesDataset
from ifirvos.datasets.transforms import LoadRVOSMasks, LoadVideoFrames, RVOSClipSample
from ifirvos.datasets.transforms.clip_sampling import window_indices
from ifirvos.errors import AnnotationError, MissingFileError, VideoError
from ifirvos.video.reader import read_video_frames
from ifirvos.video.writer import VideoWriter

TEXT = 'text_annotations'


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp('a2d')
    return root, write_layout(root, 'a2d-sentences', {'train': [0, 4], 'valid': [0, 1], 'comp': []})


@pytest.fixture
def root(tree, tmp_path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tree[0], tmp_path / 'a2d')


def sentences(root: Path) -> Path:
    return root / TEXT / 'a2d_annotation.txt'


def append(root: Path, line: str) -> None:
    with sentences(root).open('a', encoding='utf-8') as file:
        file.write(line + '\n')


def records(dataset: A2DSentencesDataset) -> list[tuple]:
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(info['text'], info['exp_id'], info['obj_id'], info['key_frame_id']) for info in infos]


def test_layout_is_that_of_the_release(tree):
    root, clips = tree
    videos = {clip.video_id for split in clips.values() for clip in split}
    assert {path.name for path in (root / 'Release/clips320H').iterdir()} == {f'{video}.mp4' for video in videos}
    rows = [line.split(',') for line in (root / 'Release/videoset.csv').read_text().splitlines()]
    assert {row[0]: row[8] for row in rows} == {v: '0' if v.startswith('train') else '1' for v in videos}
    assert {len(row) for row in rows} == {9}
    assert sentences(root).read_text().splitlines()[0] == 'video_id,instance_id,query'
    folder = root / TEXT / 'a2d_annotation_with_instances'
    assert {path.name for path in folder.iterdir()} == videos
    # 12 frames: the middles of three parts of 4, counted from 1
    assert {path.name for path in folder.glob('*/*')} == {'00003.h5', '00007.h5', '00011.h5'}
    label = clips['train'][0].facts.labels[2]
    with h5py.File(folder / clips['train'][0].video_id / '00003.h5') as file:
        shown = [instance for instance in range(1, 10) if (label == instance).any()]
        assert file['instance'][:].tolist() == shown
        assert file['reMask'].shape == (len(shown), label.shape[1], label.shape[0])
        assert file['reBBox'].shape == (4, len(shown))


def test_known_record(tree):
    root, clips = tree
    dataset = A2DSentencesDataset(str(root), 'train')
    clip = clips['train'][0]
    info = dataset.get_data_info(0)
    instance = min(asked.object_id for asked in clip.expressions)
    assert info['text'] in {asked.text for asked in clip.expressions if asked.object_id == instance}
    assert (info['video_id'], info['obj_id'], info['video_length']) == (clip.video_id, instance, 12)
    shown = [index for index in (2, 6, 10) if (clip.facts.labels[index] == instance).any()]
    assert info['key_frame_id'] == shown[0]
    assert info['exp_id'] == f'v_{clip.video_id}_f_{shown[0] + 1}_i_{instance}'
    key = info['images'][shown[0]]
    assert key['mask_path'].endswith(f'{clip.video_id}/{shown[0] + 1:05d}.h5')
    assert [image['key_frame_flags'] for image in info['images']].count(True) == 1
    assert {image['mask_path'] for image in info['images'] if not image['key_frame_flags']} == {None}
    mask = LoadRVOSMasks('a2d_h5').transform(dict(key, obj_id=instance, ori_shape=(96, 144)))['gt_masks'].masks[0]
    np.testing.assert_array_equal(mask, clip.facts.labels[shown[0]] == instance)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_official_files_give_the_list_that_circulates(tree, split):
    listed = A2DSentencesDataset(str(tree[0]), split)
    assert listed.ann_file
    assert records(A2DSentencesDataset(str(tree[0]), split, ann_file='')) == records(listed)
    assert len(listed) > 4
    assert listed.test_mode == (split == 'test')


def test_masks_of_the_coco_file_are_those_of_the_h5_files(tree):
    root = str(tree[0])
    plain = A2DSentencesDataset(root, 'test')
    coco = A2DSentencesDataset(root, 'test', coco_file='a2d_sentences_test_annotations_in_coco_format.json')
    for index in range(len(plain)):
        key = plain.get_data_info(index)['key_frame_id']
        masks = []
        for dataset, reader in ((plain, 'a2d_h5'), (coco, 'coco')):
            info = dataset.get_data_info(index)
            frame = dict(info['images'][key], obj_id=info['obj_id'], ori_shape=(96, 144))
            masks.append(LoadRVOSMasks(reader).transform(frame)['gt_masks'].masks)
        np.testing.assert_array_equal(*masks)


def test_a_coco_file_of_another_split_or_without_a_list_is_refused(tree, root):
    """An object that is not in it would count as absent."""
    name = 'a2d_sentences_test_annotations_in_coco_format.json'
    content = json.loads((root / name).read_text())
    gone = content['annotations'].pop()['image_id']
    (root / name).write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=f'has no mask of {gone} and 0 others of the test split'):
        A2DSentencesDataset(str(root), 'test', coco_file=name)[0]
    with pytest.raises(MissingFileError, match='coco_file replaces the masks alone'):
        A2DSentencesDataset(str(root), 'test', coco_file=name, ann_file='')[0]


def test_other_places_of_the_sentences(root):
    expected = records(A2DSentencesDataset(str(root), ann_file=''))
    for path in (root / TEXT).iterdir():
        path.rename(root / 'Release' / path.name)
    assert records(A2DSentencesDataset(str(root), ann_file='')) == expected


def test_missed_videos_bad_instance_ids_commas_and_absent_objects(root, tree):
    video, other = (clip.video_id for clip in tree[1]['train'])
    sentences(root).write_text('video_id,instance_id,query\n')
    append(root, f'{video},1 (copy),a mistake of the release')
    append(root, f'{video},1,"Ein  Würfel, rot"')
    append(root, f'{video},1,ein Würfel, rot')
    append(root, f'{video},1,')
    append(root, f'{video},1,{"very " * 600}long')
    append(root, f'{video},99,an object that no frame shows')
    append(root, f'{other},1,left out')
    (root / TEXT / 'a2d_missed_videos.txt').write_text(f'{other}\n')
    texts = [record[0] for record in records(A2DSentencesDataset(str(root), ann_file=''))]
    assert list(dict.fromkeys(texts)) == ['ein würfel, rot', '', 'very ' * 600 + 'long']


def test_files_of_another_kind_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere/Release/clips320H'):
        A2DSentencesDataset(str(tmp_path / 'nowhere'))
    sentences(root).write_text('video,query\nx,y\n')
    with pytest.raises(ValueError, match=r'a2d_annotation\.txt starts with'):
        A2DSentencesDataset(str(root), ann_file='')
    (root / 'list.json').write_text(json.dumps([['a sentence', 'video']]))
    with pytest.raises(ValueError, match=r'list\.json'):
        A2DSentencesDataset(str(root), ann_file='list.json')
    with pytest.raises(ValueError, match='val'):
        A2DSentencesDataset(str(root), 'val')


def test_missing_or_wrong_masks_are_named(root):
    dataset = A2DSentencesDataset(str(root))
    info = dataset.get_data_info(0)
    frame = dict(info['images'][info['key_frame_id']], obj_id=77, ori_shape=(96, 144))
    with pytest.raises(ValueError, match=r'\.h5 has no instance 77'):
        LoadRVOSMasks('a2d_h5').transform(frame)
    with pytest.raises(ValueError, match=r'\.h5 has size \(96, 144\)'):
        LoadRVOSMasks('a2d_h5').transform(dict(frame, obj_id=info['obj_id'], ori_shape=(144, 96)))
    Path(frame['mask_path']).write_bytes(b'no hdf5')
    with pytest.raises(ValueError, match=r'\.h5 cannot be read'):
        LoadRVOSMasks('a2d_h5').transform(frame)
    Path(frame['mask_path']).unlink()
    with pytest.raises(FileNotFoundError, match=r'\.h5 is missing'):
        LoadRVOSMasks('a2d_h5').transform(frame)
    Path(info['images'][0]['img_path']).unlink()
    with pytest.raises(FileNotFoundError, match=r'\.mp4 is missing'):
        A2DSentencesDataset(str(root)).get_data_info(0)


def test_one_instance_is_stored_without_its_axis(tmp_path):
    with h5py.File(tmp_path / 'one.h5', 'w') as file:
        file['instance'] = np.array([[4]])
        file['reMask'] = np.array([[1, 0], [0, 0], [1, 1]], np.uint8)  # (W,H) = (3,2)
    frame = dict(mask_path=str(tmp_path / 'one.h5'), obj_id=4, ori_shape=(2, 3), img_path='f')
    results = LoadRVOSMasks('a2d_h5').transform(frame)
    assert results['gt_masks'].masks[0].tolist() == [[1, 0, 1], [0, 0, 1]]


def test_one_frame_video_whose_id_is_no_number(tmp_path):
    for folder in ('Release/clips320H', f'{TEXT}/a2d_annotation_with_instances/Ü b'):
        (tmp_path / folder).mkdir(parents=True)
    counting_video(tmp_path / 'Release/clips320H/Ü b.mp4', 1)
    with h5py.File(tmp_path / TEXT / 'a2d_annotation_with_instances/Ü b/00001.h5', 'w') as file:
        file['instance'] = np.array([[2]])
        file['reMask'] = np.ones((48, 32), np.uint8)  # (W,H)
    (tmp_path / 'Release/videoset.csv').write_text('Ü b,0,,,32,48,1,1,1\n', encoding='utf-8')
    (tmp_path / TEXT / 'a2d_missed_videos.txt').touch()
    sentences(tmp_path).write_text('video_id,instance_id,query\nÜ b,2,la boîte\n', encoding='utf-8')
    dataset = config_dataset(tmp_path, 'test_dataloader')
    sample = dataset[0]['data_samples']
    assert (len(dataset), sample.exp_id, sample.text) == (1, 'v_Ü b_f_1_i_2', 'la boîte')
    assert [frame.frame_id for frame in sample] == [0] * 5
    assert sample.key_frames_inds == [0]
    assert int(sample[0].gt_instances.masks.masks.sum()) == 32 * 48


def test_an_object_that_the_key_frame_does_not_show(root):
    info = A2DSentencesDataset(str(root)).get_data_info(0)
    path = info['images'][info['key_frame_id']]['mask_path']
    with h5py.File(path, 'r+') as file:
        file['reMask'][:] = 0
    frame = dict(info['images'][info['key_frame_id']], obj_id=info['obj_id'], ori_shape=(96, 144))
    results = LoadRVOSMasks('a2d_h5').transform(frame)
    assert results['gt_masks'].masks.shape == (0, 96, 144)
    assert len(results['gt_bboxes']) == len(results['gt_instances_ids']) == 0


# ---- clips out of video files ----


def test_window_has_the_key_frame_in_the_middle_and_repeats_the_edges():
    assert window_indices(20, 5, 9) == [7, 8, 9, 10, 11]
    assert window_indices(20, 6, 9) == [6, 7, 8, 9, 10, 11]
    assert window_indices(20, 5, 0) == [0, 0, 0, 1, 2]
    assert window_indices(20, 5, 19) == [17, 18, 19, 19, 19]
    assert window_indices(1, 3, 0) == [0, 0, 0]


def counting_video(path: Path, frames: int) -> str:
    """Frame n is a grey of 8n."""
    with VideoWriter(path, 24, encoder='libx264') as video:
        for number in range(frames):
            video.write(np.full((32, 48, 3), 8 * number, np.uint8))
    return str(path)


def numbers(images) -> list[int]:
    return [round(float(image.mean()) / 8) for image in images]


def test_frames_have_their_exact_index(tmp_path):
    path = counting_video(tmp_path / 'v.mp4', 30)
    frames = read_video_frames(path, {29, 3, 17})
    assert sorted(frames) == [3, 17, 29]
    assert numbers(frames[index] for index in (3, 17, 29)) == [3, 17, 29]


def test_frames_beyond_the_end_are_the_last_one_but_not_the_key_frame(tmp_path):
    path = counting_video(tmp_path / 'v.mp4', 4)
    clip = dict(img_path=[path] * 3, frame_id=[2, 3, 5], key_frame_flags=[True, False, False])
    assert numbers(LoadVideoFrames().transform(clip)['img']) == [2, 3, 3]
    with pytest.raises(VideoError, match=r'v\.mp4 has 4 frames, so no frame 6'):
        LoadVideoFrames().transform(dict(clip, key_frame_flags=[False, False, True]))


def test_a_frame_that_comes_twice_is_not_shared(tmp_path):
    path = counting_video(tmp_path / 'v.mp4', 2)
    images = LoadVideoFrames().transform(dict(img_path=[path] * 2, frame_id=[1, 1]))['img']
    images[0][:] = 0
    assert numbers(images) == [0, 1]


def test_damaged_video_is_named(tmp_path):
    path = tmp_path / 'v.mp4'
    path.write_bytes(b'no video')
    with pytest.raises(VideoError, match=r'v\.mp4'):
        read_video_frames(str(path), {0})


def test_clip_flags_the_key_frame_once():
    images = [dict(frame_id=index, key_frame_flags=index == 0) for index in range(4)]
    clip = RVOSClipSample(5, 'window', ('video_length',)).transform(dict(images=images, video_length=4, key_frame_id=0))
    assert clip['frame_id'] == [0, 0, 0, 1, 2]
    assert clip['key_frame_flags'] == [True, False, False, False, False]


# ---- shipped pipelines ----


config_dataset = partial(shipped_dataset, 'a2d_sentences')


def test_shipped_test_pipeline(tree):
    root, clips = tree
    dataset = config_dataset(root, 'test_dataloader')
    packed = dataset[0]
    sample, info = packed['data_samples'], dataset.get_data_info(0)
    clip = clips['valid'][0]
    assert packed['inputs'].shape == (5, 3, 360, 540)
    assert sample.key_frames_inds == [2]  # the middle of five
    key = sample[2]
    assert key.frame_id == info['key_frame_id']
    mask = key.gt_instances.masks.masks[0]
    np.testing.assert_array_equal(mask, clip.facts.labels[key.frame_id] == info['obj_id'])
    assert [len(frame.gt_instances) for frame in sample] == [0, 0, 1, 0, 0]
    assert (sample.exp_id, sample.text) == (info['exp_id'], info['text'])


def test_shipped_training_pipeline(tree):
    np.random.seed(0)
    dataset = config_dataset(tree[0], 'train_dataloader')
    for index in range(4):
        packed = dataset[index]
        sample = packed['data_samples']
        (key,) = sample.key_frames_inds
        assert len(packed['inputs']) == 5
        assert len(sample[key].gt_instances) == 1
