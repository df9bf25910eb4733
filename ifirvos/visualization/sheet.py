"""Contact sheets: frames as columns, sentences or models as rows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from .drawing import font, object_color, shorten

_INK, _PAPER, _DIM = (28, 30, 34), (250, 250, 248), (120, 122, 126)


def contact_sheet(
    rows: Sequence[dict], frame_ids: Sequence[int], cell_width: int = 240, gap: int = 6, title: str = ''
) -> np.ndarray:
    """Draw frames as columns and sentences as rows, each with its title above.

    Args:
        rows: Dicts with ``title`` (str), ``images`` (one uint8 (H, W, 3) a column) and optionally ``color`` (RGB of
            the mark before the title), ``note`` (str, at the right end) and ``labels`` (one str a column, in the
            lower left corner of the picture).
        frame_ids: What to write above the columns, one number each.
        cell_width: Width of a picture in pixels; its height follows.
        gap: Pixels between pictures.
        title: A line above everything.

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
        draw.text((2 * gap, gap + line // 2), shorten(title, font(size), sheet_width), _INK, font(size), anchor='lm')
    for column, frame_id in enumerate(frame_ids):
        center = gap + column * (cell_width + gap) + cell_width // 2
        draw.text((center, top - gap), f'frame {frame_id}', _DIM, font(12), anchor='mb')
    for index, row in enumerate(rows):
        y = top + index * (line + cell_height + gap)
        middle = y + line // 2
        color = tuple(row.get('color', object_color(index)))
        draw.rounded_rectangle((2 * gap, middle - 7, 2 * gap + 14, middle + 7), 3, fill=color)
        note = row.get('note', '')
        note_width = round(font(size).getlength(note))
        draw.text((sheet_width - 2 * gap, middle), note, _DIM, font(size), anchor='rm')
        room = sheet_width - note_width - 6 * gap - 22
        draw.text((2 * gap + 22, middle), shorten(row['title'], font(size), room), _INK, font(size), anchor='lm')
        for column, image in enumerate(row['images']):
            mode = cv2.INTER_AREA if width > cell_width else cv2.INTER_CUBIC
            cell = Image.fromarray(cv2.resize(image, (cell_width, cell_height), interpolation=mode))
            corner = gap + column * (cell_width + gap), y + line
            sheet.paste(cell, corner)
            if label := row.get('labels', [''] * columns)[column]:
                position = corner[0] + 5, corner[1] + cell_height - 5
                draw.text(position, label, _PAPER, font(13), anchor='ls', stroke_width=2, stroke_fill=_INK)
    return np.asarray(sheet)
