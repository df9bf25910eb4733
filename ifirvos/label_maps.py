"""Label PNGs as in DAVIS and PASCAL VOC: pixel values are object numbers, coloured by a palette."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import AnnotationError, LimitError, UserError
from .files import written_whole
from .frame_sizes import check_pixels, most_pixels
from .json_files import check_regular
from .remembered import remembered


@lru_cache
def davis_palette() -> bytes:
    """Return the 256 RGB colours of DAVIS and PASCAL VOC: bit j of an index goes to bit 7 - j // 3 of a channel."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((index >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette.tobytes()


def write_palette_png(path: str | os.PathLike, labels: np.ndarray, compress_level: int = 6) -> None:
    """Write a label map as DAVIS does: an 8-bit palette PNG whose pixel values are the object numbers.

    Args:
        path: File to write.
        labels: bool or uint8 (H, W), 0 for background.
        compress_level: Zlib's, 0 to 9.
    """
    picture = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    picture.putpalette(davis_palette())
    with written_whole(path, sync=False) as part:
        picture.save(part, format='PNG', compress_level=compress_level)


@remembered
def read_palette_png(path: str | os.PathLike) -> np.ndarray:
    """Return the object numbers of a palette or grey PNG: uint8 (H, W).

    Raises:
        FileNotFoundError: the file is missing.
        AnnotationError: it is no picture, or neither palette nor 8-bit grey.
        LimitError: it is too large.
    """
    check_regular(path, 'label map')
    most_pixels()
    try:
        with Image.open(path) as picture:
            if picture.mode not in ('P', 'L', '1'):
                raise AnnotationError(
                    f'{path} is a {picture.mode} picture: a label map must be a palette or 8-bit grey PNG whose pixel '
                    'values are object ids.'
                )
            check_pixels(*picture.size, path)
            return np.asarray(picture).astype(np.uint8, copy=False)  # of one bit: bool
    except UnidentifiedImageError as error:
        raise AnnotationError(f'{path} is no picture.') from error
    except Image.DecompressionBombError as error:
        raise LimitError(f'{path} has far too many pixels: scale it down ({error}).') from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow makes of damage
        if isinstance(error, UserError):
            raise
        raise AnnotationError(f'{path} cannot be read as a label map: {error}.') from error


def read_labels(paths: Sequence[str | Path]) -> np.ndarray:
    """Return the label maps of a video's frames, uint8 (T, H, W).

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a picture is neither palette nor grey, or their sizes differ.
    """
    labels = []
    for path in paths:
        labels.append(read_palette_png(path))
        if labels[-1].shape != labels[0].shape:
            raise AnnotationError(f'{path} has size {labels[-1].shape}, but the first frame {labels[0].shape}')
    return np.stack(labels)
