"""VideoWriter: files that a browser plays."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import moving_bar, write

from ifirvos.errors import VideoError
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter, browser_encoder, video_suffix


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


# ---------------------------------------------------------------------- transparency
def test_transparency_is_written(tmp_path):
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[..., 0] = 200
    frame[:, 32:, 3] = 255
    with VideoWriter(tmp_path / 'cut.webm', 10, alpha=True) as writer:
        for _ in range(3):
            writer.write(frame)
    decoder = av.CodecContext.create('libvpx-vp9', 'r')  # FFmpeg's own VP9 decoder drops the alpha channel
    with av.open(str(tmp_path / 'cut.webm')) as container:
        assert container.streams.video[0].metadata.get('ALPHA_MODE') == '1', 'what browsers look at'
        back = [f.to_ndarray(format='rgba') for p in container.demux(video=0) for f in decoder.decode(p)]
    assert len(back) == 3
    assert back[1][:, :30, 3].max() < 20
    assert back[1][:, 34:, 3].min() > 235
    assert back[1][24, 48, 0] > 170


def test_h264_knows_no_transparency(tmp_path):
    with pytest.raises(VideoError, match='no transparency'):
        VideoWriter(tmp_path / 'cut.mp4', 10, encoder='libx264', alpha=True)
