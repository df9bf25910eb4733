"""A folder of masks: ``VIDEO/FRAME.png``, palette or grey, whose pixel values are the numbers of the objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ifirvos.errors import InputError
from ifirvos.label_maps import read_palette_png
from ifirvos.run_lengths import encode_mask
from ifirvos.video.sources import FolderSource

from .video import CustomObject, CustomVideo


def read_mask_folder(path: Path, fill_boxes: bool = False) -> list[CustomVideo]:
    """Read all videos of a folder; masks are assigned to frames by their names, else by their order.

    Raises:
        InputError: There is none, or a mask has colours in place of numbers.
    """
    folders = sorted(
        folder
        for folder in path.iterdir()
        if folder.is_dir() and not folder.name.startswith('.') and any(folder.glob('[!.]*.png'))
    )
    if not folders:
        raise InputError(f'{path} has no folder of masks: VIDEO/FRAME.png is expected.')
    return [_read_video(folder) for folder in folders]


def _read_video(folder: Path) -> CustomVideo:
    objects: dict[int, CustomObject] = {}
    paths = [path for path in FolderSource(folder).images if path.suffix.lower() == '.png']
    for frame, path in enumerate(paths):
        try:
            labels = read_palette_png(path)
        except ValueError as error:
            raise InputError(str(error)) from error
        for number in np.unique(labels[labels > 0]).tolist():
            one = objects.setdefault(number, CustomObject(str(number), 'object'))
            one.add(frame, encode_mask(labels == number))
    stems = [path.stem for path in paths]
    return CustomVideo(folder.name, [objects[number] for number in sorted(objects)], stems=stems)
