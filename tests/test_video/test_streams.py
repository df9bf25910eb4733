"""Files that are cut, damaged or odd: what decodes is given, and what is lost is said."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import encode, moving_bar, with_sound, write
from PIL import Image

from ifirvos.errors import VideoError
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter


def noise(num_frames=24, height=48, width=64):
    return np.random.default_rng(0).integers(0, 255, (num_frames, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(('name', 'codec'), [('a.mkv', 'ffv1'), ('a.webm', 'libvpx-vp9')])
def test_half_a_matroska_is_noted(tmp_path, name, codec):
    """Its header knows how long it should be, but not how many frames."""
    whole = encode(tmp_path / name, codec, noise())
    reader = VideoReader(whole)
    assert (len(list(reader)), reader.problem) == (24, None)
    cut = tmp_path / f'cut{whole.suffix}'
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    reader = VideoReader(cut)
    count = len(list(reader))
    assert 0 < count < 24
    assert reader.problem.startswith(str(cut))
    assert f'{count} frames' in reader.problem


def test_long_pauses_and_longer_sound_are_no_damage(tmp_path):
    times = [0, 10, 15, 500, 1000]  # hundredths of a second
    path = tmp_path / 'slow.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('ffv1', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 100)
        for image, time in zip(moving_bar(5), times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = time, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = VideoReader(path)
    assert (len(list(reader)), reader.problem) == (5, None)


def test_damage_is_noted_where_the_reader_leaves_early(tmp_path):
    data = bytearray(write(tmp_path / 'whole.mp4', noise(30), encoder='libx264').read_bytes())
    third = len(data) // 3
    data[third : third + 3000] = bytes(3000)
    (tmp_path / 'hurt.mp4').write_bytes(data)
    reader = VideoReader(tmp_path / 'hurt.mp4', max_frames=15)
    assert len(list(reader)) == 15
    assert 'damaged' in reader.problem
    early = VideoReader(tmp_path / 'hurt.mp4', max_frames=3)
    assert len(list(early)) == 3
    assert early.problem is None, 'the first three are whole'


def test_a_stream_cut_between_key_frames_begins_at_the_next(tmp_path):
    options = dict(g='8', bf='0', sc_threshold='0')
    whole = encode(tmp_path / 'whole.ts', 'libx264', noise(), options=options, format='mpegts')
    data = whole.read_bytes()
    with av.open(str(whole)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    (tmp_path / 'cut.ts').write_bytes(data[positions[3] :])  # frame 3: the next key frame is 8
    reader = VideoReader(tmp_path / 'cut.ts')
    frames = list(reader.timed())
    assert 16 <= len(frames) <= 21
    assert frames[0][1] == 0
    original = list(VideoReader(whole))
    assert (frames[-16][0] == original[8]).all()
    assert (frames[-1][0] == original[23]).all()


@pytest.mark.parametrize('codec', ['mjpeg', 'mpeg4'])
def test_frames_that_a_camera_dropped_are_no_damage(tmp_path, codec):
    """AVI counts them, but has nothing of them."""
    times = [0, 1, 2, 3, 4, 8, 9, 10, 15, 16]
    path = tmp_path / 'gaps.avi'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 10)
        for image, time in zip(noise(len(times)), times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = VideoReader(path)
    assert [time for _, time in reader.timed()] == [Fraction(time, 10) for time in times]
    assert reader.problem is None
    (tmp_path / 'cut.avi').write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    cut = VideoReader(tmp_path / 'cut.avi')
    assert 0 < len(list(cut)) < len(times)
    assert cut.problem


@pytest.mark.parametrize('share', [0.5, 0.6, 0.8])
def test_an_avi_that_was_cut_says_so(tmp_path, share):
    """FFmpeg takes its duration from the bytes that are there."""
    path = with_sound(tmp_path / 'whole.avi', 'pcm_s16le', seconds=4, fps=25)
    whole = VideoReader(path)
    assert (len(list(whole)), whole.problem) == (100, None)
    (tmp_path / 'cut.avi').write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    cut = VideoReader(tmp_path / 'cut.avi')
    assert 0 < len(list(cut)) < 100
    assert 'should last 4.00 seconds' in cut.problem


def test_an_empty_sample_ends_nothing(tmp_path):
    """QuickTime files may hold them: the size in the table of samples is 0, and the bytes are not there."""
    path = encode(tmp_path / 'whole.mov', 'mjpeg', moving_bar(12), pix_fmt='yuvj420p')
    data = bytearray(path.read_bytes())
    table, chunks, content = data.index(b'stsz') + 16, data.index(b'stco') + 12, data.index(b'mdat') - 4
    sizes = struct.unpack_from('>12I', data, table)
    first = struct.unpack_from('>I', data, chunks)[0] + sum(sizes[:5])
    struct.pack_into('>I', data, table + 4 * 5, 0)
    struct.pack_into('>I', data, content, struct.unpack_from('>I', data, content)[0] - sizes[5])
    del data[first : first + sizes[5]]
    (tmp_path / 'empty.mov').write_bytes(data)
    reader = VideoReader(tmp_path / 'empty.mov')
    assert [time for _, time in reader.timed()] == [Fraction(t, 10) for t in range(12) if t != 5]
    assert reader.problem is None


@pytest.mark.parametrize('rate', [Fraction(1, 2400), Fraction(1, 86_400)])
def test_a_slide_every_40_minutes_and_a_frame_a_day(tmp_path, rate):
    path = encode(tmp_path / 'slides.mkv', 'ffv1', moving_bar(4), rate=rate)
    reader = VideoReader(path)
    times = [time for _, time in reader.timed()]
    assert times == [t / rate for t in range(4)]
    with VideoWriter(tmp_path / 'again.mp4', reader.fps) as writer:
        for image, time in reader.timed():
            writer.write(image, time)
    assert [time for _, time in VideoReader(tmp_path / 'again.mp4').timed()] == times
    assert VideoReader(path, fps=rate).fps == rate


def test_a_y4m_of_a_tiny_rate(tmp_path):
    header = b'YUV4MPEG2 W16 H16 F1:1000000000 Ip A1:1 C420jpeg\n'
    (tmp_path / 'tiny.y4m').write_bytes(header + (b'FRAME\n' + bytes([128]) * 384) * 3)
    reader = VideoReader(tmp_path / 'tiny.y4m')
    assert len(list(reader)) == 3
    assert reader.fps > 0


def test_raw_dv_has_the_rate_of_television(tmp_path):
    frames = np.zeros((5, 576, 720, 3), np.uint8)
    reader = VideoReader(encode(tmp_path / 'tape.dv', 'dvvideo', frames, rate=25, format='dv'))
    assert reader.fps == 25
    assert [time for _, time in reader.timed()] == [Fraction(t, 25) for t in range(5)]


def test_an_animated_webp(tmp_path):
    frames = moving_bar(5)
    images = [Image.fromarray(frame) for frame in frames]
    path = tmp_path / 'anim.webp'
    images[0].save(path, save_all=True, append_images=images[1:], duration=[100, 100, 300, 100, 100], lossless=True)
    reader = VideoReader(path)
    back = list(reader.timed())
    assert (np.stack([frame for frame, _ in back]) == frames).all()
    assert [time for _, time in back] == [Fraction(t, 10) for t in (0, 1, 2, 5, 6)]
    assert (reader.num_frames, reader.fps, reader.problem) == (5, 10, None)
    images[0].save(tmp_path / 'still.webp', lossless=True)
    assert len(list(VideoReader(tmp_path / 'still.webp'))) == 1
    data = path.read_bytes()
    (tmp_path / 'cut.webp').write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r'cut\.webp'):
        list(VideoReader(tmp_path / 'cut.webp'))
    with pytest.raises(VideoError, match='64x48 pixels'):
        VideoReader(path, max_pixels=1000)
