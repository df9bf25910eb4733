"""Records, retries and memory of BaseRVOSDataset, on a data set that lives in this file."""

import os
import pickle

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from ifirvos.datasets import BaseRVOSDataset
from ifirvos.errors import AnnotationError, InputError, MissingFileError


class TwoVideos(BaseRVOSDataset):
    """Videos of 7 and 1 frames, three sentences; only frames 2 and 5 of the last sentence's video may be key frames."""

    def load_annotations(self):
        expressions = [
            dict(video_id='long', exp_id='0', text='The  LONG\tone ', kind='', obj_id=1),
            dict(video_id='short', exp_id='0', text='a', kind='', obj_id=1),
            dict(video_id='long', exp_id='x', text='Ünïcode', kind='attr', obj_id=2, key_frame_ids=[2, 5]),
        ]
        return {'long': tuple('abcdefg'), 'short': ('z',)}, expressions

    def frame_info(self, expression, frame_name):
        return dict(img_path=f'{expression["video_id"]}/{frame_name}.jpg', mask_path=None)


def keys(dataset) -> list[tuple]:
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(info['video_id'], info['exp_id'], info.get('key_frame_id')) for info in infos]


def test_one_record_an_expression_and_key_frame():
    expected = [('long', '0', frame) for frame in range(7)] + [('short', '0', 0), ('long', 'x', 2), ('long', 'x', 5)]
    assert keys(TwoVideos()) == expected


def test_key_frames_every_third_as_the_reference_takes_them():
    assert keys(TwoVideos(key_frame_interval=3)) == [
        ('long', '0', 0),
        ('long', '0', 3),
        ('long', '0', 6),
        ('short', '0', 0),
        ('long', 'x', 2),
    ]


@pytest.mark.parametrize('options', [dict(records='expression'), dict(test_mode=True)])
def test_one_record_an_expression(options):
    assert keys(TwoVideos(**options)) == [('long', '0', None), ('short', '0', None), ('long', 'x', None)]


def test_record_spelled_out():
    info = TwoVideos(records='expression').get_data_info(0)
    assert info['text'] == 'the long one'
    assert info['video_length'] == 7
    assert info['images'][6] == dict(frame_id=6, img_id=6, img_path='long/g.jpg', mask_path=None)
    assert TwoVideos(lowercase=False).get_data_info(0)['text'] == 'The LONG one'
    assert TwoVideos(verbatim=True).get_data_info(0)['text'] == 'The  LONG\tone '
    assert TwoVideos(records='expression').get_data_info(2)['text'] == 'ünïcode'


def test_pipelines_cannot_spoil_the_records():
    def spoil(info):
        info['images'].clear()
        info['text'] = 'spoiled'
        return info

    dataset = TwoVideos(pipeline=[spoil])
    dataset[0]
    assert dataset.get_data_info(0)['text'] == 'the long one'
    assert len(dataset.get_data_info(0)['images']) == 7


def test_subset_and_pickle_keep_records_and_expressions():
    dataset = TwoVideos(indices=[9, 0])
    assert keys(dataset) == [('long', 'x', 5), ('long', '0', 0)]
    assert keys(pickle.loads(pickle.dumps(dataset))) == keys(dataset)  # noqa: S301 what a spawned worker does


def test_records_are_compact():
    class Large(TwoVideos):
        def load_annotations(self):
            text = 'a person in a long red coat who walks to the left of a parked car'
            expressions = [dict(video_id='v', exp_id=str(i), text=text, kind='', obj_id=1) for i in range(500)]
            return {'v': tuple(f'{i:05d}' for i in range(30))}, expressions

    dataset = Large()
    assert len(dataset) == 15000
    assert dataset.data_list == []
    assert dataset.data_bytes.nbytes / len(dataset) < 64  # 250,000 records: under 16 MB


def test_retries_with_another_record_and_counts():
    seen = []

    def only_the_short_video(info):
        seen.append(info['video_id'])
        return info if info['video_id'] == 'short' else None

    np.random.seed(0)
    dataset = TwoVideos(pipeline=[only_the_short_video])
    assert dataset[0]['video_id'] == 'short'
    assert seen[0] == 'long'
    assert dataset.num_resampled == len(seen) - 1 > 0


def test_gives_up_with_a_clear_error():
    calls = []
    dataset = TwoVideos(pipeline=[lambda info: calls.append(1)], max_refetch=4)
    with pytest.raises(AnnotationError, match='TwoVideos: 5 record'):
        dataset[0]
    assert len(calls) == 5
    calls.clear()
    with pytest.raises(AnnotationError, match='1 record'):
        TwoVideos(pipeline=[lambda info: calls.append(1)], test_mode=True)[0]
    assert len(calls) == 1  # a test result must never be another record's


def test_options_are_checked():
    with pytest.raises(ValueError, match='expression'):
        TwoVideos(records='frame')
    with pytest.raises(ValueError, match='key_frame_interval'):
        TwoVideos(key_frame_interval=0)


def test_an_empty_sentence_is_refused_by_name():
    dataset = TwoVideos(records='expression')
    dataset.expressions[1]['text'] = dataset.clean_text(' \n')
    with pytest.raises(InputError, match='Expression 0 of video short is empty'):
        dataset[1]


def test_values_of_the_masks_are_said_where_the_id_is_none_of_them(tmp_path):
    """The most common home-made masks: 0 and 255."""
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3] = 255
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)

    class WhiteMasks(TwoVideos):
        def frame_info(self, expression, frame_name):
            return dict(img_path='a.jpg', mask_path=str(tmp_path / 'mask.png'))

    dataset = WhiteMasks(records='expression', max_refetch=2)
    dataset.pipeline = lambda info: None  # what RequireVisibleObject says
    dataset._rand_another = lambda: 0
    with pytest.raises(AnnotationError, match=r'hold the values \[0, 255\], and expression 0 asks for obj_id 1'):
        dataset[0]


def harm_of_a_frame(kind: str, path) -> None:
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'damaged':
        path.write_bytes(b'\xff\xd8\xff no picture')
    elif kind == 'empty':
        path.touch()


@pytest.mark.parametrize(
    ('kind', 'error', 'says'),
    [
        ('missing', MissingFileError, 'video short, expression 0'),
        ('damaged', AnnotationError, 'A frame of video short, expression 0 cannot be used: .*z.jpg .*no picture'),
        ('empty', AnnotationError, 'A frame of video short, expression 0 cannot be used: .*z.jpg .*empty'),
        ('pipe', AnnotationError, 'z.jpg is no file but a folder, a pipe'),  # cv2 would wait for it for ever
    ],
)
def test_a_frame_that_cannot_be_read_is_named(tmp_path, kind, error, says):
    harm_of_a_frame(kind, tmp_path / 'z.jpg')

    class Frames(TwoVideos):
        def frame_info(self, expression, frame_name):
            return dict(img_path=str(tmp_path / f'{frame_name}.jpg'), mask_path=None)

    pipeline = [
        dict(type='RVOSClipSample', num_frames=1, mode='uniform'),
        dict(type='TransformBroadcaster', transforms=[dict(type='LoadImageFromFile')]),
    ]
    init_default_scope('mmdet')
    with pytest.raises(error, match=says):
        Frames(records='expression', pipeline=pipeline)[1]
