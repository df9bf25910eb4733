"""Writes videos that browsers play, with PyAV."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from mmengine.logging import MMLogger

from ifirvos.errors import VideoError

from .audio import SoundTrack
from .opening import file_address, readable

# What browsers play, best first: encoder -> container, options of the encoder, options of the container. Without
# B-frames the duration of a video of variable frame rate comes out right.
_ENCODERS = {
    'libx264': ('mp4', dict(crf='18', preset='veryfast', bf='0'), dict(movflags='faststart')),
    'libvpx-vp9': ('webm', {'crf': '30', 'b:v': '0', 'deadline': 'good', 'cpu-used': '4'}, {}),
}


ALPHA_ENCODER = 'libvpx-vp9'


_TIME_BASE = Fraction(1, 90000)
# MP4 keeps a frame's duration in 32 bits of that clock: 13 hours. Slower video takes a clock of milliseconds, which
# FFmpeg makes one of 1/16 of them: 37 hours.
_SLOW, _SLOW_TIME_BASE, _SLOWEST = Fraction(1, 20_000), Fraction(1, 1000), Fraction(1, 100_000)
_BT709 = 1  # code of ITU-T H.273, for matrix, primaries and transfer
_FASTEST = Fraction(1000)  # frames per second
_LARGEST = 16_384  # of a side, that both encoders take


def browser_encoder() -> str:
    """Return the best available encoder for browsers: H.264, or else VP9.

    Raises:
        VideoError: it has neither.
    """
    for name in _ENCODERS:
        if has_encoder(name):
            return name
    raise VideoError(f'This PyAV has none of the encoders {", ".join(_ENCODERS)}; install the "av" wheel from PyPI.')


def has_encoder(name: str) -> bool:
    """Return whether PyAV has an encoder."""
    if name not in av.codecs_available:
        return False
    try:
        av.Codec(name, 'w')
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def video_suffix(encoder: str | None = None) -> str:
    """Return the file suffix for an encoder: '.mp4' or '.webm'."""
    return '.' + _ENCODERS[encoder or browser_encoder()][0]


class VideoWriter:
    """Writes frames atomically to a video that browsers play (yuv420p).

    Use as a context manager: an exception removes the incomplete file. H.264 and VP9 in yuv420p need even sizes: the
    last row or column of an odd side is repeated.

    Args:
        path: File to write; its suffix must be that of the encoder (see :func:`video_suffix`).
        fps: Frames per second.
        encoder: 'libx264' or 'libvpx-vp9'; None takes the first of them that exists, with ``alpha`` VP9.
        sound_of: Video file whose sound is copied, up to the last frame; None: no sound.
        alpha: Frames are RGBA and keep their transparency (VP9 only).
        pixel_aspect: Pixel aspect ratio, width by height, applied by players.

    Attributes:
        notes: Changes required by the encoder: rate, size.

    Raises:
        VideoError: the ending does not go with the encoder, or the encoder knows no transparency.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fps: float | Fraction,
        encoder: str | None = None,
        sound_of: str | os.PathLike | None = None,
        alpha: bool = False,
        pixel_aspect: Fraction | float = 1,
    ) -> None:
        self.path = Path(path)
        self.encoder = encoder or (ALPHA_ENCODER if alpha else browser_encoder())
        self.notes: list[str] = []
        self.fps = self._possible_rate(Fraction(fps))
        if self.path.suffix != video_suffix(self.encoder):
            raise VideoError(f'{self.encoder} writes {video_suffix(self.encoder)} files, not {self.path.name}.')
        if alpha and self.encoder != ALPHA_ENCODER:
            raise VideoError(f'{self.encoder} knows no transparency; use {ALPHA_ENCODER}.')
        self._sound_of, self._alpha = sound_of, alpha
        self._part = self.path.with_name(f'.{self.path.name}.part')
        self._container = self._stream = self._sound = None
        self._end = Fraction(0)  # when the last frame so far ends
        self._pixel_aspect = Fraction(pixel_aspect).limit_denominator(1000)
        self._time_base = _TIME_BASE if self.fps > _SLOW else _SLOW_TIME_BASE
        self._last: int | None = None  # time of the last frame, in ticks
        self._scaled_to: tuple[int, int] | None = None  # width, height

    def write(self, frame: np.ndarray, time: Fraction | None = None) -> None:
        """Append one frame.

        Args:
            frame: uint8 RGB (H, W, 3), with ``alpha`` RGBA (H, W, 4); all have the size of the first.
            time: Seconds from the first frame, growing; None: one frame after the last.
        """
        if self._container is None:
            self._scaled_to = self._possible_size(*frame.shape[:2])
        if self._scaled_to is not None:
            frame = cv2.resize(frame, self._scaled_to, interpolation=cv2.INTER_AREA)
        frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode='edge')
        if self._container is None:
            self._start(*frame.shape[:2])
        time = self._end if time is None else Fraction(time)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format='rgba' if self._alpha else 'rgb24')
        picture = picture.reformat(
            format=self._stream.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        # Times of a source may lie closer than the clock's ticks, or wider apart than it holds.
        ticks = round(time / self._time_base)
        if self._last is not None:
            widest = 1 / (_SLOW if self._time_base == _TIME_BASE else _SLOWEST) / self._time_base
            ticks = min(max(ticks, self._last + 1), self._last + int(widest))
        picture.time_base, picture.pts, self._last = self._time_base, ticks, ticks
        self._container.mux(self._stream.encode(picture))
        self._end = ticks * self._time_base + 1 / self.fps
        if self._sound is not None:
            self._sound.write_until(time)

    def _possible_rate(self, fps: Fraction) -> Fraction:
        """Return the rate, or the nearest that files hold."""
        if _SLOWEST <= fps <= _FASTEST:
            return fps.limit_denominator(1001) if fps >= 1 else 1 / (1 / fps).limit_denominator(1001)
        possible = min(max(fps, _SLOWEST), _FASTEST)
        self.notes.append(f'{self.path.name} has {float(possible):g} frames a second, for files hold no {float(fps):g}')
        return possible

    def _possible_size(self, height: int, width: int) -> tuple[int, int] | None:
        """Return width and height to scale to, None where the encoder takes the frames as they are."""
        stretched = self._pixel_aspect != 1 and self.encoder != 'libx264'  # PyAV cannot tell WebM of it
        if stretched:
            width = max(1, round(width * self._pixel_aspect))
        if max(height, width) <= _LARGEST:
            return (width, height) if stretched else None
        factor = _LARGEST / max(height, width)
        width, height = (max(1, min(_LARGEST, round(side * factor))) for side in (width, height))
        self.notes.append(f'{self.path.name} is scaled to {width}x{height}: encoders take up to {_LARGEST} a side')
        return width, height

    def _start(self, height: int, width: int) -> None:
        container_format, codec_options, container_options = _ENCODERS[self.encoder]
        try:
            self._container = av.open(file_address(self._part), 'w', format=container_format, options=container_options)
            self._stream = self._container.add_stream(self.encoder, rate=self.fps, options=codec_options)
            self._stream.codec_context.time_base = self._time_base
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = 'yuva420p' if self._alpha else 'yuv420p'
            # Without these, players guess the matrix from the size.
            context = self._stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = ColorRange.MPEG
            if self._pixel_aspect != 1 and self.encoder == 'libx264':
                self._stream.codec_context.sample_aspect_ratio = self._pixel_aspect
            if self._alpha:
                self._stream.metadata['alpha_mode'] = '1'
        except av.FFmpegError as error:
            raise VideoError(f'{self.path}: {self.encoder} refuses it ({error}).') from error
        if self._sound_of is not None:
            try:
                self._sound = SoundTrack(self._sound_of, self._container, container_format)
            except (av.FFmpegError, OSError, ValueError) as error:
                MMLogger.get_current_instance().warning(f'{readable(self._sound_of)}: its sound is left out ({error}).')

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, error_type: type | None, *_) -> None:
        if self._container is None:
            return  # no frame came, no file
        try:
            if error_type is None:
                if self._sound is not None:
                    self._sound.finish(self._end)
                self._container.mux(self._stream.encode())  # what the encoder still holds
            self._container.close()
            if error_type is None:
                os.replace(self._part, self.path)
        finally:
            if self._sound is not None:
                self._sound.close()
            self._part.unlink(missing_ok=True)
