"""Results in the formats of other tools: COCO, CVAT, Label Studio, supervision, SAM 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from .coco import coco
from .cvat import cvat
from .label_studio import label_studio
from .overlay import together
from .pictures import frames, objects
from .sam2 import best_frame, refine_with_sam2
from .supervision import to_supervision
from .together import FOLDER, ExportSink, Together, stable_id

__all__ = [
    'EXPORTS',
    'FOLDER',
    'Together',
    'best_frame',
    'refine_with_sam2',
    'stable_id',
    'to_supervision',
    'with_needed',
]

# Names of --save with all sentences of a video in one file -> their writers.
EXPORTS: dict[str, Callable[[Together], AbstractContextManager[ExportSink]]] = {
    'objects': objects,
    'coco': coco,
    'cvat': cvat,
    'label-studio': label_studio,
    'frames': frames,
    'together': together,
}
_NEEDS = {'label-studio': 'frames'}  # its tasks show the pictures


def with_needed(save: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs and of those they depend on."""
    needed = [_NEEDS[name] for name in save if name in _NEEDS]
    return tuple(dict.fromkeys([*save, *needed]))
