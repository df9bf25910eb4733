"""What is opened, what is refused, and that nothing waits for ever."""

import os
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from clips import moving_bar, write

from ifirvos.errors import VideoError
from ifirvos.video.opening import is_url, readable, video_stream
from ifirvos.video.reader import VideoReader

BOUND = 20  # seconds within which a wait of 0.5 must have ended, on a busy machine


@contextmanager
def ends_soon():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < BOUND


def two_streams(path, sizes, dispositions, codecs=('ffv1', 'ffv1')):
    """A file with two video streams; the first is black, the second white."""
    with av.open(str(path), 'w') as container:
        streams = []
        for codec, size, disposition in zip(codecs, sizes, dispositions, strict=True):
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width = size
            stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
            stream.disposition = disposition
            streams.append(stream)
        for number, (stream, size) in enumerate(zip(streams, sizes, strict=True)):
            array = np.full((*size, 3), 255 * number, np.uint8)
            for _ in range(3 - 2 * (codecs[number] == 'mjpeg')):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format='rgb24')))
            container.mux(stream.encode())
    return path


DEFAULT, COVER, NONE = av.stream.Disposition.default, av.stream.Disposition.attached_pic, av.stream.Disposition(0)


@pytest.mark.parametrize(
    ('sizes', 'dispositions', 'taken'),
    [
        (((16, 16), (32, 48)), (NONE, DEFAULT), 1),  # the default
        (((16, 16), (32, 48)), (DEFAULT, NONE), 0),
        (((16, 16), (32, 48)), (NONE, NONE), 1),  # the largest
        (((32, 48), (16, 16)), (NONE, NONE), 0),
        (((16, 16), (16, 16)), (DEFAULT, DEFAULT), 0),  # the first
    ],
)
def test_the_best_of_several_videos(tmp_path, sizes, dispositions, taken):
    reader = VideoReader(two_streams(tmp_path / 'two.mkv', sizes, dispositions))
    frames = list(reader)
    assert (frames[0].shape[:2], frames[0].mean() > 128) == (sizes[taken], bool(taken))
    assert len(frames) == 3
    assert reader.problem is None


def test_a_cover_is_no_video(tmp_path):
    both = two_streams(tmp_path / 'a.mp4', ((64, 64), (16, 16)), (COVER, NONE), ('mjpeg', 'mpeg4'))
    assert [frame.shape for frame in VideoReader(both)] == [(16, 16, 3)] * 3
    path = tmp_path / 'song.mp3'
    with av.open(str(path), 'w') as container:
        sound = container.add_stream('libmp3lame', rate=44100)
        cover = container.add_stream('mjpeg', rate=10)
        cover.height = cover.width = 16
        cover.pix_fmt, cover.disposition = 'yuvj420p', COVER
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format='rgb24')
        container.mux([*cover.encode(picture), *cover.encode()])
        tone = av.AudioFrame.from_ndarray(np.zeros((2, 1152), np.int16), format='s16p', layout='stereo')
        tone.sample_rate = 44100
        container.mux([*sound.encode(tone), *sound.encode()])
    with pytest.raises(VideoError, match='no video stream, only a cover'):
        VideoReader(path)


def test_what_is_no_video(tmp_path):
    (tmp_path / 'drawing.svg').write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n')
    with pytest.raises(VideoError, match=r'drawing\.svg'):
        VideoReader(tmp_path / 'drawing.svg')
    data = write(tmp_path / 'known.mp4', moving_bar(), encoder='libx264').read_bytes()
    (tmp_path / 'unknown.mp4').write_bytes(data.replace(b'avc1\0\0\0', b'zzzz\0\0\0'))
    with pytest.raises(VideoError, match=r'unknown\.mp4 has a video stream of a kind'):
        VideoReader(tmp_path / 'unknown.mp4')


def test_a_photo_of_tiles_is_refused():
    """Nothing here writes one: a stand-in of what FFmpeg makes of it, a stream a tile."""
    tile = SimpleNamespace(
        index=0,
        frames=1,
        disposition=av.stream.Disposition.dependent,
        codec_context=SimpleNamespace(width=512, height=512, name='hevc'),
    )
    photo = SimpleNamespace(streams=SimpleNamespace(video=[tile] * 48), metadata=dict(major_brand='heic'))
    with pytest.raises(VideoError, match='photo of 48 tiles'):
        video_stream(photo, 'photo.heic')


@pytest.mark.parametrize(
    'name',
    [b'12:30:11.mp4', b'-leading.mp4', b'-', b'.hidden.mp4', b'caf\xe9.mp4', b'%03d.mp4', b'file:a.mp4', b'a#b?.mp4'],
)
def test_awkward_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    os.rename(write('plain.mp4', moving_bar(), sound_of=None), name)
    name = os.fsdecode(name)
    reader = VideoReader(name)
    assert len(list(reader)) == 12
    readable(name).encode('utf-8')
    write('with_sound.mp4', moving_bar(), sound_of=name)
    assert len(list(VideoReader('with_sound.mp4'))) == 12


def test_a_pattern_as_name_is_a_name(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number:03d}.png'), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(tmp_path / '%03d.png'), np.full((8, 8, 3), 255, np.uint8))
    assert [frame.mean() for frame in VideoReader(tmp_path / '%03d.png')] == [255]


def test_too_many_pixels_are_refused(tmp_path):
    path = write(tmp_path / 'clip.mp4', moving_bar())
    with pytest.raises(VideoError, match='64x48 pixels'):
        VideoReader(path, max_pixels=64 * 48 - 1)
    assert len(list(VideoReader(path, max_pixels=64 * 48))) == 12
    folder = tmp_path / 'frames'
    folder.mkdir()
    cv2.imwrite(str(folder / '0.png'), np.zeros((16_000, 16_000), np.uint8))
    with pytest.raises(VideoError, match=r'0\.png has far too many pixels'):
        list(VideoReader(folder))
    cv2.imwrite(str(folder / '0.png'), np.zeros((100, 100), np.uint8))
    with pytest.raises(VideoError, match=r'0\.png has 100x100 pixels'):
        list(VideoReader(folder, max_pixels=9999))
    with pytest.raises(VideoError, match=r'0\.png.* 100x100 pixels, more than 9,999'):
        list(VideoReader(folder / '0.png', max_pixels=9999))


# ---------------------------------------------------------------------- what may wait for ever
def test_a_fifo_is_refused_unless_asked_for(tmp_path):
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    with ends_soon(), pytest.raises(VideoError, match='is a FIFO or device'):
        VideoReader(path)
    with pytest.raises(VideoError, match='is a FIFO or device'):
        VideoReader('/dev/zero')
    with ends_soon(), pytest.raises(VideoError, match='gave nothing for 0.5 seconds'):
        VideoReader(path, allow_special=True, timeout=0.5)


def transport_stream(path, num_frames=24):
    with av.open(str(path), 'w', format='mpegts') as container:
        stream = container.add_stream('libx264', rate=10, options=dict(g='8', bf='0', x264_params='scenecut=0'))
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for image in moving_bar(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return path


def test_a_fifo_is_read_once(tmp_path):
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    data = transport_stream(tmp_path / 'clip.ts').read_bytes()

    def feed():
        with open(path, 'wb') as pipe:
            pipe.write(data)

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    reader = VideoReader(path, allow_special=True, timeout=10)
    assert len(list(reader)) == 24
    writer.join(10)
    with pytest.raises(VideoError, match='only once'):
        list(reader)


def test_a_fifo_that_falls_silent(tmp_path):
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    data = transport_stream(tmp_path / 'clip.ts').read_bytes()
    stop = threading.Event()

    def feed():
        with open(path, 'wb') as pipe:
            pipe.write(data)
            pipe.flush()
            stop.wait(BOUND * 2)

    threading.Thread(target=feed, daemon=True).start()
    with ends_soon():
        reader = VideoReader(path, allow_special=True, timeout=1)
        assert len(list(reader)) >= 20, 'what came is kept'
        assert 'reading stopped after' in reader.problem
    stop.set()


@pytest.fixture
def no_proxy(monkeypatch):
    """FFmpeg would ask a proxy for our own servers."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')


def test_half_an_address_is_a_path():
    assert not is_url('http://[::1')
    assert is_url('http://[::1]/clip.mp4')


@pytest.mark.usefixtures('no_proxy')
def test_a_server_that_says_nothing(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as server:
        address = f'http://127.0.0.1:{server.getsockname()[1]}/clip.mp4'
        with ends_soon(), pytest.raises(VideoError, match='gave nothing for 0.5 seconds'):
            VideoReader(address, timeout=0.5)


@contextmanager
def serving(answers, pause=0.0):
    """A server of some bodies by path; 'PORT' in a body becomes its own. Of a tuple, the parts come one by one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            try:
                for part in body if isinstance(body, tuple) else (body or b'',):
                    self.wfile.write(part.replace(b'PORT', str(self.server.server_port).encode()))
                    if isinstance(body, tuple):
                        self.wfile.flush()
                        time.sleep(pause)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


HEAD = b'#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n'


@pytest.mark.usefixtures('no_proxy')
def test_a_live_playlist_without_a_new_piece_and_one_that_names_itself(tmp_path):
    piece = transport_stream(tmp_path / 'piece.ts').read_bytes()
    live = HEAD + b'#EXTINF:2.4,\npiece.ts\n'  # no #EXT-X-ENDLIST: more is to come, and never does
    itself = HEAD + b'#EXTINF:1,\nhttp://127.0.0.1:PORT/self.m3u8\n' * 3
    with serving({'/live.m3u8': live, '/piece.ts': piece, '/self.m3u8': itself}) as address:
        with ends_soon():
            reader = VideoReader(f'{address}/live.m3u8', timeout=1)
            assert len(list(reader)) >= 20, 'what came is kept'
            assert 'no frame for 1 seconds' in reader.problem
        with ends_soon(), pytest.raises(VideoError):
            list(VideoReader(f'{address}/self.m3u8', timeout=1))


@pytest.mark.usefixtures('no_proxy')
def test_bytes_that_trickle_are_no_frames(tmp_path):
    data = transport_stream(tmp_path / 'clip.ts').read_bytes()
    trickle = [b'\x47\x1f\xff\x10' + b'\xff' * 184] * 200  # packets of padding
    with serving({'/slow.ts': (data, *trickle)}, pause=0.1) as address, ends_soon():
        reader = VideoReader(f'{address}/slow.ts', timeout=1)
        assert len(list(reader)) >= 20
        assert 'no frame for 1 seconds' in reader.problem


@pytest.mark.parametrize('named', ['pipe', 'list.m3u8'])
def test_a_playlist_file_is_refused_before_what_it_names_is_opened(tmp_path, named):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'list.m3u8').write_bytes(HEAD + b'#EXTINF:1,\n' + named.encode() + b'\n')
    with ends_soon(), pytest.raises(VideoError, match='is a playlist'):
        VideoReader(tmp_path / 'list.m3u8')
