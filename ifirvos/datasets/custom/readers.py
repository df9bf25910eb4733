"""Detection of annotation formats, and their readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ifirvos.errors import InputError, UserError, one_line
from ifirvos.json_files import read_json

from .coco import read_coco
from .cvat import read_cvat
from .label_studio import read_label_studio
from .mask_folder import read_mask_folder
from .video import CustomVideo

# Name of --format -> what reads it: (path, fill_boxes) -> videos.
FORMATS: dict[str, Callable[[Path, bool], list[CustomVideo]]] = {
    'coco': read_coco,
    'cvat': read_cvat,
    'label-studio': read_label_studio,
    'masks': read_mask_folder,
}


def find_format(path: Path) -> str:
    """Return the format of a file or folder.

    Raises:
        FileNotFoundError: It is not there.
        InputError: It is of no format that is known.
    """
    if not path.exists():
        raise FileNotFoundError(f'No such file or folder of annotations: {path}')
    if path.is_dir():
        return 'masks'
    if path.suffix.lower() == '.xml':
        return 'cvat'
    if path.suffix.lower() == '.json':
        content = read_json(path, 'export')
        if isinstance(content, list):
            return 'label-studio'
        if isinstance(content, dict) and 'annotations' in content:
            return 'coco'
    raise InputError(
        f'{path} is no export that is known: give a json of COCO-VID or YouTube-VIS, the annotations.xml of CVAT, the '
        'json of Label Studio, or a folder of masks (a zip must be unpacked first).'
    )


def read_annotations(path: Path, format_name: str | None = None, fill_boxes: bool = False) -> list[CustomVideo]:
    """Read the annotations of one export.

    Args:
        path: The file or folder.
        format_name: A name of ``FORMATS``; None: detected.
        fill_boxes: Use filled boxes as masks where there are none.

    Raises:
        FileNotFoundError: It is not there.
        InputError: It cannot be read, or has boxes in place of masks.
    """
    format_name = format_name or find_format(path)
    try:
        return FORMATS[format_name](path, fill_boxes)
    except (UserError, OSError):
        raise
    # A file of another structure, numbers that no array holds, half a brush mask.
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise InputError(f'{path} cannot be read as {format_name}: {one_line(error)}.') from error
