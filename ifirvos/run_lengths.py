"""Checks COCO polygons and run-length codes before they reach pycocotools' C code.

That code trusts its input: coordinates of 1e300, a code that ends in the middle of a number or runs past the frame, and
the process dies without a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from .errors import AnnotationError
from .frame_sizes import most_pixels
from .safe_names import shown

_MAX_COORDINATE = 1e6
_MAX_OUTLINE = 10_000_000  # pixels along all polygons of an object


def size_problem(size: Any) -> str:
    """Return what is wrong with a code's ``size``, [height, width]; '' if nothing is."""
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(_is_count(side) for side in size):
        return f'size is {shown(size)}, not [height, width]'
    if not 0 < size[0] * size[1] <= most_pixels():
        return f'size is {shown(size)}: 1 to {most_pixels():,} pixels are read'
    return ''


def encode_mask(mask: np.ndarray) -> dict:
    """Return a mask (H, W) as a compressed run-length code, ``dict(size=[H, W], counts=bytes)``."""
    return coco_mask.encode(np.asfortranarray(mask, np.uint8))


def json_code(code: dict) -> dict:
    """Return a compressed run-length code as json holds it, with text for its bytes."""
    return dict(size=list(code['size']), counts=code['counts'].decode('ascii'))


def decode_segmentation(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Return the mask of one object.

    Args:
        segmentation: Polygons, ``[[x1, y1, x2, y2, …], …]``, or a run-length code, ``dict(size, counts)``, whose counts
            are a list, or a string as pycocotools writes it.
        size: (H, W) of the frame, for polygons.

    Returns:
        uint8 (H, W), 0 or 1; of a code, of its own size.

    Raises:
        AnnotationError: it is neither, or its numbers cannot be those of a mask.
    """
    return coco_mask.decode(encode_segmentation(segmentation, size))


def encode_segmentation(segmentation: Any, size: tuple[int, int]) -> dict:
    """Return the mask of one object as a compressed run-length code.

    Args:
        segmentation: See :func:`decode_segmentation`.
        size: (H, W) of the frame, for polygons.

    Raises:
        AnnotationError: See :func:`decode_segmentation`.
    """
    problem = _problem(segmentation) or (size_problem(size) if isinstance(segmentation, list | tuple) else '')
    if problem:
        raise AnnotationError(f'the mask is no COCO segmentation: {problem}')
    if isinstance(segmentation, list | tuple):
        polygons = [list(map(float, polygon)) for polygon in segmentation]
        return coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
    counts = segmentation['counts']
    if isinstance(counts, list | tuple):
        return coco_mask.frPyObjects(dict(segmentation), *segmentation['size'])
    return dict(size=segmentation['size'], counts=counts.encode() if isinstance(counts, str) else counts)


def _problem(segmentation: Any) -> str:
    if isinstance(segmentation, list | tuple):
        if not segmentation:
            return 'it has no polygon'
        return next(filter(None, map(_polygon_problem, segmentation)), '') or _outline_problem(segmentation)
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= segmentation.keys():
        return f'{shown(segmentation)} is neither polygons nor a dict of size and counts'
    if problem := size_problem(segmentation['size']):
        return problem
    counts, pixels = segmentation['counts'], segmentation['size'][0] * segmentation['size'][1]
    if isinstance(counts, list | tuple):
        if not all(map(_is_count, counts)):
            return f'counts holds {shown(next(count for count in counts if not _is_count(count)))}'
        total = sum(counts)
    elif isinstance(counts, str | bytes):
        total = _total(counts)
    else:
        return f'counts is {shown(counts)}'
    if total is None:
        return f'counts {shown(counts)} is no run-length code'
    return '' if total == pixels else f'counts covers {total:,} pixels of {pixels:,}'


def _polygon_problem(polygon: Any) -> str:
    if not isinstance(polygon, list | tuple) or len(polygon) < 6 or len(polygon) % 2:
        return f'polygon {shown(polygon)} is not x and y of at least three points'
    for value in polygon:
        # Not NaN either
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MAX_COORDINATE:
            return f'a polygon has the coordinate {shown(value)}'
    return ''


def _outline_problem(polygons: Sequence[Sequence[float]]) -> str:
    length = 0.0
    for polygon in polygons:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        length += float(np.abs(points - np.roll(points, 1, axis=0)).sum())
    return f'the polygons are {length:,.0f} pixels long' if length > _MAX_OUTLINE else ''


def _total(counts: str | bytes) -> int | None:
    """Return how many pixels a compressed code covers; None if it is none.

    5 bits a character, lowest first; bit 5 says that the number goes on. From the fourth on, numbers are differences to
    the one before the last.
    """
    try:
        digits = np.frombuffer(counts.encode('ascii') if isinstance(counts, str) else counts, np.uint8).astype(np.int64)
    except UnicodeEncodeError:
        return None
    digits -= 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 0x20:
        return None
    ends = np.flatnonzero(~digits & 0x20)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 6:
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((digits & 0x1F) << (5 * places), starts)
    numbers -= np.where(digits[ends] & 0x10, 1 << (5 * lengths), 0)  # the sign
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return None if numbers.min() < 0 else int(numbers.sum())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
