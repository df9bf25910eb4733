"""Video in and out through PyAV: frames one at a time, files that a browser plays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}
DEFAULT_FPS = Fraction(10)

# FFmpeg draws plain text as ANSI art; nobody who hands us a text file means that.
_TEXT_CODECS = {'ansi', 'bintext', 'xbin', 'idf'}

# What browsers play, best first: encoder -> container, options of the encoder, options of the container.
_ENCODERS = {
    'libx264': ('mp4', dict(crf='18', preset='veryfast'), dict(movflags='faststart')),
    'libvpx-vp9': ('webm', {'crf': '30', 'b:v': '0', 'deadline': 'good', 'cpu-used': '4'}, {}),
}


class VideoError(ValueError):
    """A video that cannot be read or written; the message says which, and why."""


class VideoReader:
    """The frames of a video file or of a folder of images, decoded one at a time.

    Every iteration starts again at the first frame and holds one decoded frame. Frames are turned upright by the
    file's rotation metadata, and all have the size of the first one. A file that is damaged gives the frames that
    decode; ``problem`` then says what was lost.

    Args:
        source: a video file in any format that PyAV reads, or a folder of images (sorted by name, numbers as numbers).
        fps: frames a second; None takes the file's own rate, and 10 for a folder.
        max_frames: stop after so many frames; None reads all.

    Raises:
        FileNotFoundError: nothing is there.
        VideoError: no video stream, no images, or not one frame that decodes.
    """

    def __init__(
        self, source: str | os.PathLike, fps: float | Fraction | None = None, max_frames: int | None = None
    ) -> None:
        self.source = Path(source)
        self.max_frames = max_frames
        self.problem: str | None = None  # known after an iteration
        if self.source.is_dir():
            self._images = _list_images(self.source)
            file_fps, length = DEFAULT_FPS, len(self._images)
        else:
            self._images = None
            file_fps, length = _probe(self.source)
        self.fps = Fraction(fps).limit_denominator(1001) if fps else file_fps
        if self.fps <= 0:
            raise VideoError(f'The frame rate must be above 0, not {fps}.')
        # Frames to expect, for progress bars: what the file's header says, None when it does not say.
        self.num_frames = min(length, max_frames) if length and max_frames else length or max_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 RGB frames (H, W, 3)."""
        self.problem = None
        frames = self._decode_images() if self._images is not None else self._decode_file()
        for index, frame in enumerate(frames):
            if index == self.max_frames:
                return
            yield frame

    def _decode_images(self) -> Iterator[np.ndarray]:
        size = None
        for path in self._images:
            # imdecode, because imread cannot open names outside the system's code page on Windows.
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
            if image is None:
                raise VideoError(f'{path} is not an image that can be read; remove it or repair it.')
            size = size or image.shape
            if image.shape != size:
                raise VideoError(
                    f'{path} is {image.shape[1]}x{image.shape[0]} but the first frame is {size[1]}x{size[0]}: '
                    'all frames of a folder must have one size.'
                )
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _decode_file(self) -> Iterator[np.ndarray]:
        decoded, broken, size = 0, 0, None
        with _open(self.source) as container:
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            expected = stream.frames
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                except av.FFmpegError as error:  # the container itself ends here
                    self.problem = f'{self.source}: reading stopped after {decoded} frames ({error.strerror}).'
                    break
                try:
                    frames = packet.decode()
                except av.FFmpegError:  # one damaged packet; the next key frame may be fine
                    broken += 1
                    continue
                for frame in frames:
                    # A stream may change its size on the way: everything follows the first frame.
                    size = size or (frame.width, frame.height)
                    image = frame.to_ndarray(format='rgb24', width=size[0], height=size[1])
                    yield np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90) % 4))
                    decoded += 1
        if decoded == 0:
            raise VideoError(f'{self.source}: not one frame could be decoded; the file is damaged or incomplete.')
        if self.problem is None and (broken or decoded < expected):
            total = max(expected, decoded + broken)
            self.problem = f'{self.source}: {decoded} of {total} frames could be decoded; the rest is damaged.'


def _open(path: Path) -> av.container.InputContainer:
    if not path.exists():
        raise FileNotFoundError(f'No such video file or folder of frames: {path}')
    try:
        # Only local files: a playlist must not make us fetch an address.
        container = av.open(str(path), options=dict(protocol_whitelist='file'), metadata_errors='replace')
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise VideoError(f'{path} is not a video that can be read ({reason}).') from error
    reason = None
    if not container.streams.video:
        reason = 'has no video stream'
    elif container.streams.video[0].codec_context.name in _TEXT_CODECS:
        reason = 'is a text file, not a video'
    if reason:
        container.close()
        raise VideoError(f'{path} {reason}.')
    return container


def _probe(path: Path) -> tuple[Fraction, int | None]:
    """Frame rate and the number of frames that the header promises (None: it does not say)."""
    with _open(path) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or DEFAULT_FPS
        return Fraction(rate), stream.frames or None


def _list_images(folder: Path) -> list[Path]:
    images = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not images:
        raise VideoError(f'{folder} holds no images ({", ".join(sorted(IMAGE_SUFFIXES))}).')
    return sorted(images, key=_natural_key)


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


def browser_encoder() -> str:
    """The best encoder for browsers that this PyAV has: H.264, else VP9.

    Raises:
        VideoError: it has neither.
    """
    for name in _ENCODERS:
        if name in av.codecs_available:
            try:
                av.Codec(name, 'w')
            except av.codec.codec.UnknownCodecError:
                continue
            return name
    raise VideoError(f'This PyAV has none of the encoders {", ".join(_ENCODERS)}; install the "av" wheel from PyPI.')


def video_suffix(encoder: str | None = None) -> str:
    """File name ending that goes with an encoder: '.mp4' or '.webm'."""
    return '.' + _ENCODERS[encoder or browser_encoder()][0]


class VideoWriter:
    """Write frames to a video that browsers play (yuv420p); the file appears under its name when it is complete.

    Use as a context manager: leaving it by an exception removes what was written so far. H.264 and VP9 in yuv420p
    want even sizes: an odd side is made even by repeating its last row or column.

    Args:
        path: file to write; its ending must be that of the encoder (see :func:`video_suffix`).
        fps: frames a second.
        encoder: 'libx264' or 'libvpx-vp9'; None takes the first of them that exists.
    """

    def __init__(self, path: str | os.PathLike, fps: float | Fraction, encoder: str | None = None) -> None:
        self.path = Path(path)
        self.encoder = encoder or browser_encoder()
        self.fps = Fraction(fps).limit_denominator(1001)
        if self.path.suffix != video_suffix(self.encoder):
            raise VideoError(f'{self.encoder} writes {video_suffix(self.encoder)} files, not {self.path.name}.')
        self._part = self.path.with_name(f'.{self.path.name}.part')
        self._container = self._stream = None

    def write(self, frame: np.ndarray) -> None:
        """Append one uint8 RGB frame (H, W, 3); all frames have the size of the first."""
        frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode='edge')
        if self._stream is None:
            self._start(*frame.shape[:2])
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format='rgb24')
        self._container.mux(self._stream.encode(picture))

    def _start(self, height: int, width: int) -> None:
        container_format, codec_options, container_options = _ENCODERS[self.encoder]
        self._container = av.open(str(self._part), 'w', format=container_format, options=container_options)
        self._stream = self._container.add_stream(self.encoder, rate=self.fps, options=codec_options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, 'yuv420p'

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, error_type: type | None, *_) -> None:
        if self._container is None:
            return  # no frame came, no file
        try:
            if error_type is None:
                self._container.mux(self._stream.encode())  # what the encoder still holds
            self._container.close()
            if error_type is None:
                os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)
