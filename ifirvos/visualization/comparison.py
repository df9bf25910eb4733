"""Compares ground truth and the masks of several models for one sentence: a figure (the paper's Figure 5), a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .drawing import COLORS, draw_caption, draw_contour, draw_mask, object_color
from .sheet import contact_sheet

TRUTH = 'ground truth'
_TRUTH_COLOR, _WHITE = COLORS[2], (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """One line of the figure.

    Attributes:
        title: The model's name.
        masks: bool (T, H, W).
        region: J of every frame in [0, 1], (T,); None for the ground truth itself, or if there is none.
    """

    title: str
    masks: np.ndarray
    region: np.ndarray | None = None

    def color(self, index: int) -> tuple[int, int, int]:
        """Return the colour of a row; the ground truth has its own."""
        return _TRUTH_COLOR if self.title == TRUTH else object_color(0 if index < 2 else 1 + index)


def comparison_sheet(
    frames: np.ndarray, rows: Sequence[Row], frame_ids: Sequence[int], text: str, cell_width: int = 240
) -> np.ndarray:
    """Draw ground truth and models as rows and frames as columns, with J in each image.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        rows: The ground truth, if known, has the title ``TRUTH``; its outline is drawn in white in the other rows.
        frame_ids: The columns, indices of frames.
        text: The sentence.
        cell_width: Width of a picture in pixels.

    Returns:
        uint8 RGB.
    """
    truth = _truth(rows)
    lines = []
    for index, row in enumerate(rows):
        color, beside = row.color(index), None if row.masks is truth else truth
        images = [
            draw_cell(frames[t], row.masks[t], None if beside is None else beside[t], color, cell_width)
            for t in frame_ids
        ]
        line = dict(title=row.title, images=images, color=color)
        if row.region is not None:
            line['labels'] = [f'J {100 * row.region[t]:.1f}' for t in frame_ids]
            line['note'] = f'J over all {len(frames)} frames: {100 * row.region.mean():.1f}'
        lines.append(line)
    return contact_sheet(lines, frame_ids, cell_width=cell_width, title=f'“{text}”')


def comparison_frame(frame: np.ndarray, rows: Sequence[Row], t: int) -> np.ndarray:
    """Draw frame ``t`` of the video: one panel per row, side by side, uint8 RGB (H, rows * W, 3).

    Args:
        frame: uint8 (H, W, 3) RGB.
        rows: As for :func:`comparison_sheet`.
        t: Its index.
    """
    panels = []
    for index, row in enumerate(rows):
        note = '' if row.region is None else f'J {100 * row.region[t]:.1f}'
        panels.append(draw_caption(draw_mask(frame, row.masks[t], row.color(index)), row.title, note))
    return np.concatenate(panels, axis=1)


def _truth(rows: Sequence[Row]) -> np.ndarray | None:
    return next((row.masks for row in rows if row.title == TRUTH), None)


def draw_cell(
    frame: np.ndarray,
    mask: np.ndarray,
    truth: np.ndarray | None,
    color: Sequence[int],
    width: int,
    alpha: float = 0.4,
    thickness: int = 2,
    dim: float = 0.25,
) -> np.ndarray:
    """Paint the prediction on a small picture, the truth as a thin white line.

    The picture is scaled before it is painted, so that lines have the same width whatever the size of the video.

    Args:
        frame: uint8 (H, W, 3) RGB.
        mask: bool (H, W).
        truth: bool (H, W), or None.
        color: RGB.
        width: Width of the picture.
        alpha: Opacity of the colour, see :func:`draw_mask`.
        thickness: Width of the outline in pixels.
        dim: How much darker everything else is.
    """
    size = width, max(1, round(width * frame.shape[0] / frame.shape[1]))
    mode = cv2.INTER_AREA if frame.shape[1] > width else cv2.INTER_CUBIC
    picture = draw_mask(
        cv2.resize(frame, size, interpolation=mode), _resize(mask, size), color, alpha, thickness, dim=dim
    )
    if truth is not None:
        draw_contour(picture, _resize(truth, size), _WHITE)
    return picture


def _resize(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
