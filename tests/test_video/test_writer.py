"""VideoWriter: files that a browser plays."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import moving_bar, write

from ifirvos.errors import VideoError
from ifirvos.video.pixels import to_rgb
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


@pytest.mark.parametrize('tagged', [True, False])
@pytest.mark.parametrize('encoder', ['libx264', 'libvpx-vp9'])
@pytest.mark.parametrize(('height', 'width'), [(720, 1280), (240, 320)])
def test_colours_are_those_of_bt709(tmp_path, height, width, encoder, tagged):
    """What is written says so; and HD that does not say is taken for it, as players do."""
    colour = (40, 180, 60)
    path = tmp_path / f'green{video_suffix(encoder)}'
    write(path, np.full((1, height, width, 3), colour, np.uint8), encoder=encoder)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
    y, cb, cr = (int(np.frombuffer(plane, np.uint8)[0]) for plane in frame.planes)
    assert abs(y - (16 + 219 * (0.2126 * 40 + 0.7152 * 180 + 0.0722 * 60) / 255)) < 2
    if not tagged:
        frame = av.VideoFrame.from_ndarray(frame.to_ndarray(format='yuv420p'), format='yuv420p')
        assert int(frame.colorspace) == 2
    back = to_rgb(frame, width, height)[0, 0]
    if tagged or height == 720:
        assert np.abs(back.astype(int) - colour).max() <= 3, (y, cb, cr)


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


# ---------------------------------------------------------------------- what encoders refuse
@pytest.mark.parametrize('encoder', ['libx264', 'libvpx-vp9'])
@pytest.mark.parametrize('size', [(2, 17_000), (17_000, 2)])
def test_sides_that_no_encoder_takes_are_scaled(tmp_path, encoder, size):
    path = tmp_path / f'long{video_suffix(encoder)}'
    with VideoWriter(path, 10, encoder=encoder) as writer:
        writer.write(np.full((*size, 3), 200, np.uint8))
    (back,) = VideoReader(path)
    assert max(back.shape) == 16_384
    assert min(back.shape[:2]) == 2
    assert 'is scaled to' in writer.notes[0]


@pytest.mark.parametrize('encoder', ['libx264', 'libvpx-vp9'])
@pytest.mark.parametrize(
    ('fps', 'expected'),
    [
        (Fraction(1, 2400), 2400),
        (0.0004, 2500),
        (Fraction(1, 86_400), 86_400),
        (Fraction(1, 10**9), 100_000),
        (1e-300, 100_000),
        (10**9, Fraction(1, 1000)),
    ],
)
def test_every_rate_is_written(tmp_path, encoder, fps, expected):
    path = tmp_path / f'rate{video_suffix(encoder)}'
    with VideoWriter(path, fps, encoder=encoder) as writer:
        for frame in moving_bar(3):
            writer.write(frame)
    times = [time for _, time in VideoReader(path).timed()]
    assert times == [0, expected, 2 * expected]
    assert bool(writer.notes) == (fps < 1e-5 or fps > 1000)


def test_times_closer_than_the_clock_and_wider_than_it_holds(tmp_path):
    path = tmp_path / f'times{video_suffix()}'
    with VideoWriter(path, 10) as writer:
        for frame, time in zip(moving_bar(4), [0, Fraction(1, 10**9), Fraction(2, 10**9), 10**12], strict=True):
            writer.write(frame, time)
    times = [time for _, time in VideoReader(path).timed()]
    assert len(times) == 4
    assert times == sorted(set(times))


@pytest.mark.parametrize('encoder', ['libx264', 'libvpx-vp9'])
def test_anamorphic_video_keeps_its_shape(tmp_path, encoder):
    path = write(
        tmp_path / f'wide{video_suffix(encoder)}', moving_bar(), encoder=encoder, pixel_aspect=Fraction(16, 11)
    )
    reader = VideoReader(path)
    height, width = next(iter(reader)).shape[:2]
    assert width * reader.pixel_aspect / height == pytest.approx(64 / 48 * 16 / 11, rel=0.02)
