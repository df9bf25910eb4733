"""Reads the frames of a video one at a time, with PyAV."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import islice
from math import isfinite
from pathlib import Path

import av
import numpy as np

from ifirvos.errors import MissingFileError, VideoError

from .opening import TIMEOUT, is_url, open_media, readable, video_stream
from .sources import FolderSource, TimedFrame, WebcamSource
from .streams import AnimatedWebPSource, StreamSource, is_animated_webp

MIN_FPS, MAX_FPS = 1e-9, 1e12


class VideoReader:
    """The frames of a video, decoded one at a time.

    Every iteration starts again at the first frame (of a webcam or a live address: at the present one) and holds one
    decoded frame. Frames are turned upright by the file's display matrix, mirrors included, HDR is mapped to standard
    dynamic range, and all have the size of the first one. A file that is damaged gives the frames that decode;
    ``problem`` then says what was lost.

    Args:
        source: A video file in any format that PyAV reads, a folder of images (sorted by name, numbers as numbers), an
            address (http, https, rtsp, rtsps, rtmp), or the number of a webcam.
        fps: Frames a second; None takes the file's own rate and times, and 10 for a folder.
        max_frames: Stop after so many frames; None reads all.
        timeout: Seconds without a frame after which reading of a URL or FIFO stops.
        deinterlace: Make whole frames of an interlaced video's fields (FFmpeg's bwdif).
        max_pixels: Most pixels of a frame; None: :func:`~ifirvos.frame_sizes.most_pixels`.
        allow_special: Also read FIFOs and devices, which can be read only once.

    Raises:
        FileNotFoundError: nothing is there.
        VideoError: no video stream, no images, or not one frame that decodes.
    """

    def __init__(
        self,
        source: str | os.PathLike | int,
        fps: float | Fraction | None = None,
        max_frames: int | None = None,
        *,
        timeout: float = TIMEOUT,
        deinterlace: bool = False,
        max_pixels: int | None = None,
        allow_special: bool = False,
    ) -> None:
        self.max_frames = max_frames if max_frames is None else min(max_frames, sys.maxsize)  # islice takes no more
        options = dict(timeout=timeout, deinterlace=deinterlace, max_pixels=max_pixels, allow_special=allow_special)
        if isinstance(source, int):
            self._frames, self.source = WebcamSource(source), f'webcam {source}'
        elif is_url(source):
            self._frames = StreamSource(source, **options)
            self.source = self._frames.name
        else:
            self.source = Path(source)
            if self.source.is_dir():
                self._frames = FolderSource(self.source, max_pixels)
            elif self.source.is_file() and is_animated_webp(self.source):
                self._frames = AnimatedWebPSource(self.source, max_pixels)
            else:
                self._frames = StreamSource(self.source, **options)
        self._fps = None if fps is None else _as_rate(fps)
        # Frames to expect, for progress bars: what the file's header says, None when it does not say.
        length = self._frames.num_frames
        self.num_frames = min(length, max_frames) if length and max_frames else length or max_frames

    @property
    def fps(self) -> Fraction:
        """Frames per second; the average for variable rates."""
        return self._fps or self._frames.fps

    @property
    def problem(self) -> str | None:
        """What could not be read; set after an iteration."""
        return self._frames.problem

    @property
    def notes(self) -> list[str]:
        """Conversions and peculiarities (HDR, interlaced, …); set after an iteration."""
        return list(self._frames.notes)

    @property
    def name(self) -> str:
        """Name of the source for messages and result files, also if it is not valid UTF-8."""
        return readable(self.source)

    @property
    def pixel_aspect(self) -> Fraction:
        """Pixel aspect ratio, width by height; 1 for most videos."""
        return self._frames.pixel_aspect

    @property
    def sound_source(self) -> Path | None:
        """File with the sound of these frames; None if there is none, or the rate was changed, or it is read once."""
        is_file = isinstance(self._frames, StreamSource) and isinstance(self.source, Path)
        return self.source if is_file and not self._frames.reads_once and not self._fps else None

    def timed(self) -> Iterator[TimedFrame]:
        """Yield uint8 RGB frames (H, W, 3) with their time, in seconds from the first."""
        for index, (frame, moment) in enumerate(islice(self._frames, self.max_frames)):
            yield frame, index / self._fps if self._fps else moment

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 RGB frames (H, W, 3)."""
        for frame, _ in self.timed():
            yield frame


def _as_rate(fps: float | Fraction) -> Fraction:
    """Return a rate as a fraction of small numbers, also far below one."""
    if not (isfinite(fps) and MIN_FPS <= fps <= MAX_FPS):
        raise VideoError(f'The frame rate must be from {MIN_FPS:g} to {MAX_FPS:g}, not {fps}.')
    fps = Fraction(fps)
    return fps.limit_denominator(1001) if fps >= 1 else 1 / (1 / fps).limit_denominator(1001)


def read_video_frames(path: str, indices: Collection[int]) -> dict[int, np.ndarray]:
    """Decode frames of a video file, counted from 0 in the order they are shown.

    The file is decoded from its start up to the last requested frame, because seeking is wrong in files with an inexact
    index. Unlike `ifirvos.video.VideoReader` it does not skip damaged frames, which would shift the indices.

    Args:
        path: A video file.
        indices: Indices of the frames, at least one.

    Returns:
        uint8 (H,W,3) BGR by index. Indices beyond the end are left out; the last frame of the file is then
        included under its own index.

    Raises:
        FileNotFoundError: If the file is missing.
        VideoError: If it cannot be decoded; names it.
    """
    last, frame, number = max(indices), None, -1
    frames = {}
    try:
        with open_media(path) as container:
            stream = video_stream(container, path)
            stream.thread_type = 'AUTO'
            for number, frame in enumerate(container.decode(stream)):
                if number in indices:
                    frames[number] = frame.to_ndarray(format='bgr24')
                if number == last:
                    break
    except FileNotFoundError as error:
        raise MissingFileError(f'Video {path} is missing: complete the data set.') from error
    except (av.FFmpegError, IndexError) as error:
        raise VideoError(f'{path}: reading stopped at frame {number + 1}: {error!r}.') from error
    if frame is None:
        raise VideoError(f'{path} has no frame that can be decoded.')
    if number < last:
        frames[number] = frame.to_ndarray(format='bgr24')
    return frames
