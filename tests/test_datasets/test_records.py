"""Expression files of the wrong shape, at every level: one error that names file, video and expression."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from ifirvos.datasets import RefYouTubeVOSDataset
from ifirvos.datasets.records import object_number, read_expression_file
from ifirvos.datasets.transforms import LoadRVOSMasks
from ifirvos.errors import AnnotationError, MissingFileError

GOOD = dict(frames=['00000'], expressions={'0': dict(exp='the red star', obj_id='1')})


def video(**changes):
    return dict(videos=dict(bear=dict(GOOD, **changes)))


def said(**changes):
    return video(expressions={'0': dict(exp='the red star', obj_id='1') | changes})


WRONG = {
    'list': [],
    'no videos': {},
    'videos a list': dict(videos=[]),
    'videos null': dict(videos=None),
    'videos empty': dict(videos={}),
    'video a list': dict(videos=dict(bear=[])),
    'expressions a list': video(expressions=[]),
    'expression a string': video(expressions={'0': 'the red star'}),
    'exp missing': video(expressions={'0': dict(obj_id='1')}),
    'exp null': said(exp=None),
    'exp a number': said(exp=3),
    'exp half a pair': said(exp='red \ud83d star'),
    'exp a book': said(exp='red ' * 100_000),
    'kind a list': said(kind=['x']),
    'frames a number': video(frames=3),
    'frames null': video(frames=None),
    'frames empty': video(frames=[]),
    'frames a string': video(frames='00000'),
    'frame a number': video(frames=[0]),
    'frame twice': video(frames=['00000', '00000']),
    'frame leaves': video(frames=['../../x']),
    'frame absolute': video(frames=['/etc/passwd']),
    'obj_id large': said(obj_id=10**30),
    'obj_id larger': said(obj_id='9' * 4000),
    'obj_id a list': said(obj_id=[1]),
    'obj_id a word': said(obj_id='star'),
    'obj_id negative': said(obj_id=-1),
    'obj_id true': said(obj_id=True),
    'obj_id not whole': said(obj_id=1.5),
    **{
        f'name {number}': {'videos': {name: GOOD}}
        for number, name in enumerate(['../../x', '/etc', 'a\0b', 'x' * 300, '\ud800', '', '.', 'a\u202eb'])
    },
    'expression name': video(expressions={'../x': dict(exp='a', obj_id='1')}),
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'meta_expressions/train').mkdir(parents=True)
    (tmp_path / 'train/JPEGImages/bear').mkdir(parents=True)
    (tmp_path / 'train/Annotations').mkdir()
    return tmp_path


def build(root, content):
    (root / 'meta_expressions/train/meta_expressions.json').write_text(json.dumps(content))
    return RefYouTubeVOSDataset(data_root=str(root), split='train', serialize_data=False)


@pytest.mark.parametrize('content', WRONG.values(), ids=WRONG)
def test_one_error_names_the_file(root, content):
    with pytest.raises(AnnotationError, match=r'meta_expressions\.json') as caught:
        build(root, content)
    message = str(caught.value)
    assert '\n' not in message
    assert len(message) < 500
    if isinstance(content, dict) and 'bear' in (content.get('videos') or ()):
        assert 'bear' in message


def test_the_good_one_is_read(root):
    assert len(build(root, video())) == 1
    path = root / 'meta_expressions/train/meta_expressions.json'
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert read_expression_file(str(path)) == video()['videos']


def test_object_ids_as_files_write_them():
    assert [object_number(value, 'f') for value in ('1', 2, ' 3', 4.0)] == [1, 2, 3, 4]


@pytest.mark.parametrize('kind', ['RGB', 'I;16', 'pipe', 'text', 'missing', 'folder'])
def test_masks_of_other_kinds_are_named(kind, tmp_path):
    path = tmp_path / '00000.png'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'text':
        path.write_text('hello')
    elif kind == 'folder':
        path.mkdir()
    elif kind != 'missing':
        Image.fromarray(np.zeros((4, 4), np.uint16) if kind == 'I;16' else np.zeros((4, 4, 3), np.uint8)).save(path)
    frame = dict(mask_path=str(path), ori_shape=(4, 4), obj_id=1, img_path='a.jpg', video_id='bear', exp_id='0')
    with pytest.raises((AnnotationError, MissingFileError), match=r'00000\.png'):
        LoadRVOSMasks('palette_png').transform(frame)


@pytest.mark.parametrize('segmentation', [[[]], [[1e300, 1, 2, 3, 4, 5]], dict(size=[4, 4], counts='9'), 3])
def test_a_hostile_segmentation_is_named(segmentation):
    frame = dict(mask_path='instances.json', ori_shape=(4, 4), obj_id=1, img_path='a.jpg', video_id='9', exp_id='0')
    frame['segmentations'] = [segmentation]
    with pytest.raises((AnnotationError, MissingFileError)):
        LoadRVOSMasks('coco').transform(frame)


def test_a_matrix_that_unpacks_to_gigabytes_is_refused(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / 'puppet_mask.mat', dict(part_mask=np.zeros((300, 300, 1200), np.uint8)), do_compression=True)
    frame = dict(
        mask_path=str(tmp_path / 'puppet_mask.mat'), ori_shape=(4, 4), obj_id=1, mask_index=0, img_path='a.png'
    )
    with pytest.raises(AnnotationError, match=r'puppet_mask\.mat.*108,000,000 values'):
        LoadRVOSMasks('jhmdb_mat').transform(frame)
