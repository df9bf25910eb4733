"""Frames from folders of images and webcams; files and URLs are in :mod:`.streams`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ifirvos.errors import VideoError
from ifirvos.frame_sizes import most_pixels

from .opening import readable

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}
_OTHER_IMAGES = {'.avif', '.dng', '.gif', '.heic', '.heif', '.jp2', '.jxl', '.pgm', '.ppm', '.tga'}
DEFAULT_FPS = Fraction(10)
WEBCAM_FPS = Fraction(30)  # of a camera that does not say
# A frame, uint8 RGB (H, W, 3), and its time in seconds from the first one; times only grow.
TimedFrame = tuple[np.ndarray, Fraction]


class FolderSource:
    """The images of a folder, sorted by the numbers in their names, all of one size.

    Raises:
        VideoError: there are none; when iterating, one cannot be read or has another size.
    """

    fps = DEFAULT_FPS
    problem: str | None = None
    notes: tuple[str, ...] = ()
    pixel_aspect = Fraction(1)

    def __init__(self, folder: Path, max_pixels: int | None = None) -> None:
        self.name, self._max_pixels = readable(folder), max_pixels or most_pixels()
        # What macOS leaves beside files ('._a.jpg', '.DS_Store') and other hidden files are no frames.
        files = [path for path in folder.iterdir() if not path.name.startswith('.') and path.is_file()]
        images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        others = [path.suffix.lower() for path in files if path.suffix.lower() in _OTHER_IMAGES]
        if not images:
            raise VideoError(f'{self.name} holds no images ({", ".join(sorted(IMAGE_SUFFIXES))}).')
        if others:  # a phone's photos are of two kinds at times
            kinds = ', '.join(sorted(set(others)))
            self.notes = (f'{len(others)} pictures of other kinds ({kinds}) are left out: convert them to frames',)
        self.images = sorted(images, key=natural_key)
        self.num_frames = len(images)

    def __iter__(self) -> Iterator[TimedFrame]:
        size = None
        for index, path in enumerate(self.images):
            image = read_picture(path, self._max_pixels)
            size = size or image.shape
            if image.shape != size:
                raise VideoError(
                    f'{readable(path)} is {image.shape[1]}x{image.shape[0]} but the first frame is {size[1]}x{size[0]}'
                    ': all frames of a folder must have one size.'
                )
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), index / self.fps


def read_picture(path: Path, max_pixels: int | None = None) -> np.ndarray:
    """Return uint8 BGR (H, W, 3): grey becomes colour, 16 bits become 8, transparency is dropped.

    Args:
        path: The picture.
        max_pixels: Larger ones are refused before they are decoded; None: :func:`~ifirvos.frame_sizes.most_pixels`.

    Raises:
        VideoError: it cannot be read, or is too large.
    """
    most = max_pixels or most_pixels()
    try:
        with Image.open(path) as header:  # reads no pixels
            width, height = header.size
        if width * height > most:
            raise VideoError(f'{readable(path)} has {width}x{height} pixels, more than {most:,}: scale it down.')
        # imdecode, because imread cannot open names outside the system's code page on Windows.
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except Image.DecompressionBombError as error:
        raise VideoError(f'{readable(path)} has far too many pixels: scale it down ({error}).') from error
    except (OSError, SyntaxError, ValueError, cv2.error) as error:  # SyntaxError: Pillow's, for a PNG
        if isinstance(error, VideoError):
            raise
        image = None
    if image is None:
        raise VideoError(f'{readable(path)} is not an image that can be read; remove it or repair it.')
    return image


class WebcamSource:
    """A camera, given by its number. It never ends: stop iterating, or use ``max_frames``.

    Raises:
        VideoError: when iterating: no such camera, or it gives no frame.
    """

    num_frames = None
    notes: tuple[str, ...] = ()
    pixel_aspect = Fraction(1)

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


def natural_key(path: Path) -> tuple:
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
