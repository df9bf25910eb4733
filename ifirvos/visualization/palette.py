"""Label PNGs as DAVIS and PASCAL VOC have them: pixel values are object numbers, a palette gives them colours."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image


@lru_cache
def davis_palette() -> bytes:
    """The 256 RGB colours of DAVIS and PASCAL VOC label PNGs: bit j of an index goes to bit 7 - j // 3 of a channel."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((index >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette.tobytes()


def write_palette_png(path: str | os.PathLike, labels: np.ndarray) -> None:
    """Write a label map as DAVIS does: an 8-bit palette PNG whose pixel values are the object numbers.

    Args:
        path: file to write.
        labels: bool or uint8 (H, W), 0 for background.
    """
    picture = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    picture.putpalette(davis_palette())
    path = Path(path)
    part = path.with_name(f'.{path.name}.part')
    try:
        picture.save(part, format='PNG')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_palette_png(path: str | os.PathLike) -> np.ndarray:
    """The object numbers of a palette PNG: uint8 (H, W)."""
    with Image.open(path) as picture:
        return np.asarray(picture)
