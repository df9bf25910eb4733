"""Reading and writing video: what goes in comes out, and what is broken is said."""

import struct
import threading
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

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


# ---------------------------------------------------------------------- awkward files
def test_variable_frame_rate_keeps_every_frames_time(tmp_path):
    times = [Fraction(n, 100) for n in (0, 10, 15, 30, 33, 60, 150)]
    with VideoWriter(tmp_path / 'vfr.mp4', 10) as writer:
        for frame, time in zip(moving_bar(7), times, strict=True):
            writer.write(frame, time)
    reader = VideoReader(tmp_path / 'vfr.mp4')
    assert [time for _, time in reader.timed()] == times
    assert reader.problem is None
    assert [time for _, time in VideoReader(tmp_path / 'vfr.mp4', fps=4).timed()] == [Fraction(n, 4) for n in range(7)]
    with av.open(str(tmp_path / 'vfr.mp4')) as container:
        assert container.duration / av.time_base == pytest.approx(1.6, abs=0.02), 'players would cut the end off'


def encode(path, codec, pix_fmt, arrays, array_format):
    """A video of any codec and pixel format, for reading only."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = arrays[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for array in arrays:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format=array_format)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize('size', [(47, 63), (1, 1), (48, 2)])
def test_odd_sizes_are_read_as_they_are(tmp_path, size):
    frames = [np.full((*size, 3), 50 * t, np.uint8) for t in range(3)]
    back = list(VideoReader(encode(tmp_path / 'odd.mkv', 'ffv1', 'bgr0', frames, 'rgb24')))
    assert (np.stack(back) == np.stack(frames)).all()


def test_grey_and_transparent_videos_become_rgb(tmp_path):
    grey = [np.full((8, 10), 70 * t, np.uint8) for t in range(3)]
    back = np.stack(list(VideoReader(encode(tmp_path / 'grey.mkv', 'ffv1', 'gray', grey, 'gray'))))
    assert (back == np.stack(grey)[..., None]).all()
    assert back.shape == (3, 8, 10, 3)
    clear = np.zeros((8, 10, 4), np.uint8)
    clear[...] = (200, 100, 50, 0)
    (back,) = VideoReader(encode(tmp_path / 'clear.mkv', 'ffv1', 'bgra', [clear], 'rgba'))
    assert (back == (200, 100, 50)).all(), 'the colour below the transparency'


def test_grey_deep_and_transparent_pictures_become_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / '0.png'), np.full((8, 10), 90, np.uint8))
    cv2.imwrite(str(tmp_path / '1.png'), np.full((8, 10, 4), 90, np.uint8))
    cv2.imwrite(str(tmp_path / '2.png'), np.full((8, 10, 3), 90 * 257, np.uint16))
    back = np.stack(list(VideoReader(tmp_path)))
    assert back.dtype == np.uint8
    assert (back == 90).all()


def test_one_frame(tmp_path):
    reader = VideoReader(write(tmp_path / 'one.mp4', moving_bar(1)))
    assert [(frame.shape, time) for frame, time in reader.timed()] == [((48, 64, 3), 0)]
    assert reader.problem is None


def test_damage_in_the_middle_costs_frames_there_and_is_said(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), dtype=np.uint8)
    data = bytearray(write(tmp_path / 'whole.mp4', frames).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
    (tmp_path / 'hurt.mp4').write_bytes(data)
    reader = VideoReader(tmp_path / 'hurt.mp4')
    assert 10 < len(list(reader)) <= 30
    assert 'damaged' in reader.problem


def test_a_file_that_breaks_off_gives_what_the_decoder_holds_too(tmp_path):
    """Matroska has no index to miss: the file ends inside a packet, and all whole packets before give a frame."""
    frames = [np.full((48, 64, 3), 8 * t, np.uint8) for t in range(20)]
    data = encode(tmp_path / 'whole.mkv', 'mpeg4', 'yuv420p', frames, 'rgb24').read_bytes()
    (tmp_path / 'cut.mkv').write_bytes(data[: int(len(data) * 0.6)])
    with av.open(str(tmp_path / 'cut.mkv')) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert abs(len(list(VideoReader(tmp_path / 'cut.mkv'))) - packets) <= 1


# ---------------------------------------------------------------------- sound
def with_sound(path, codec, seconds=2.0, fps=10, rate=44100, delay=0):
    """A video with a tone of 440 Hz; with a delay in seconds both begin later, and until then there is silence."""
    with av.open(str(path), 'w') as container:
        pictures = container.add_stream('mpeg4', rate=fps)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, 'yuv420p'
        sound = container.add_stream(codec, rate=rate)
        sound.layout = 'mono'
        for t in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * t, np.uint8), format='rgb24')
            frame.pts = t + round(delay * fps)
            container.mux(pictures.encode(frame))
        samples = np.sin(np.arange(round(seconds * rate)) * (2 * np.pi * 440 / rate))
        samples = np.concatenate([np.zeros(round(delay * rate)), samples])
        for first in range(0, len(samples), 1024):
            part = (samples[first : first + 1024] * 20000).astype(np.int16)[None]
            tone = av.AudioFrame.from_ndarray(part, format='s16', layout='mono')
            tone.sample_rate, tone.pts = rate, first
            container.mux(sound.encode(tone))
        for stream in (pictures, sound):
            container.mux(stream.encode())
    return path


def copy_with_sound(source, path, max_frames=None):
    reader = VideoReader(source, max_frames=max_frames)
    with VideoWriter(path, reader.fps, sound_of=reader.sound_source) as writer:
        for frame, time in reader.timed():
            writer.write(frame, time)
    return path


def samples_of(path):
    """Codec, samples and samples a second of a file's sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        samples = np.concatenate([frame.to_ndarray().astype(float).mean(0) for frame in frames])
        return stream.codec_context.name, samples, frames[0].sample_rate


def heard(path):
    """Codec, seconds, and the loudest frequency of a file's sound."""
    codec, samples, rate = samples_of(path)
    return codec, len(samples) / rate, np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


@pytest.mark.parametrize(
    ('name', 'codec'), [('clip.mp4', 'aac'), ('clip.ts', 'aac'), ('clip.mov', 'pcm_s16le'), ('clip.mkv', 'flac')]
)
def test_sound_is_kept(tmp_path, name, codec):
    source = with_sound(tmp_path / name, codec)
    codec, seconds, frequency = heard(copy_with_sound(source, tmp_path / f'copy{video_suffix()}'))
    assert codec in {'aac', 'opus'}
    assert seconds == pytest.approx(2, abs=0.1)
    assert frequency == pytest.approx(440, abs=3)
    assert len(list(VideoReader(tmp_path / f'copy{video_suffix()}'))) == 20


def test_sound_ends_with_the_pictures(tmp_path):
    source = with_sound(tmp_path / 'clip.mp4', 'aac')
    _, seconds, _ = heard(copy_with_sound(source, tmp_path / f'copy{video_suffix()}', max_frames=5))
    assert seconds == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize('codec', ['aac', 'flac'])
def test_sound_and_pictures_begin_together_where_the_pictures_come_late(tmp_path, codec):
    source = with_sound(tmp_path / 'late.mkv', codec, delay=0.5)
    copy = copy_with_sound(source, tmp_path / f'copy{video_suffix()}')
    _, samples, rate = samples_of(copy)
    assert len(samples) / rate == pytest.approx(2, abs=0.1)
    assert np.abs(samples[: rate // 5]).max() > 0.5 * np.abs(samples).max(), 'the silence before is gone'
    assert [time for _, time in VideoReader(copy).timed()][0] == 0


def test_no_sound_where_there_is_none_or_the_rate_was_changed(tmp_path):
    silent = write(tmp_path / 'silent.mp4', moving_bar())
    copy_with_sound(silent, tmp_path / f'copy{video_suffix()}')
    with av.open(str(tmp_path / f'copy{video_suffix()}')) as container:
        assert not container.streams.audio
    assert VideoReader(silent, fps=5).sound_source is None
    assert VideoReader(silent).sound_source == silent


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


# ---------------------------------------------------------------------- addresses and cameras
@pytest.fixture
def server(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (tmp_path / 'served').mkdir()
    httpd = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=tmp_path / 'served'))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield tmp_path / 'served', f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()
    httpd.server_close()


def test_an_address_is_read(server):
    folder, address = server
    write(folder / 'clip.mp4', moving_bar())
    reader = VideoReader(f'{address}/clip.mp4')
    assert len(list(reader)) == 12
    assert (reader.fps, reader.sound_source) == (10, None)
    with pytest.raises(VideoError, match='none.mp4 is not a video that can be read'):
        VideoReader(f'{address}/none.mp4')


def test_an_address_leads_to_no_file_and_a_file_to_no_address(server, tmp_path):
    folder, address = server
    secret = write(tmp_path / 'secret.mp4', moving_bar())
    playlist = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n'
    (folder / 'list.m3u8').write_text(playlist.format(f'file://{secret}'))
    write(folder / 'clip.mp4', moving_bar())
    (tmp_path / 'list.m3u8').write_text(playlist.format(f'{address}/clip.mp4'))
    for source in (f'{address}/list.m3u8', tmp_path / 'list.m3u8'):
        with pytest.raises(VideoError):
            list(VideoReader(source))


@pytest.mark.parametrize('name', ['list.m3u8', 'list.m3u', 'list.ffconcat'])
def test_a_playlist_shows_no_other_file(tmp_path, name):
    """A stranger's upload: what it names is on our disk."""
    secret = tmp_path / 'secret.ts'
    with av.open(str(secret), 'w', format='mpegts') as container:
        stream = container.add_stream('mpeg2video', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for image in moving_bar():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    assert len(list(VideoReader(secret))) == 12
    (tmp_path / 'lists').mkdir()
    path = tmp_path / 'lists' / name
    playlist = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n'
    for named in (secret, '../secret.ts', f'file://{secret}'):
        path.write_text(playlist.format(named) if '.m3u' in name else f"ffconcat version 1.0\nfile '{named}'\n")
        with pytest.raises(VideoError):
            list(VideoReader(path))


def test_a_trimmed_clip_is_not_damaged(tmp_path):
    """An edit list, which phones write when a clip is trimmed, hides frames that are in the file."""
    path = write(tmp_path / 'clip.mp4', moving_bar(), encoder='libx264')
    data = bytearray(path.read_bytes())
    at = data.index(b'elst') + 4  # version and flags, number of edits, duration, start in units of the track
    with av.open(str(path)) as container:
        ticks = 1 / (container.streams.video[0].time_base * 10)  # of a frame
    (start,) = struct.unpack_from('>i', data, at + 12)
    struct.pack_into('>i', data, at + 12, start + 5 * int(ticks))
    path.write_bytes(data)
    reader = VideoReader(path)
    assert len(list(reader)) == 7
    assert reader.problem is None


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(VideoError) as error:
        VideoReader('http://user:secret@127.0.0.1:9/clip.mp4')
    assert 'secret' not in str(error.value)
    assert '127.0.0.1:9/clip.mp4' in str(error.value)


class Camera:
    """Stands for cv2.VideoCapture: three frames of BGR blue, then it is unplugged."""

    released = False

    def __init__(self, index):
        self.left = 3 if index == 0 else 0

    def isOpened(self):
        return self.left > 0

    def get(self, _):
        return 25.0

    def read(self):
        self.left -= 1
        frame = np.zeros((6, 8, 3), np.uint8)
        frame[..., 0] = 255
        return self.left >= 0, frame

    def release(self):
        Camera.released = True


def test_a_webcam_is_read_by_its_number(monkeypatch):
    monkeypatch.setattr('cv2.VideoCapture', Camera)
    reader = VideoReader(0)
    found = list(reader.timed())
    assert [frame[0, 0].tolist() for frame, _ in found] == [[0, 0, 255]] * 3
    assert all(later > earlier for (_, earlier), (_, later) in zip(found, found[1:], strict=False))
    assert (reader.fps, reader.num_frames, reader.source) == (25, None, 'webcam 0')
    assert reader.problem == 'webcam 0 stopped after 3 frames.'
    Camera.released = False
    assert len(list(VideoReader(0, max_frames=2))) == 2
    assert Camera.released, 'also when it is left early'
    with pytest.raises(VideoError, match='webcam 1 cannot be opened'):
        list(VideoReader(1))
