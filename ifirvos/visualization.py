"""Pictures of results: masks over frames, palette PNGs, contact sheets. NumPy in, NumPy out; all images RGB."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's colours, which colour-blind people tell apart; strong ones first.
COLORS = ((230, 80, 0), (0, 158, 215), (0, 178, 120), (214, 110, 180), (240, 205, 40), (60, 110, 230))
_INK, _PAPER, _DIM = (28, 30, 34), (250, 250, 248), (120, 122, 126)


def object_color(index: int) -> tuple[int, int, int]:
    """Colour of the index-th sentence or object; they repeat after six."""
    return COLORS[index % len(COLORS)]


def draw_mask(
    image: np.ndarray, mask: np.ndarray, color: Sequence[int], alpha: float = 0.5, thickness: int = 1, dim: float = 0
) -> np.ndarray:
    """Paint a mask and its outline.

    Args:
        image: uint8 (H, W, 3).
        mask: bool (H, W).
        color: RGB.
        alpha: opacity of the paint inside the outline, 0 to 1.
        thickness: of the outline, in pixels.
        dim: how much to darken everything else, 0 to 1.

    Returns:
        A new image.
    """
    out = (image * (1 - dim)).astype(np.uint8) if dim else image.copy()
    if mask.any():
        out[mask] = (image[mask] * (1 - alpha) + np.asarray(color) * alpha).astype(np.uint8)
        draw_contour(out, mask, color, thickness)
    return out


def draw_contour(image: np.ndarray, mask: np.ndarray, color: Sequence[int], thickness: int = 1) -> None:
    """Draw the outline of a mask into the image, in place."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, tuple(int(c) for c in color), thickness, cv2.LINE_AA)


def draw_result(
    frame: np.ndarray, mask: np.ndarray, text: str, score: float | None = None, color: Sequence[int] = COLORS[0]
) -> np.ndarray:
    """One frame of an overlay video: the painted mask, the sentence above it and the score at the right.

    Args:
        frame: uint8 (H, W, 3).
        mask: bool (H, W).
        text: the sentence; shortened with an ellipsis where it does not fit.
        score: probability, written in percent; None leaves it out.
        color: RGB.

    Returns:
        uint8 (H, W, 3).
    """
    out = draw_mask(frame, mask, color)
    height, width = out.shape[:2]
    size = max(9, round(min(height, width) / 16))
    strip = min(height, round(size * 1.7))
    out[:strip] = (out[:strip] * 0.35).astype(np.uint8)  # darker, so that white letters can be read on any video
    canvas = Image.fromarray(out)
    draw = ImageDraw.Draw(canvas)
    margin = size // 2
    room = width - 2 * margin
    if score is not None:
        number = f'{100 * score:.0f} %'
        room -= round(_font(size).getlength(number)) + margin
        draw.text((width - margin, strip // 2), number, (235, 235, 235), _font(size), anchor='rm')
    draw.text((margin, strip // 2), shorten(text, _font(size), room), (255, 255, 255), _font(size), anchor='lm')
    return np.asarray(canvas)


def contact_sheet(
    rows: Sequence[dict], frame_ids: Sequence[int], cell_width: int = 240, gap: int = 6, title: str = ''
) -> np.ndarray:
    """Frames as columns, sentences as rows: each row's title above its pictures.

    Args:
        rows: dicts with ``title`` (str), ``images`` (one uint8 (H, W, 3) a column) and optionally ``color`` (RGB of
            the mark before the title) and ``note`` (str, at the right end).
        frame_ids: what to write above the columns, one number each.
        cell_width: width of a picture in pixels; its height follows.
        gap: pixels between pictures.
        title: a line above everything.

    Returns:
        uint8 RGB image.
    """
    height, width = rows[0]['images'][0].shape[:2]
    cell_height = max(1, round(cell_width * height / width))
    size = 15
    line = 2 * size
    columns = len(frame_ids)
    sheet_width = columns * (cell_width + gap) + gap
    top = gap + (line if title else 0) + size + gap
    sheet = Image.new('RGB', (sheet_width, top + len(rows) * (line + cell_height + gap) + gap), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((2 * gap, gap + line // 2), shorten(title, _font(size), sheet_width), _INK, _font(size), anchor='lm')
    for column, frame_id in enumerate(frame_ids):
        center = gap + column * (cell_width + gap) + cell_width // 2
        draw.text((center, top - gap), f'frame {frame_id}', _DIM, _font(12), anchor='mb')
    for index, row in enumerate(rows):
        y = top + index * (line + cell_height + gap)
        middle = y + line // 2
        color = tuple(row.get('color', object_color(index)))
        draw.rounded_rectangle((2 * gap, middle - 7, 2 * gap + 14, middle + 7), 3, fill=color)
        note = row.get('note', '')
        note_width = round(_font(size).getlength(note))
        draw.text((sheet_width - 2 * gap, middle), note, _DIM, _font(size), anchor='rm')
        room = sheet_width - note_width - 6 * gap - 22
        draw.text((2 * gap + 22, middle), shorten(row['title'], _font(size), room), _INK, _font(size), anchor='lm')
        for column, image in enumerate(row['images']):
            mode = cv2.INTER_AREA if width > cell_width else cv2.INTER_CUBIC
            cell = Image.fromarray(cv2.resize(image, (cell_width, cell_height), interpolation=mode))
            sheet.paste(cell, (gap + column * (cell_width + gap), y + line))
    return np.asarray(sheet)


def shorten(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The text on one line, cut with an ellipsis where it is wider than ``room`` pixels."""
    text = ' '.join(text.split())
    if font.getlength(text[:1000]) <= room and len(text) <= 1000:
        return text
    low, high = 0, min(len(text), 1000)  # the longest prefix that fits, by bisection
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle] + '…') <= room else (low, middle - 1)
    return text[:low].rstrip() + '…' if low else ''


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans comes with matplotlib, which mmengine needs anyway; OpenCV's fonts know ASCII only."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'), size)


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
