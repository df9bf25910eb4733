"""The demo: a rendered clip outside the data sets, its sentences, scores, and contact sheet."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ifirvos.errors import OutputExistsError
from ifirvos.evaluation.functional import contour_accuracy, region_similarity
from ifirvos.files import make_folder, write_whole
from ifirvos.label_maps import read_palette_png
from ifirvos.names import slug
from ifirvos.structures import spread
from ifirvos.synth.clip import Clip, clip_with
from ifirvos.synth.render import draw_frames
from ifirvos.video.reader import VideoReader
from ifirvos.video.sources import natural_key
from ifirvos.video.writer import VideoWriter
from ifirvos.visualization import contact_sheet, object_color
from ifirvos.visualization.comparison import draw_cell

KINDS = ('attr', 'spatial', 'motion')
# Index in the split 'valid', far beyond its data sets. With seed 1, the default of the command, the included model
# finds all three objects of the clip; how often it does over many clips is in weights/README.md.
FIRST_INDEX = 100_026
FPS = 8
MARK = '.ifirvos_demo'
COLUMNS, CELL_WIDTH = 5, 288


def check_own(folder: Path, files: Sequence[Path]) -> None:
    """Make the folder and mark it as the demo's, if none of the files is there or it is marked already.

    Raises:
        OutputExistsError: a file is there that the demo has not written.
    """
    for path in files:
        if path.exists() and not (folder / MARK).is_file():
            raise OutputExistsError(f'{path} was not written by the demo and is not replaced; use another --out.')
    write_whole(make_folder(folder) / MARK, 'ifirvos demo replaces its files in this folder.\n')


def held_out_clip(seed: int) -> Clip:
    """Return the first clip from FIRST_INDEX on with a sentence of each of KINDS; no model is involved."""
    return clip_with(KINDS, seed, 'valid', FIRST_INDEX)


def questions(clip: Clip) -> list[tuple[str, str, np.ndarray]]:
    """Return the first sentence of each of KINDS: kind, text, ground-truth masks bool (T, H, W)."""
    first = {}
    for expression in clip.expressions:
        first.setdefault(expression.kind, expression)
    return [(kind, first[kind].text, clip.facts.labels == first[kind].object_id) for kind in KINDS]


def render(clip: Clip, path: Path) -> None:
    """Write the clip to a video file."""
    with VideoWriter(path, FPS) as writer:
        for frame in draw_frames(clip.facts.scene):
            writer.write(frame[..., ::-1])


def folder_of(video: Path) -> str:
    """Return a name for the results of a video of the user's own, which no other video has."""
    return f'{slug(video.stem)}-{zlib.crc32(str(video.resolve()).encode(errors="surrogateescape")):08x}'


class MaskFiles(Sequence):
    """The PNG masks written by `ifirvos infer`, bool (H, W) each, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob('*.png'), key=natural_key)  # 99999.png, 100000.png

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return read_palette_png(self._paths[index]) > 0


def j_and_f(truth: np.ndarray, masks: np.ndarray) -> tuple[float, float]:
    """Return J and F in percent, means over the frames."""
    return 100 * region_similarity(truth, masks).mean(), 100 * contour_accuracy(truth, masks).mean()


def draw_sheet(
    video: Path, titles: Sequence[str], notes: Sequence[str], masks: Sequence, truths: Sequence
) -> np.ndarray:
    """Draw a contact sheet: frames as columns, sentences as rows."""
    frame_ids = spread(len(masks[0]), COLUMNS)
    frames = {t: frame for t, frame in enumerate(VideoReader(video)) if t in frame_ids}
    rows = []
    for index, (title, note, mask, truth) in enumerate(zip(titles, notes, masks, truths)):
        color = object_color(index)
        images = [
            draw_cell(frames[t], mask[t], None if truth is None else truth[t], color, CELL_WIDTH, 0.3, 3, dim=0.3)
            for t in frame_ids
        ]
        rows.append(dict(title=title, note=note, images=images, color=color))
    heading = 'painted: what the model found' + ('; white line: the truth' if truths[0] is not None else '')
    return contact_sheet(rows, frame_ids, cell_width=CELL_WIDTH, title=heading)
