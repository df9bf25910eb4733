"""Reading and writing video: what goes in comes out, and what is broken is said."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from ifirvos.video import VideoError, VideoReader, VideoWriter, browser_encoder, video_suffix


def moving_bar(num_frames=12, height=48, width=64):
    """Grey frames with a white bar whose left edge is at 4 * t."""
    frames = np.full((num_frames, height, width, 3), 60, np.uint8)
    for t, frame in enumerate(frames):
        frame[:, 4 * t : 4 * t + 8] = 255
    return frames


def write(path, frames, fps=10, **kwargs):
    with VideoWriter(path, fps, **kwargs) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.mark.parametrize('encoder', ['libx264', 'libvpx-vp9'])
def test_round_trip_keeps_frames_size_rate_and_order(tmp_path, encoder):
    frames = moving_bar()
    path = write(tmp_path / f'clip{video_suffix(encoder)}', frames, fps=Fraction(30000, 1001), encoder=encoder)
    reader = VideoReader(path)
    back = np.stack(list(reader))
    assert back.shape == frames.shape
    assert reader.fps == pytest.approx(29.97, abs=0.01)
    assert reader.problem is None
    assert np.abs(back.astype(int) - frames).mean() < 4
    assert len(list(reader)) == len(frames), 'a second iteration starts again'


def test_colours_are_rgb(tmp_path):
    red = np.zeros((4, 32, 32, 3), np.uint8)
    red[..., 0] = 220
    back = next(iter(VideoReader(write(tmp_path / 'red.mp4', red))))
    assert back[16, 16, 0] > 180
    assert back[16, 16, 1:].max() < 40


def test_a_browser_plays_it(tmp_path):
    path = write(tmp_path / f'clip{video_suffix()}', moving_bar())
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == 'yuv420p'
        assert stream.codec_context.name in {'h264', 'vp9', 'libvpx-vp9'}
    if path.suffix == '.mp4':  # the index comes first, so that playing starts before the download ends
        data = path.read_bytes()
        assert data.index(b'moov') < data.index(b'mdat')


def test_odd_sizes_become_even_by_repeating_the_edge(tmp_path):
    frames = moving_bar(3, height=47, width=63)
    back = np.stack(list(VideoReader(write(tmp_path / 'odd.mp4', frames))))
    assert back.shape == (3, 48, 64, 3)
    assert np.abs(back[:, :47, :63].astype(int) - frames).mean() < 4
    assert np.abs(back[:, 47, :63].astype(int) - frames[:, 46]).mean() < 8
    assert np.abs(back[:, :47, 63].astype(int) - frames[:, :, 62]).mean() < 8


def test_rotation_metadata_turns_the_frames_upright(tmp_path):
    frames = np.full((4, 32, 64, 3), 30, np.uint8)
    frames[:, :, :16] = 255  # white at the left
    data = bytearray(write(tmp_path / 'flat.mp4', frames).read_bytes())
    one = 1 << 16
    matrix = data.index(b'tkhd') + 44  # version 0 box: type, flags, 2 dates, id, reserved, duration, ..., matrix
    assert struct.unpack('>9i', data[matrix : matrix + 36]) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    data[matrix : matrix + 36] = struct.pack('>9i', 0, one, 0, -one, 0, 0, 32 * one, 0, 1 << 30)  # 90 clockwise
    (tmp_path / 'turned.mp4').write_bytes(data)
    back = next(iter(VideoReader(tmp_path / 'turned.mp4')))
    assert back.shape == (64, 32, 3)
    assert back[:12].mean() > 200, 'the left side is now the top'
    assert back[20:].mean() < 60


def test_corrupt_tail_gives_what_decodes_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (24, 64, 96, 3), dtype=np.uint8)
    data = write(tmp_path / 'whole.mp4', frames).read_bytes()
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(data[: len(data) // 2])
    reader = VideoReader(cut)
    count = len(list(reader))
    assert 0 < count < 24
    assert f'{count} ' in reader.problem
    assert 'cut.mp4' in reader.problem


@pytest.mark.parametrize('name', ['notes.txt', 'notes.mp4'])
def test_text_file_is_refused(tmp_path, name):
    (tmp_path / name).write_text('this is no video\n' * 50)
    with pytest.raises(VideoError, match=name):
        VideoReader(tmp_path / name)


def test_empty_file_and_missing_file_and_sound_only(tmp_path):
    (tmp_path / 'empty.mp4').touch()
    with pytest.raises(VideoError, match=r'empty\.mp4'):
        VideoReader(tmp_path / 'empty.mp4')
    with pytest.raises(FileNotFoundError, match=r'none\.mp4'):
        VideoReader(tmp_path / 'none.mp4')
    with av.open(str(tmp_path / 'sound.wav'), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format='s16', layout='mono')
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match='no video stream'):
        VideoReader(tmp_path / 'sound.wav')


def test_folder_of_frames_is_sorted_by_number(tmp_path):
    for number in (10, 9, 100):
        cv2.imwrite(str(tmp_path / f'frame{number}.png'), np.full((8, 10, 3), number, np.uint8))
    (tmp_path / 'readme.txt').write_text('not a frame')
    reader = VideoReader(tmp_path, fps=6)
    assert [frame[0, 0, 0] for frame in reader] == [9, 10, 100]
    assert (reader.fps, reader.num_frames) == (6, 3)


def test_folder_errors_name_the_file(tmp_path):
    with pytest.raises(VideoError, match='holds no images'):
        VideoReader(tmp_path)
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((8, 10, 3), np.uint8))
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((9, 10, 3), np.uint8))
    with pytest.raises(VideoError, match=r'1\.png is 10x9'):
        list(VideoReader(tmp_path))
    (tmp_path / '1.png').write_bytes(b'broken')
    with pytest.raises(VideoError, match=r'1\.png is not an image'):
        list(VideoReader(tmp_path))


def test_max_frames(tmp_path):
    reader = VideoReader(write(tmp_path / 'clip.mp4', moving_bar()), max_frames=5)
    assert len(list(reader)) == reader.num_frames == 5
    assert reader.problem is None


def test_interrupted_writing_leaves_no_file(tmp_path):
    def frames_that_stop():
        yield from moving_bar()
        assert not (tmp_path / 'clip.mp4').exists(), 'nothing under the final name before the end'
        raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        write(tmp_path / 'clip.mp4', frames_that_stop())
    assert list(tmp_path.iterdir()) == []


def test_wrong_suffix_is_refused(tmp_path):
    with pytest.raises(VideoError, match=r'\.mp4'):
        VideoWriter(tmp_path / 'clip.avi', 10, encoder='libx264')
    assert browser_encoder() in {'libx264', 'libvpx-vp9'}
