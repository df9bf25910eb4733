"""All kinds of input as one stream of frames: files, URLs, webcams, arrays, iterators."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ifirvos.errors import InputError

from .reader import VideoReader
from .sources import DEFAULT_FPS, TimedFrame

# A path, an address, the number of a webcam, an open reader, or uint8 frames (H, W), (H, W, 1), (H, W, 3), (H, W, 4),
# arrays or tensors.
VideoInput = str | os.PathLike | int | VideoReader | np.ndarray | torch.Tensor | Iterable[np.ndarray | torch.Tensor]
CHANNEL_ORDERS = ('rgb', 'bgr')


class VideoStream:
    """The frames of any :data:`VideoInput`: upright uint8 RGB (H, W, 3), all of one size, with their times.

    Args:
        video: See :data:`VideoInput`; frames given as arrays are 10 a second.
        channel_order: 'rgb' or 'bgr', of frames given as arrays; with four channels, the fourth (alpha) is dropped.

    Attributes:
        reader: The reader of a file, folder, address or webcam; None for arrays.
        num_frames: Frames to expect, None where nobody knows.

    Raises:
        FileNotFoundError, VideoError: the video cannot be read.
        InputError: unknown channel order; when iterating, a frame is not an image or has another size.
    """

    def __init__(self, video: VideoInput, channel_order: str = 'rgb') -> None:
        if channel_order not in CHANNEL_ORDERS:
            raise InputError(f"channel_order must be 'rgb' or 'bgr', not {channel_order!r}.")
        video = _on_host(video)
        if isinstance(video, str | os.PathLike | int) and not isinstance(video, bool):
            video = VideoReader(video)
        if isinstance(video, np.ndarray) and video.ndim == 3 and video.shape[2] in (1, 3, 4):
            raise InputError(f'{video.shape} is a single picture; give it as [frame].')
        self._video, self._channel_order = video, channel_order
        self.reader = video if isinstance(video, VideoReader) else None
        if self.reader is not None:
            self.num_frames = video.num_frames
        elif isinstance(video, Iterable):
            self.num_frames = len(video) if hasattr(video, '__len__') else None
        else:
            raise InputError(f'{type(video).__name__} is not a video: give a path, an address, or frames.')

    def __iter__(self) -> Iterator[TimedFrame]:
        size, index = None, -1
        for index, (frame, moment) in enumerate(self._timed()):
            size = size or frame.shape[:2]
            if frame.shape[:2] != size:
                raise InputError(
                    f'Frame {index} is {frame.shape[1]}x{frame.shape[0]}, the first {size[1]}x{size[0]}: '
                    'all frames of a video must have one size.'
                )
            yield frame, moment
        if index < 0:
            raise InputError('The video has no frames.')

    def _timed(self) -> Iterator[TimedFrame]:
        if self.reader is not None:
            yield from self.reader.timed()
            return
        for index, raw in enumerate(self._video):
            frame = as_rgb(raw, index, self._channel_order)
            if isinstance(raw, np.ndarray | torch.Tensor) and np.shares_memory(frame, np.asarray(_on_host(raw))):
                frame = frame.copy()  # a capture loop fills one array again and again, and a window waits for 36
            yield frame, index / DEFAULT_FPS


def as_rgb(frame: np.ndarray, index: int = 0, channel_order: str = 'rgb') -> np.ndarray:
    """Return a frame as contiguous uint8 RGB (H, W, 3): grey is repeated, alpha dropped.

    Raises:
        InputError: it is not uint8, or not an image; names the frame.
    """
    frame = np.asarray(_on_host(frame))
    channels = frame.shape[2] if frame.ndim == 3 else 1
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or channels not in (1, 3, 4) or not frame.size:
        raise InputError(
            f'Frame {index} is {frame.dtype} {frame.shape}; frames must be uint8 (H, W, 3), or grey (H, W), '
            'or with alpha (H, W, 4).'
        )
    if channels == 1:
        frame = np.repeat(frame.reshape(*frame.shape[:2], 1), 3, axis=2)
    frame = frame[..., 2::-1] if channel_order == 'bgr' else frame[..., :3]
    return np.ascontiguousarray(frame)


def _on_host(value: object) -> object:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def is_batch(inputs: VideoInput | Sequence[VideoInput]) -> bool:
    """Return whether these are several videos: a list of paths, readers or (T, H, W, C) arrays, or one of five axes."""
    arrays = np.ndarray | torch.Tensor
    if isinstance(inputs, arrays):
        return inputs.ndim == 5
    if not isinstance(inputs, list | tuple) or not inputs:
        return False
    return all(
        isinstance(item, str | Path | os.PathLike | VideoReader) or (isinstance(item, arrays) and item.ndim == 4)
        for item in inputs
    )
