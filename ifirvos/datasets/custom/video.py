"""The common form of all annotations: videos, their objects, and masks of each object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
from pycocotools import mask as rle_tools

from ifirvos.datasets.records import MAX_FRAMES
from ifirvos.errors import InputError, one_line
from ifirvos.json_files import limit_of
from ifirvos.run_lengths import encode_mask, encode_segmentation, size_problem
from ifirvos.video.sources import IMAGE_SUFFIXES

_VIDEO_SUFFIXES = re.compile(
    r'\.(3g[2p]|asf|avi|divx|dv|f4v|flv|gif|h26[45]|hevc|m2?ts|m[24]v|mjpe?g|mkv|mov|mp4|mpe?g|mxf|og[gmv]|rm(vb)?|ts|vob|'
    r'webm|wmv|wtv|y4m)'
)


def base_name(name: str) -> str:
    """Return the name of a video without folder and ending: 'clips/scene.01.mp4' and 'scene.01' give 'scene.01'."""
    path = PurePath(name)
    suffix = path.suffix.lower()
    return path.stem if suffix in IMAGE_SUFFIXES or _VIDEO_SUFFIXES.fullmatch(suffix) else path.name


def refuse_box(where: str) -> None:
    """Raise for a box instead of a mask.

    Raises:
        InputError: Always.
    """
    raise InputError(
        f'{where} has a box and no mask: draw masks or polygons, or take the boxes as masks with --boxes fill (the '
        'model then learns boxes).'
    )


@dataclass
class CustomObject:
    """One object of a video.

    Attributes:
        name: Its number or label in the annotations.
        label: Its label alone.
        sentences: Its sentences; may be empty.
        masks: COCO RLEs by number of the frame, from 0; a frame that is not there does not show the object.
    """

    name: str
    label: str
    sentences: list[str] = field(default_factory=list)
    masks: dict[int, dict] = field(default_factory=dict)

    def add(self, frame: int, rle: dict) -> None:
        """Add a mask; several masks of a frame are merged.

        Raises:
            InputError: There can be no such frame.
        """
        most = limit_of('IFIRVOS_MAX_VIDEO_FRAMES', MAX_FRAMES)
        if not 0 <= frame < most:
            raise InputError(
                f'object {self.name!r} has a mask in frame {frame}, which is not from 0 to {most - 1}: '
                'IFIRVOS_MAX_VIDEO_FRAMES sets another limit.'
            )
        known = self.masks.get(frame)
        self.masks[frame] = rle if known is None else rle_tools.merge([known, rle])


@dataclass
class CustomVideo:
    """One video and its objects.

    Attributes:
        name: Name of the video, as the annotations have it.
        objects: The objects, in the order of their numbers, from 1.
        files: Its frames, if the annotations list them, relative to the folder of frames; None: all frames of the
            video file or folder of that name.
        frames: Numbers of the annotated frames; None: all.
        stems: Names of the annotated frames without ending, if the annotations have names; the masks' numbers count
            these.
    """

    name: str
    objects: list[CustomObject]
    files: Sequence[str] | None = None
    frames: Sequence[int] | None = None
    stems: Sequence[str] | None = None


def to_rle(segmentation: dict | list, size: tuple[int, int], where: str) -> dict:
    """Return a COCO segmentation (polygons, or runs as list or string) as compressed RLE.

    Args:
        segmentation: As COCO has it.
        size: Height and width of the frame.
        where: For the message.

    Raises:
        InputError: It is neither, or of another size than the frame.
    """
    try:
        if isinstance(segmentation, dict):
            segmentation = dict(segmentation, size=list(map(int, segmentation['size'])))
        elif not isinstance(segmentation[0], list):
            segmentation = [segmentation]
        rle = encode_segmentation(segmentation, checked_size(size, where))
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f'{where}: a mask is neither polygons nor runs of COCO ({one_line(error)}).') from error
    if tuple(rle['size']) != tuple(size):
        height, width = rle['size']
        raise InputError(f'{where}: a mask of {width}x{height} lies on a frame of {size[1]}x{size[0]}.')
    return rle


def checked_size(size: Sequence[int], where: str) -> tuple[int, int]:
    """Return the size of a frame, (H, W).

    Args:
        size: As the annotations have it.
        where: For the message.

    Raises:
        InputError: It is none, or too large.
    """
    if problem := size_problem(tuple(size)):
        raise InputError(f"{where}: the frame's {problem}.")
    return tuple(size)


def box_to_rle(box: tuple[float, float, float, float], size: tuple[int, int]) -> dict:
    """Return the filled box xyxy, in pixels, as compressed RLE of a frame of that size.

    Raises:
        InputError: Box or size are none.
    """
    if not np.isfinite(box).all():
        raise InputError(f'a box has the sides {box}.')
    mask = np.zeros(checked_size(size, 'a box'), bool)
    x1, y1, x2, y2 = (max(0, round(side)) for side in box)
    mask[y1:y2, x1:x2] = True
    return encode_mask(mask)


def label_map(video: CustomVideo, frame: int, size: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Return the object number of every pixel, uint8 (H, W), and the number of pixels with several objects.

    Where objects overlap, the last one gets the pixel.
    """
    labels, shared = np.zeros(size, np.uint8), 0
    for number, one in enumerate(video.objects, 1):
        if frame in one.masks:
            mask = rle_tools.decode(one.masks[frame]).astype(bool)
            if mask.shape != tuple(size):
                raise InputError(
                    f'Video {video.name}, frame {frame}: a mask of {mask.shape[1]}x{mask.shape[0]} lies on a frame of '
                    f'{size[1]}x{size[0]}.'
                )
            shared += int((labels[mask] > 0).sum())
            labels[mask] = number
    return labels, shared
