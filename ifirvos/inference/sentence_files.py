"""The files of one sentence, a frame at a time: overlay, mask PNGs, COCO RLEs, table, cut-out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ifirvos.label_maps import write_palette_png
from ifirvos.video.writer import VideoWriter, has_encoder, video_suffix
from ifirvos.visualization import OverlayColors, draw_result

from .results import FrameResult, MaskSequence

CSV_COLUMNS = ('frame', 'time', 'score', 'present', 'x1', 'y1', 'x2', 'y2', 'area', 'query')
_FRINGE = 9  # background pixels kept under the transparent edge of a cut-out, because lossy video blends neighbours
Sink = Callable[[FrameResult], None]


@dataclass(frozen=True)
class Target:
    """The output of one sentence."""

    folder: Path
    text: str
    index: int
    fps: Fraction
    sound: Path | None
    video_id: int
    sentence_id: int
    pixel_aspect: Fraction
    notes: list[str]  # what a writer had to change
    colors: OverlayColors
    style: str


@contextmanager
def _overlay(to: Target) -> Iterator[Sink]:
    def draw(one: FrameResult) -> np.ndarray:
        color = to.colors.color(to.index, one.frame, one.mask)
        return draw_result(one.frame, one.mask, to.text, one.score, color, to.style)

    path = to.folder / f'overlay{video_suffix()}'
    with VideoWriter(path, to.fps, sound_of=to.sound, pixel_aspect=to.pixel_aspect) as video:
        yield lambda one: video.write(draw(one), one.time)
    to.notes.extend(video.notes)


@contextmanager
def _masks(to: Target) -> Iterator[Sink]:
    folder = to.folder / 'masks'
    folder.mkdir()
    yield lambda one: write_palette_png(folder / f'{one.number:05d}.png', one.mask)


@contextmanager
def _rle(to: Target) -> Iterator[Sink]:
    """Write a YouTube-VIS result list with one entry; written as it comes, so the entry's score stands at its end.

    ``id`` and ``image_id`` are not YouTube-VIS's: pycocotools' ``COCO.loadRes`` asks for them.
    """
    scores = []
    entry = dict(id=to.sentence_id, video_id=to.video_id, image_id=to.video_id, category_id=to.index + 1)
    entry['sentence'] = to.text
    with (to.folder / 'masks.json').open('w', encoding='utf-8') as file:
        file.write(f'[{json.dumps(entry)[:-1]}, "segmentations": [')

        def write(one: FrameResult) -> None:
            rle = MaskSequence([one.mask]).rles[0] if one.present else None
            file.write((',' if scores else '') + '\n' + json.dumps(rle))
            scores.append(one.score)

        yield write
        file.write(f'\n], "score": {float(np.mean(scores)) if scores else 0.0:.6f}}}]\n')


@contextmanager
def _csv(to: Target) -> Iterator[Sink]:
    with (to.folder / 'frames.csv').open('w', encoding='utf-8', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(CSV_COLUMNS)
        yield lambda one: rows.writerow(
            [
                one.number,
                f'{float(one.time):.6f}',
                f'{one.score:.6f}',
                int(one.present),
                *(f'{side:.2f}' for side in one.box),
                int(one.mask.sum()),
                one.query,
            ]
        )


@contextmanager
def _cutout(to: Target) -> Iterator[Sink]:
    """VP9 with an alpha channel; PNGs in a folder where PyAV has no encoder for it."""
    if not has_encoder('libvpx-vp9'):
        folder = to.folder / 'cutout'
        folder.mkdir()
        yield lambda one: Image.fromarray(cut_out(one.frame, one.mask)).save(folder / f'{one.number:05d}.png')
        return
    path = to.folder / 'cutout.webm'
    with VideoWriter(path, to.fps, sound_of=to.sound, alpha=True, pixel_aspect=to.pixel_aspect) as video:
        yield lambda one: video.write(cut_out(one.frame, one.mask), one.time)
    to.notes.extend(video.notes)


SINKS: dict[str, Callable[[Target], AbstractContextManager[Sink]]] = dict(
    overlay=_overlay, masks=_masks, rle=_rle, csv=_csv, cutout=_cutout
)


def cut_out(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cut the object out: uint8 RGB (H, W, 3) and bool (H, W) -> RGBA (H, W, 4), transparent and black around it."""
    kept = cv2.dilate(mask.astype(np.uint8), np.ones((_FRINGE, _FRINGE), np.uint8))[..., None]
    return np.concatenate([frame * kept, mask[..., None].astype(np.uint8) * 255], axis=2)
