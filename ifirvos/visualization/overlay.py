"""Draws the overlay: the object stands out, whatever its colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ifirvos.errors import InputError

from .drawing import COLORS, draw_caption, draw_contour, draw_mask, font, shorten

STYLES = ('spotlight', 'paint')
_REST_COLOR, _REST_LIGHT = 0.25, 0.5  # shares of colour and of light that what is not meant keeps
_INSIDE = 0.12  # a hint of the sentence's colour, to tell objects that touch
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


class OverlayColors:
    """Assigns a colour to every sentence of a video when its object first appears.

    The colour of ``COLORS`` that differs most from the pixels under the object's outline and from the other sentences'
    colours is chosen; all are used before one is repeated.
    """

    def __init__(self) -> None:
        self._chosen: dict[int, tuple[int, int, int]] = {}

    def color(self, index: int, frame: np.ndarray, mask: np.ndarray) -> tuple[int, int, int]:
        """Return the colour of a sentence.

        Args:
            index: The sentence's number.
            frame: uint8 RGB (H, W, 3).
            mask: bool (H, W). If empty, no colour is chosen yet.
        """
        if index not in self._chosen and mask.any():
            self._chosen[index] = self._best(frame, mask)
        return self._chosen.get(index, COLORS[index % len(COLORS)])

    def _best(self, frame: np.ndarray, mask: np.ndarray) -> tuple[int, int, int]:
        taken = list(self._chosen.values())
        uses = [taken.count(color) for color in COLORS]
        free = [color for color, count in zip(COLORS, uses, strict=True) if count == min(uses)]
        under = _lab(frame[edge_of(mask)])

        def distance(color: tuple[int, int, int]) -> float:
            to_under = np.linalg.norm(under - _lab([color]), axis=1)
            to_taken = [float(np.linalg.norm(_lab([other]) - _lab([color]))) for other in taken if other != color]
            return min([float(np.percentile(to_under, 10)), *to_taken])

        return max(free, key=distance)


def edge_of(mask: np.ndarray) -> np.ndarray:
    """Return the pixels along the outline of a mask, inside it and outside: bool (H, W) -> bool (H, W)."""
    kernel, seen = np.ones((5, 5), np.uint8), mask.astype(np.uint8)
    edge = cv2.dilate(seen, kernel) > cv2.erode(seen, kernel, borderValue=0)
    return edge if edge.any() else mask


_TO_XYZ = np.array(
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
)
_D65 = np.array((0.95047, 1.0, 1.08883))


def _lab(colors: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """Convert sRGB in 0..255 (n, 3) to CIELAB (n, 3), whose distances match perception (IEC 61966-2-1, CIE 15).

    OpenCV's conversion first makes tables for whole pictures, a fifth of a second for the few colours here.
    """
    rgb = np.asarray(colors, dtype=float).reshape(-1, 3) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _D65
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def overlay_frame(
    frame: np.ndarray, masks: Sequence[np.ndarray], colors: Sequence[Sequence[int]], style: str = 'spotlight'
) -> np.ndarray:
    """Draw the objects of some sentences.

    Args:
        frame: uint8 RGB (H, W, 3).
        masks: bool (H, W), one per sentence.
        colors: RGB, one per sentence.
        style: ``'spotlight'``: everything but the objects becomes grey and darker, and every object gets an outline in
            its sentence's colour between two black or white lines, whichever contrasts more. ``'paint'``: only the
            objects are painted over.

    Returns:
        A new image.

    Raises:
        ValueError: An unknown style.
    """
    if style not in STYLES:
        raise InputError(f'style must be one of {STYLES}, not {style!r}')
    if style == 'paint':
        out = frame
        for mask, color in zip(masks, colors, strict=True):
            out = draw_mask(out, mask, color)
        return out.copy() if out is frame else out
    meant = np.any(masks, axis=0)
    grey = frame @ np.array([0.299, 0.587, 0.114])
    rest = (_REST_COLOR * frame + (1 - _REST_COLOR) * grey[..., None]) * _REST_LIGHT
    out = np.where(meant[..., None], frame, rest.astype(np.uint8))
    width = max(1, round(min(frame.shape[:2]) / 120))
    for mask, color in zip(masks, colors, strict=True):
        if not mask.any():
            continue
        out[mask] = (out[mask] * (1 - _INSIDE) + np.asarray(color) * _INSIDE).astype(np.uint8)
        light = float(_lab(out[edge_of(mask)])[:, 0].mean())
        draw_contour(out, mask, _WHITE if light < 50 else _BLACK, width + 2 * max(1, width // 2))
        draw_contour(out, mask, color, width)
    return out


def draw_together(
    frame: np.ndarray,
    masks: Sequence[np.ndarray],
    texts: Sequence[str],
    colors: Sequence[Sequence[int]],
    style: str = 'spotlight',
) -> np.ndarray:
    """Draw a frame with the objects of all sentences and a legend.

    Args:
        frame: uint8 RGB (H, W, 3).
        masks: bool (H, W), one per sentence.
        texts: The sentences.
        colors: RGB, one per sentence.
        style: See :func:`overlay_frame`.

    Returns:
        uint8 RGB, as wide as the frame, and higher by one line per sentence.
    """
    picture = overlay_frame(frame, masks, colors, style)
    size = max(9, round(min(frame.shape[:2]) / 18))
    line = round(size * 1.7)
    legend = np.zeros((line * len(texts), frame.shape[1], 3), np.uint8)
    for index, (text, color) in enumerate(zip(texts, colors, strict=True)):
        row = slice(index * line, (index + 1) * line)
        legend[row, : size // 2] = color
        room = frame.shape[1] - 2 * size
        legend[row, size // 2 :] = _line_of_text(
            shorten(text, font(size), room), line, frame.shape[1] - size // 2, size
        )
    return np.concatenate([picture, legend])


def _line_of_text(text: str, height: int, width: int, size: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    canvas = Image.new('RGB', (width, height), (24, 24, 24))
    ImageDraw.Draw(canvas).text((size // 2, height // 2), text, _WHITE, font(size), anchor='lm')
    return np.asarray(canvas)


def draw_result(
    frame: np.ndarray,
    mask: np.ndarray,
    text: str,
    score: float | None = None,
    color: Sequence[int] = COLORS[0],
    style: str = 'spotlight',
) -> np.ndarray:
    """Draw a frame of an overlay video: the object, the sentence at the top, the score at the right.

    Args:
        frame: uint8 (H, W, 3).
        mask: bool (H, W).
        text: The sentence; shortened with an ellipsis where it does not fit.
        score: Probability, written in percent; None leaves it out.
        color: RGB.
        style: See :func:`overlay_frame`.

    Returns:
        uint8 (H, W, 3).
    """
    note = '' if score is None else f'{100 * score:.0f} %'
    return draw_caption(overlay_frame(frame, [mask], [color], style), text, note)
