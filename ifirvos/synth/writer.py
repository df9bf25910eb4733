"""Writes clips in the layout of Ref-YouTube-VOS::

    ROOT/SPLIT/JPEGImages/VIDEO/00000.jpg
    ROOT/SPLIT/Annotations/VIDEO/00000.png      palette PNG, pixel value = object id, 0 = background
    ROOT/SPLIT/meta.json                        videos: {VIDEO: {objects: {"1": {category, frames}}}}
    ROOT/meta_expressions/SPLIT/meta_expressions.json
                                                videos: {VIDEO: {expressions: {"0": {exp, obj_id, kind}}, frames}}

Unlike in the original, every split has annotations and `obj_id`, and an expression has a `kind`. The last expressions
of a video, of kind `absent`, fit nothing in it; their `obj_id` is 0, the background.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from ifirvos.errors import OutputError
from ifirvos.files import write_whole
from ifirvos.label_maps import write_palette_png

from .clip import Clip
from .render import draw_frames

JPEG_QUALITY = 92


def frame_names(num_frames: int, step: int) -> list[str]:
    """Return five-digit names; Ref-YouTube-VOS has every fifth frame of a video, so its step is 5."""
    return [f'{frame * step:05d}' for frame in range(num_frames)]


def write_clip(clip: Clip, split_dir: Path, frame_step: int = 1) -> tuple[dict, dict]:
    """Write the frames and annotations of a clip below `split_dir`.

    Returns:
        The video's entries for meta.json and meta_expressions.json.

    Raises:
        OSError: if a file cannot be written.
    """
    labels, things = clip.facts.labels, clip.facts.scene.objects
    names = frame_names(len(labels), frame_step)
    write_pictures(clip, names, split_dir / 'JPEGImages' / clip.video_id)
    write_annotations(labels, names, split_dir / 'Annotations' / clip.video_id)
    objects = {
        str(index + 1): {
            'category': thing.appearance.shape,
            'frames': [name for name, label in zip(names, labels) if (label == index + 1).any()],
        }
        for index, thing in enumerate(things)
    }
    expressions = {
        str(number): {'exp': asked.text, 'obj_id': str(asked.object_id), 'kind': asked.kind}
        for number, asked in enumerate([*clip.expressions, *clip.absent])
    }
    return {'objects': objects}, {'expressions': expressions, 'frames': names}


def write_pictures(clip: Clip, names: Iterable[str], folder: Path) -> None:
    """Draw the frames of a clip and write them to a new folder, as JPEGs with these names.

    Raises:
        OSError: if a file cannot be written.
    """
    folder.mkdir(parents=True)
    for name, picture in zip(names, draw_frames(clip.facts.scene), strict=True):
        if not cv2.imwrite(str(folder / f'{name}.jpg'), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OutputError(f'{folder / name}.jpg cannot be written: is the disk full?')


def write_annotations(labels: np.ndarray, names: Iterable[str], folder: Path) -> None:
    """Write label maps, uint8 (T, H, W), to a new folder, as palette PNGs with these names."""
    folder.mkdir(parents=True)
    for name, label in zip(names, labels, strict=True):
        write_palette_png(folder / f'{name}.png', label, compress_level=3)  # 6 takes twice as long for 15 % less


def write_meta(root: Path, split: str, videos: Iterable[tuple[str, dict, dict]]) -> None:
    """Write both JSON files of a split from (video id, the two entries `write_clip` returned)."""
    meta, expressions = {}, {}
    for video_id, objects, asked in videos:
        meta[video_id], expressions[video_id] = objects, asked
    write_json(root / split / 'meta.json', {'videos': meta})
    write_json(root / 'meta_expressions' / split / 'meta_expressions.json', {'videos': expressions})


def write_json(path: Path, content: dict, indent: int | None = None) -> None:
    """Write `content` to `path` atomically; make the folder."""
    write_lines(path, [json.dumps(content, indent=indent)])


def write_lines(path: Path, lines: Iterable[str], encoding: str = 'utf-8') -> None:
    """Write lines of text to `path` atomically; make the folder."""
    write_whole(path, ''.join(f'{line}\n' for line in lines), encoding)
