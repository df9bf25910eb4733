"""Palette PNGs with the objects of all sentences, and the frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image

from ifirvos.errors import InputError
from ifirvos.inference.results import FrameResult
from ifirvos.label_maps import write_palette_png

from .together import FRAME_FILE, ExportSink, Together

MOST_OBJECTS = 255


def label_map(frame: Sequence[FrameResult]) -> np.ndarray:
    """Return the number of the sentence, from 1, at every pixel: uint8 (H, W), 0 for none.

    Where masks overlap, the sentence with the higher score in the frame gets the pixel; ties go to the first.
    """
    labels = np.zeros(frame[0].mask.shape, np.uint8)
    for index in sorted(range(len(frame)), key=lambda i: (frame[i].score, -i)):
        if frame[index].present:
            labels[frame[index].mask] = index + 1
    return labels


@contextmanager
def objects(to: Together) -> Iterator[ExportSink]:
    """Write ``objects/00000.png`` … as in DAVIS: pixel values are the numbers of the sentences.

    Raises:
        InputError: More sentences than a palette has colours.
    """
    if len(to.texts) > MOST_OBJECTS:
        raise InputError(
            f'A palette PNG holds {MOST_OBJECTS} objects, not {len(to.texts)}: leave "objects" out of --save.'
        )
    folder = to.folder / 'objects'
    folder.mkdir()
    yield lambda frame: write_palette_png(folder / f'{frame[0].number:05d}.png', label_map(frame))


@contextmanager
def frames(to: Together) -> Iterator[ExportSink]:
    """Write the frames as JPEG, named as SAM 2 and the other exports expect them."""
    (to.folder / FRAME_FILE).parent.mkdir()

    def write(frame: Sequence[FrameResult]) -> None:
        Image.fromarray(frame[0].frame).save(to.folder / FRAME_FILE.format(frame[0].number), quality=95)

    yield write
