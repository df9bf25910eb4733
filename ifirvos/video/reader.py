"""Frames of a video, one at a time, through PyAV."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from ifirvos.errors import VideoError

from .sources import FolderSource, StreamSource, TimedFrame, WebcamSource, is_url


class VideoReader:
    """The frames of a video, decoded one at a time.

    Every iteration starts again at the first frame (of a webcam or a live address: at the present one) and holds one
    decoded frame. Frames are turned upright by the file's rotation metadata, and all have the size of the first one. A
    file that is damaged gives the frames that decode; ``problem`` then says what was lost.

    Args:
        source: A video file in any format that PyAV reads, a folder of images (sorted by name, numbers as numbers), an
            address (http, https, rtsp, rtsps, rtmp), or the number of a webcam.
        fps: Frames a second; None takes the file's own rate and times, and 10 for a folder.
        max_frames: Stop after so many frames; None reads all.

    Raises:
        FileNotFoundError: nothing is there.
        VideoError: no video stream, no images, or not one frame that decodes.
    """

    def __init__(
        self, source: str | os.PathLike | int, fps: float | Fraction | None = None, max_frames: int | None = None
    ) -> None:
        self.max_frames = max_frames
        if isinstance(source, int):
            self._frames, self.source = WebcamSource(source), f'webcam {source}'
        elif is_url(source):
            self._frames = StreamSource(source)
            self.source = self._frames.name
        else:
            self.source = Path(source)
            self._frames = (FolderSource if self.source.is_dir() else StreamSource)(self.source)
        self._fps = Fraction(fps).limit_denominator(1001) if fps else None
        if self.fps <= 0:
            raise VideoError(f'The frame rate must be above 0, not {fps}.')
        # Frames to expect, for progress bars: what the file's header says, None when it does not say.
        length = self._frames.num_frames
        self.num_frames = min(length, max_frames) if length and max_frames else length or max_frames

    @property
    def fps(self) -> Fraction:
        """Frames a second; of a video of variable rate, the average."""
        return self._fps or self._frames.fps

    @property
    def problem(self) -> str | None:
        """What could not be read, known after an iteration."""
        return self._frames.problem

    @property
    def sound_source(self) -> Path | None:
        """The file whose sound goes with these frames, None where there is none or the rate was changed."""
        return self.source if isinstance(self._frames, StreamSource) and self._is_file and not self._fps else None

    @property
    def _is_file(self) -> bool:
        return isinstance(self.source, Path)

    def timed(self) -> Iterator[TimedFrame]:
        """Yield uint8 RGB frames (H, W, 3) with their time, in seconds from the first."""
        for index, (frame, moment) in enumerate(islice(self._frames, self.max_frames)):
            yield frame, index / self._fps if self._fps else moment

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 RGB frames (H, W, 3)."""
        for frame, _ in self.timed():
            yield frame


def read_video_frames(path: str, indices: Collection[int]) -> dict[int, np.ndarray]:
    """Decode frames of a video file, counted from 0 in the order they are shown.

    The file is decoded from its start up to the last frame asked for: seeking lands on a wrong frame in files whose
    index is not exact. Unlike `ifirvos.video.VideoReader` it does not pass over damage, which would shift the count.

    Args:
        path: A video file.
        indices: Which frames, at least one.

    Returns:
        uint8 (H,W,3) BGR by index. Indices beyond the end are left out; the last frame of the file then stands under
        the number it has.

    Raises:
        FileNotFoundError: If the file is missing.
        VideoError: If it cannot be decoded; names it.
    """
    last, frame, number = max(indices), None, -1
    frames = {}
    try:
        with av.open(path, options=dict(protocol_whitelist='file'), metadata_errors='replace') as container:
            container.streams.video[0].thread_type = 'AUTO'
            for number, frame in enumerate(container.decode(video=0)):
                if number in indices:
                    frames[number] = frame.to_ndarray(format='bgr24')
                if number == last:
                    break
    except FileNotFoundError as error:
        raise FileNotFoundError(f'Video {path} is missing: complete the data set.') from error
    except (av.FFmpegError, IndexError) as error:
        raise VideoError(f'{path}: reading stopped at frame {number + 1}: {error!r}.') from error
    if frame is None:
        raise VideoError(f'{path} has no frame that can be decoded.')
    if number < last:
        frames[number] = frame.to_ndarray(format='bgr24')
    return frames
