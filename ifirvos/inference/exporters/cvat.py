"""CVAT's own format, "CVAT for images 1.1", which tasks made from a video accept too.

Masks are shapes, one per frame, because CVAT does not track masks. Format: https://docs.cvat.ai/docs/other/xml_format
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from xml.sax.saxutils import quoteattr

import numpy as np

from ifirvos.inference.results import FrameResult

from .together import ExportSink, Together, distinct_labels

LABEL_LENGTH = 64  # CVAT refuses longer names


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return a mask in CVAT's run-length code: lengths row by row, background first.

    Args:
        mask: bool (h, w), cropped to the object's box.
    """
    flat = np.asarray(mask, bool).ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *changes, flat.size]).tolist()
    return [0, *lengths] if flat.size and flat[0] else lengths


def mask_element(mask: np.ndarray, label: str) -> str:
    """Return the ``<mask>`` of one object in one frame; the mask, bool (H, W), is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    return (
        f'<mask label={quoteattr(label)} source="auto" occluded="0" rle="{", ".join(map(str, run_lengths(part)))}"'
        f' left="{left}" top="{top}" width="{part.shape[1]}" height="{part.shape[0]}" z_order="0"></mask>'
    )


@contextmanager
def cvat(to: Together) -> Iterator[ExportSink]:
    """Write ``cvat.xml``, to be uploaded, and ``cvat_labels.json``, for the raw constructor of a new task's labels."""
    height, width = to.size
    labels = distinct_labels(to.texts, LABEL_LENGTH)
    described = [dict(name=label, type='mask', attributes=[]) for label in labels]
    (to.folder / 'cvat_labels.json').write_text(json.dumps(described, ensure_ascii=False, indent=1), encoding='utf-8')
    with (to.folder / 'cvat.xml').open('w', encoding='utf-8') as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')

        def write(frame: Sequence[FrameResult]) -> None:
            number = frame[0].number
            file.write(f'<image id="{number}" name="frame_{number:06d}" width="{width}" height="{height}">\n')
            for one, label in zip(frame, labels, strict=True):
                if one.present and one.mask.any():
                    file.write(mask_element(one.mask, label) + '\n')
            file.write('</image>\n')

        yield write
        file.write('</annotations>\n')
