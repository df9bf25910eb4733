"""Choice, loading and names of the frames that are drawn."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmdet.structures import DetDataSample
from mmengine.fileio import get

from ifirvos.frame_sizes import PICTURES

_UNSAFE = re.compile(r'[^A-Za-z0-9._-]+')
_MAX_PART = 80


def safe_part(name: str) -> str:
    """Return a safe path component for an id of a data set: letters, digits, '.', '_', '-', no leading dot.

    If anything is replaced, part of a hash is appended, so that different ids stay different.
    """
    name = str(name)
    clean = _UNSAFE.sub('_', name).lstrip('.')[:_MAX_PART]
    if clean == name and clean:
        return clean
    return f'{clean or "_"}-{hashlib.sha1(name.encode()).hexdigest()[:6]}'


def read_images(frames: Sequence[DetDataSample], backend_args: dict | None = None) -> list[np.ndarray]:
    """Read the original images of frames of one clip, uint8 RGB (H, W, 3), from files or from one video file."""
    paths = [frame.img_path for frame in frames]
    if all(Path(path).suffix.lower() in PICTURES for path in paths):
        return [mmcv.imfrombytes(get(path, backend_args=backend_args), channel_order='rgb') for path in paths]
    from ifirvos.video.reader import read_video_frames

    images = read_video_frames(paths[0], {frame.frame_id for frame in frames})
    return [images[min(frame.frame_id, max(images))][..., ::-1] for frame in frames]
