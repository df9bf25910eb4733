"""The limit of pixels of a frame: of videos, pictures and masks, for inference and data sets alike."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import ExifTags, Image

from .errors import AnnotationError, LimitError
from .json_files import check_regular, limit_of
from .remembered import remembered

PICTURES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp'}  # suffixes
MAX_PIXELS = 100_000_000  # 8K has 33 million
VARIABLE = 'IFIRVOS_MAX_PIXELS'
_TURNED = (5, 6, 7, 8)  # values of EXIF's orientation that swap the sides


def most_pixels() -> int:
    """Return the most pixels of a frame: ``IFIRVOS_MAX_PIXELS`` of the environment, or 100 million.

    Raises:
        LimitError: the variable is no whole number above 0.
    """
    most = limit_of(VARIABLE, MAX_PIXELS)
    if MAX_PIXELS != most > (Image.MAX_IMAGE_PIXELS or most):
        Image.MAX_IMAGE_PIXELS = most  # whoever sets a limit means it for Pillow too
    return most


def check_pixels(width: int, height: int, path: str | os.PathLike) -> None:
    """Refuse a picture that is too large, before it is decoded.

    Args:
        width: Width of the picture.
        height: Height of the picture.
        path: Its file, for the message.

    Raises:
        LimitError: it has more than :func:`most_pixels`.
    """
    most = most_pixels()
    if width * height > most:
        raise LimitError(
            f'{path} has {width}x{height} pixels, more than {most:,}: scale it down, or set another limit with '
            f'--max-pixels or the environment variable {VARIABLE}.'
        )


@remembered
def check_picture(path: str | os.PathLike) -> None:
    """Check a frame of a data set by its header: 700 kB of PNG can hold 256 million pixels.

    What is neither a picture nor called one (a video) passes.

    Raises:
        MissingFileError: it is not there.
        AnnotationError: it is no file, or called a picture and none.
        LimitError: it is too large.
    """
    check_regular(path, 'frame')
    most_pixels()
    try:
        with Image.open(path) as picture:  # reads no pixels
            size = picture.size
    except Image.DecompressionBombError as error:
        raise LimitError(f'{path} has far too many pixels: scale it down ({error}).') from error
    except Exception as error:  # Pillow's plug-ins raise what they like
        if Path(path).suffix.lower() not in PICTURES:
            return
        reason = 'it is empty' if not os.path.getsize(path) else 'it is no picture'
        raise AnnotationError(f'{path} cannot be read: {reason}') from error
    check_pixels(*size, path)


def size_as_read(picture: Image.Image) -> tuple[int, int]:
    """Return (height, width) of a picture as OpenCV reads it: turned by its EXIF orientation.

    Args:
        picture: As Pillow opened it; its pixels are not read.
    """
    width, height = picture.size
    return (width, height) if picture.getexif().get(ExifTags.Base.Orientation) in _TURNED else (height, width)
