"""Where frames come from: a file or address through PyAV, a folder of images, a webcam. One decoded frame at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import av
import cv2
import numpy as np

from ifirvos.errors import VideoError

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}
DEFAULT_FPS = Fraction(10)
WEBCAM_FPS = Fraction(30)  # of a camera that does not say
URL_SCHEMES = ('http', 'https', 'rtsp', 'rtsps', 'rtmp')
TIMEOUT = 20.0  # seconds without an answer of an address

# What FFmpeg may open. A file must not make us fetch an address, an address must not make us read a file.
_FILE_PROTOCOLS = 'file'
_URL_PROTOCOLS = 'http,https,httpproxy,tcp,tls,crypto,rtsp,rtsps,rtp,srtp,udp,rtmp'

# Files that name other files: one that a stranger has sent must not show them ours.
_PLAYLISTS = {'hls', 'concat', 'dash', 'webm_dash_manifest', 'imf', 'sdp'}
# FFmpeg draws plain text as ANSI art; nobody who hands us a text file means that.
_TEXT_CODECS = {'ansi', 'bintext', 'xbin', 'idf'}

# A frame, uint8 RGB (H, W, 3), and its time in seconds from the first one; times only grow.
TimedFrame = tuple[np.ndarray, Fraction]


def is_url(source: object) -> bool:
    """Return whether a string is an address that FFmpeg can fetch, and not a path."""
    return isinstance(source, str) and '://' in source and urlsplit(source).scheme.lower() in URL_SCHEMES


class StreamSource:
    """A video file, or an address, in any format that FFmpeg reads.

    Frames are turned upright by the rotation metadata, and all have the size of the first. What decodes is given;
    ``problem`` then says what does not.

    Args:
        source: A path, or an address of ``URL_SCHEMES``.

    Raises:
        FileNotFoundError: nothing is there.
        VideoError: it cannot be opened, or has no video stream.
    """

    def __init__(self, source: str | Path) -> None:
        self._source = source
        self.name = _without_password(source) if is_url(source) else str(source)
        self.problem: str | None = None
        with self._open() as container:
            stream = container.streams.video[0]
            self.fps = Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
            self.num_frames = stream.frames or None  # what the header promises

    def __iter__(self) -> Iterator[TimedFrame]:
        """Decode from the beginning.

        Raises:
            VideoError: at the end, when not one frame decoded.
        """
        self.problem, reasons = None, []
        decoded, broken, hidden, repaired, size, start, last = 0, 0, 0, 0, None, None, None
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            expected = stream.frames
            for packet in self._packets(container, stream, reasons):
                hidden += packet is not None and packet.is_discard  # cut off by an edit list, when a clip was trimmed
                try:
                    frames = stream.decode(packet)
                except av.FFmpegError:  # one damaged packet; the next key frame may be fine
                    broken += 1
                    continue
                for frame in frames:
                    # A stream may change its size on the way: everything follows the first frame.
                    size = size or (frame.width, frame.height)
                    image = frame.to_ndarray(format='rgb24', width=size[0], height=size[1])
                    moment = None if frame.pts is None else frame.pts * stream.time_base
                    start = moment if start is None and moment is not None else start
                    if moment is None or (last is not None and moment - start <= last):
                        moment = Fraction(0) if last is None else last + 1 / self.fps
                    else:
                        moment -= start
                    repaired += frame.is_corrupt
                    last = moment
                    yield np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90) % 4)), moment
                    decoded += 1
        if decoded == 0:
            raise VideoError(f'{self.name}: not one frame could be decoded; the video is damaged or incomplete.')
        if reasons:
            self.problem = f'{self.name}: reading stopped after {decoded} frames ({reasons[0]}).'
        elif broken or decoded + hidden < expected:
            total = max(expected - hidden, decoded + broken)
            self.problem = f'{self.name}: {decoded} of {total} frames could be decoded; the rest is damaged.'
        elif repaired:
            self.problem = f'{self.name}: {repaired} of {decoded} frames are damaged, and decoded as far as they go.'

    @staticmethod
    def _packets(container: av.container.InputContainer, stream: av.VideoStream, reasons: list[str]) -> Iterator:
        """Yield the stream's packets, then None to flush the decoder, also where the container breaks off."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                reasons.append(getattr(error, 'strerror', None) or str(error))
                yield None
                return
            yield packet

    def _open(self) -> av.container.InputContainer:
        options = dict(protocol_whitelist=_URL_PROTOCOLS if is_url(self._source) else _FILE_PROTOCOLS)
        if is_url(self._source):
            options['rtsp_transport'] = 'tcp'  # a frame that is lost on the way damages all up to the next key frame
        elif not Path(self._source).exists():
            raise FileNotFoundError(f'No such video file or folder of frames: {self._source}')
        try:
            container = av.open(
                str(self._source),
                options=options,
                metadata_errors='replace',
                timeout=TIMEOUT if is_url(self._source) else None,
            )
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, 'strerror', None) or error
            raise VideoError(f'{self.name} is not a video that can be read ({reason}).') from error
        reason = None
        if not container.streams.video:
            reason = 'has no video stream'
        elif container.streams.video[0].codec_context.name in _TEXT_CODECS:
            reason = 'is a text file, not a video'
        elif not is_url(self._source) and container.format.name in _PLAYLISTS:
            reason = 'is a playlist: name the video itself'
        if reason:
            container.close()
            raise VideoError(f'{self.name} {reason}.')
        return container


class FolderSource:
    """The images of a folder in the order of the numbers in their names, all of one size.

    Raises:
        VideoError: there are none; when iterating, one cannot be read or has another size.
    """

    fps = DEFAULT_FPS
    problem: str | None = None

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        images = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
        if not images:
            raise VideoError(f'{folder} holds no images ({", ".join(sorted(IMAGE_SUFFIXES))}).')
        self.images = sorted(images, key=_natural_key)
        self.num_frames = len(images)

    def __iter__(self) -> Iterator[TimedFrame]:
        size = None
        for index, path in enumerate(self.images):
            # imdecode, because imread cannot open names outside the system's code page on Windows. Grey becomes RGB,
            # 16 bits become 8, transparency is dropped.
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
            if image is None:
                raise VideoError(f'{path} is not an image that can be read; remove it or repair it.')
            size = size or image.shape
            if image.shape != size:
                raise VideoError(
                    f'{path} is {image.shape[1]}x{image.shape[0]} but the first frame is {size[1]}x{size[0]}: '
                    'all frames of a folder must have one size.'
                )
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), index / self.fps


class WebcamSource:
    """A camera by its number. It has no end: stop iterating, or use ``max_frames``.

    Raises:
        VideoError: when iterating: no such camera, or it gives no frame.
    """

    num_frames = None

    def __init__(self, index: int) -> None:
        self._index = index
        self.name = f'webcam {index}'
        self.problem: str | None = None
        self.fps = WEBCAM_FPS

    def __iter__(self) -> Iterator[TimedFrame]:
        self.problem = None
        camera = cv2.VideoCapture(self._index)
        try:
            if not camera.isOpened():
                raise VideoError(f'{self.name} cannot be opened; is it there, and free?')
            rate = camera.get(cv2.CAP_PROP_FPS)
            self.fps = Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else WEBCAM_FPS
            began, last, count = None, None, 0
            while True:
                ok, image = camera.read()
                now = time.monotonic()
                if not ok:
                    if not count:
                        raise VideoError(f'{self.name} gives no frame.')
                    self.problem = f'{self.name} stopped after {count} frames.'
                    return
                began = now if began is None else began
                moment = Fraction(now - began).limit_denominator(1000)
                last = moment if last is None or moment > last else last + Fraction(1, 1000)
                count += 1
                yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), last
        finally:
            camera.release()


def _without_password(url: str) -> str:
    """Return the address as it may stand in messages and result files."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()


def _natural_key(path: Path) -> tuple:
    """'frame9' before 'frame10': digits compare as numbers; the name itself breaks ties ('1' and '01')."""
    parts, digits = [], ''
    for char in path.name + '\0':
        if char in '0123456789':
            digits += char
            continue
        if digits:
            parts.append((0, int(digits), ''))
            digits = ''
        parts.append((1, 0, char))
    return parts, path.name
