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
from clips import encode, moving_bar, write
from PIL import Image

from ifirvos.errors import VideoError
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter


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


def test_a_photo_with_exif_is_read_upright(tmp_path):
    """FFmpeg hands on the EXIF beside the frame, a kind of side data that PyAV 18.1 has no name for."""
    picture = Image.new('RGB', (64, 32))
    picture.paste((255, 255, 255), (0, 0, 16, 32))  # white at the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.save(tmp_path / 'IMG_0001.jpg', exif=exif)
    (back,) = VideoReader(tmp_path / 'IMG_0001.jpg')
    assert back.shape == (64, 32, 3)
    assert back[:12].mean() > 200, 'the left side is now the top'


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
    assert (reader.fps, reader.num_frames, reader.notes) == (6, 3, [])


def test_pictures_of_other_kinds_are_said(tmp_path):
    """A phone mixes JPEG and HEIC; the frames that are missed are in the middle."""
    cv2.imwrite(str(tmp_path / 'IMG_1.jpg'), np.zeros((8, 10, 3), np.uint8))
    for name in ('IMG_2.HEIC', 'IMG_3.heic', 'IMG_4.avif', 'notes.txt'):
        (tmp_path / name).write_bytes(b'')
    reader = VideoReader(tmp_path)
    assert reader.num_frames == 1
    assert reader.notes == ['3 pictures of other kinds (.avif, .heic) are left out: convert them to frames']


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


@pytest.mark.parametrize('size', [(47, 63), (1, 1), (48, 2)])
def test_odd_sizes_are_read_as_they_are(tmp_path, size):
    frames = [np.full((*size, 3), 50 * t, np.uint8) for t in range(3)]
    back = list(VideoReader(encode(tmp_path / 'odd.mkv', 'ffv1', frames, 'bgr0')))
    assert (np.stack(back) == np.stack(frames)).all()


def test_grey_and_transparent_videos_become_rgb(tmp_path):
    grey = [np.full((8, 10), 70 * t, np.uint8) for t in range(3)]
    back = np.stack(list(VideoReader(encode(tmp_path / 'grey.mkv', 'ffv1', grey, 'gray', 'gray'))))
    assert (back == np.stack(grey)[..., None]).all()
    assert back.shape == (3, 8, 10, 3)
    clear = np.zeros((8, 10, 4), np.uint8)
    clear[...] = (200, 100, 50, 0)
    (back,) = VideoReader(encode(tmp_path / 'clear.mkv', 'ffv1', [clear], 'bgra', 'rgba'))
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
    data = encode(tmp_path / 'whole.mkv', 'mpeg4', frames).read_bytes()
    (tmp_path / 'cut.mkv').write_bytes(data[: int(len(data) * 0.6)])
    with av.open(str(tmp_path / 'cut.mkv')) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert abs(len(list(VideoReader(tmp_path / 'cut.mkv'))) - packets) <= 1


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


def test_hidden_files_are_no_frames(tmp_path):
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((8, 10, 3), np.uint8))
    for name in ('._0.png', '.hidden.png', '.DS_Store'):
        (tmp_path / name).write_bytes(b'\0\5\x16\7 Mac OS X')
    reader = VideoReader(tmp_path)
    assert (reader.num_frames, len(list(reader))) == (1, 1)
