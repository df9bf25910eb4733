"""Draws masks, outlines and sentences on frames. Functions on numpy arrays; all images are RGB."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's colours, which colour-blind people tell apart; strong ones first.
COLORS = ((230, 80, 0), (0, 158, 215), (0, 178, 120), (214, 110, 180), (240, 205, 40), (60, 110, 230))


def object_color(index: int) -> tuple[int, int, int]:
    """Return the colour of the index-th sentence or object; colours repeat after six."""
    return COLORS[index % len(COLORS)]


def draw_mask(
    image: np.ndarray, mask: np.ndarray, color: Sequence[int], alpha: float = 0.5, thickness: int = 1, dim: float = 0
) -> np.ndarray:
    """Paint a mask and its outline.

    Args:
        image: uint8 (H, W, 3).
        mask: bool (H, W).
        color: RGB.
        alpha: Opacity of the paint inside the outline, 0 to 1.
        thickness: Thickness of the outline in pixels; 0 for none.
        dim: How much to darken everything else, 0 to 1.

    Returns:
        A new image.
    """
    out = (image * (1 - dim)).astype(np.uint8) if dim else image.copy()
    if mask.any():
        out[mask] = (image[mask] * (1 - alpha) + np.asarray(color) * alpha).astype(np.uint8)
        if thickness:
            draw_contour(out, mask, color, thickness)
    return out


def draw_contour(image: np.ndarray, mask: np.ndarray, color: Sequence[int], thickness: int = 1) -> None:
    """Draw the outline of a mask into the image, in place."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, tuple(int(c) for c in color), thickness, cv2.LINE_AA)


def draw_caption(image: np.ndarray, text: str, note: str = '') -> np.ndarray:
    """Draw a dark strip at the top with a sentence at its left and a short note at its right.

    Args:
        image: uint8 (H, W, 3).
        text: Shortened with an ellipsis where it does not fit.
        note: Such as a score.

    Returns:
        A new image.
    """
    out = image.copy()
    height, width = out.shape[:2]
    size = max(9, round(min(height, width) / 16))
    strip = min(height, round(size * 1.7))
    out[:strip] = (out[:strip] * 0.35).astype(np.uint8)  # darker, so that white letters can be read on any video
    canvas = Image.fromarray(out)
    draw = ImageDraw.Draw(canvas)
    margin = size // 2
    room = width - 2 * margin
    if note:
        room -= round(font(size).getlength(note)) + margin
        draw.text((width - margin, strip // 2), note, (235, 235, 235), font(size), anchor='rm')
    draw.text((margin, strip // 2), shorten(text, font(size), room), (255, 255, 255), font(size), anchor='lm')
    return np.asarray(canvas)


def shorten(text: str, letters: ImageFont.FreeTypeFont, room: float) -> str:
    """Return the text on one line, cut with an ellipsis where it is wider than ``room`` pixels."""
    text = ' '.join(text.split())
    if letters.getlength(text[:1000]) <= room and len(text) <= 1000:
        return text
    low, high = 0, min(len(text), 1000)  # the longest prefix that fits, by bisection
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if letters.getlength(text[:middle] + '…') <= room else (low, middle - 1)
    return text[:low].rstrip() + '…' if low else ''


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which comes with matplotlib; OpenCV's fonts have only ASCII."""
    path = Path('fonts') / 'ttf' / 'DejaVuSans.ttf'
    spec = find_spec('matplotlib')
    data = Path(spec.origin).parent / 'mpl-data' if spec else Path()
    if not (data / path).is_file():  # elsewhere in some distributions; importing takes 0.3 s
        import matplotlib

        data = Path(matplotlib.get_data_path())
    return ImageFont.truetype(str(data / path), size)
