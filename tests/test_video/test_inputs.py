"""Arrays, iterators and paths as one stream of RGB frames."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from ifirvos.errors import InputError
from ifirvos.video.inputs import VideoStream, as_rgb, is_batch
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter

COLOUR = (10, 20, 30)
RGB = np.full((4, 6, 3), COLOUR, np.uint8)


@pytest.mark.parametrize(
    ('frame', 'order', 'expected'),
    [
        (RGB, 'rgb', COLOUR),
        (RGB, 'bgr', COLOUR[::-1]),
        (np.dstack([RGB, np.zeros((4, 6), np.uint8)]), 'rgb', COLOUR),
        (np.dstack([RGB, np.zeros((4, 6), np.uint8)]), 'bgr', COLOUR[::-1]),
        (RGB[..., 1], 'rgb', (20, 20, 20)),
        (RGB[..., 1:2], 'bgr', (20, 20, 20)),
    ],
)
def test_grey_alpha_and_either_order_become_rgb(frame, order, expected):
    image = as_rgb(frame, 0, order)
    assert image.shape == (4, 6, 3)
    assert image.flags['C_CONTIGUOUS']
    assert (image == expected).all()


@pytest.mark.parametrize('frame', [RGB / 255, RGB.astype(np.uint16), np.zeros((4, 6, 2), np.uint8), RGB[:0], RGB[0, 0]])
def test_what_is_no_picture_is_refused(frame):
    with pytest.raises(InputError, match='Frame 7 is'):
        as_rgb(frame, 7)


def test_arrays_come_with_times():
    stream = VideoStream(np.stack([RGB, RGB + 1]))
    assert stream.num_frames == 2
    assert [(frame[0, 0, 0], time) for frame, time in stream] == [(10, 0), (11, Fraction(1, 10))]
    assert VideoStream(iter([RGB])).num_frames is None


def test_frames_of_one_buffer_are_kept_apart():
    """A capture loop fills one array again and again; a window holds many frames."""

    def captured():
        buffer = np.zeros((8, 10, 3), np.uint8)
        for value in (0, 50, 100):
            buffer[:] = value
            yield buffer

    frames = [frame for frame, _ in list(VideoStream(captured()))]
    assert [frame[0, 0, 0] for frame in frames] == [0, 50, 100]
    given = np.zeros((2, 8, 10, 3), np.uint8)
    for frame, _ in VideoStream(given):
        frame[:] = 9
    assert not given.any(), 'drawing on a frame changes the array that was given'


def test_tensors_are_arrays():
    frames = torch.from_numpy(np.stack([RGB, RGB]))
    assert [frame.tolist() for frame, _ in VideoStream(frames)] == [RGB.tolist()] * 2
    assert [frame.tolist() for frame, _ in VideoStream(list(frames))] == [RGB.tolist()] * 2
    assert is_batch([frames, frames])
    assert is_batch(frames[None])
    assert not is_batch(frames)
    with pytest.raises(InputError, match=r'give it as \[frame\]'):
        VideoStream(frames[0])


def test_a_file_keeps_its_times(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', 5) as writer:
        for _ in range(3):
            writer.write(RGB)
    stream = VideoStream(tmp_path / 'a.mp4')
    assert [time for _, time in stream] == [0, Fraction(1, 5), Fraction(2, 5)]
    assert (stream.reader.fps, stream.num_frames) == (5, 3)
    assert VideoStream(stream.reader).reader is stream.reader


def test_a_single_picture_or_nothing_is_no_video():
    with pytest.raises(InputError, match=r'give it as \[frame\]'):
        VideoStream(RGB)
    with pytest.raises(InputError, match='NoneType is not a video'):
        VideoStream(None)
    with pytest.raises(InputError, match='no frames'):
        list(VideoStream([]))
    with pytest.raises(InputError, match='6x3, the first 6x4'):
        list(VideoStream([RGB, RGB[:3]]))


def test_what_is_several_videos(tmp_path):
    (tmp_path / 'frames').mkdir()
    assert is_batch(['a.mp4', Path('b.mp4')])
    assert is_batch([np.zeros((2, 4, 6, 3), np.uint8)])
    assert is_batch(np.zeros((1, 2, 4, 6, 3), np.uint8))
    for one in ('a.mp4', Path('a.mp4'), 0, RGB[None], [RGB, RGB], [], iter(['a.mp4'])):
        assert not is_batch(one)
    with VideoWriter(tmp_path / 'a.mp4', 5) as writer:
        writer.write(RGB)
    assert is_batch((VideoReader(tmp_path / 'a.mp4'),))
