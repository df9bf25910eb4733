"""SynthRVOS in the layout of RefCOCO, which `tools/dataset_converters/refcoco_to_json.py` converts to json::

    ROOT/train2014/COCO_train2014_000000000001.jpg     the middle frame of every clip
    ROOT/refcoco/instances.json                        COCO annotations, polygons
    ROOT/refcoco/refs(unc).p                           a pickled list: object, split, sentences

Only sentences that a single frame can answer are kept. The split valid becomes val, comp becomes testA.
"""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ifirvos.errors import OutputError

from ..appearance import SHAPES
from ..clip import SPLITS, Clip
from ..render import draw_frames
from ..writer import JPEG_QUALITY, write_json
from .layout import Layout

NAMES = {'train': 'train', 'valid': 'val', 'comp': 'testA'}
_SINGLE_FRAME_KINDS = ('attr', 'spatial', 'relation')
_CLIPS_A_SPLIT = 1_000_000  # distance between the image ids of the splits


@dataclass(frozen=True)
class Entry:
    """The parts of a clip that go into the index files: its image, its objects by id, the sentences of each."""

    image: dict
    annotations: dict[int, dict]
    sentences: dict[int, list[str]]


def write_clip(clip: Clip, root: Path, split: str, frame_step: int) -> Entry | None:
    """Write one frame of a clip; None if it can answer no sentence."""
    middle = len(clip.facts.labels) // 2
    label = clip.facts.labels[middle]
    sentences: dict[int, list[str]] = {}
    for asked in clip.expressions:
        if asked.kind in _SINGLE_FRAME_KINDS and (label == asked.object_id).any():
            sentences.setdefault(asked.object_id, []).append(asked.text)
    if not sentences:
        return None
    number = int(clip.video_id.rpartition('_')[2])
    image_id = SPLITS.index(split) * _CLIPS_A_SPLIT + number + 1
    folder = root / 'train2014'
    folder.mkdir(parents=True, exist_ok=True)
    name = f'COCO_train2014_{image_id:012d}.jpg'
    picture = draw_frames(clip.facts.scene)[middle]
    if not cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise OutputError(f'{folder / name} cannot be written: is the disk full?')
    annotations = {
        object_id: annotation(image_id, object_id, thing.appearance.shape, label == object_id)
        for object_id, thing in enumerate(clip.facts.scene.objects, 1)
        if (label == object_id).any()
    }
    height, width = label.shape
    image = dict(id=image_id, file_name=name, height=height, width=width, license=1, coco_url='', flickr_url='')
    return Entry(image, annotations, sentences)


def write_index(root: Path, entries: Mapping[str, Sequence[Entry]]) -> None:
    """Write instances.json and refs(unc).p."""
    clips = [(split, entry) for split, found in entries.items() for entry in found]
    instances = dict(
        info=dict(description='SynthRVOS in the layout of RefCOCO'),
        licenses=[dict(id=1, name='generated', url='')],
        images=[entry.image for _, entry in clips],
        annotations=[thing for _, entry in clips for thing in entry.annotations.values()],
        categories=[dict(id=number, name=shape, supercategory='shape') for number, shape in enumerate(SHAPES, 1)],
    )
    write_json(root / 'refcoco' / 'instances.json', instances)
    refs, sentence_id = [], 0
    for split, entry in clips:
        for object_id, texts in entry.sentences.items():
            numbers = list(range(sentence_id, sentence_id + len(texts)))
            sentence_id += len(texts)
            refs.append(
                dict(
                    ref_id=len(refs),
                    ann_id=entry.annotations[object_id]['id'],
                    image_id=entry.image['id'],
                    file_name=entry.image['file_name'],
                    category_id=entry.annotations[object_id]['category_id'],
                    split=NAMES[split],
                    sent_ids=numbers,
                    sentences=[
                        dict(sent_id=number, sent=text, raw=text, tokens=text.split())
                        for number, text in zip(numbers, texts, strict=True)
                    ],
                )
            )
    # Written because the official file is one; nothing here ever loads a pickle without restriction.
    (root / 'refcoco' / 'refs(unc).p').write_bytes(pickle.dumps(refs, protocol=2))


def annotation(image_id: int, object_id: int, shape: str, mask: np.ndarray) -> dict:
    """Return the COCO annotation of an object, `mask` being bool (H, W)."""
    rows, columns = np.nonzero(mask)
    x, y = int(columns.min()), int(rows.min())
    return dict(
        id=image_id * 100 + object_id,
        image_id=image_id,
        category_id=SHAPES.index(shape) + 1,
        segmentation=polygons(mask),
        area=float(mask.sum()),
        bbox=[float(x), float(y), float(columns.max() - x + 1), float(rows.max() - y + 1)],
        iscrowd=0,
    )


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Trace a mask along the borders of its pixels, so that COCO's rasteriser reproduces it exactly.

    COCO's polygons have no holes: a mask with a hole is cut in two through it.

    Args:
        mask: bool (H, W), with at least one pixel.

    Returns:
        Polygons of x, y, x, y, … in pixels.
    """
    # At twice the size a contour goes through the pixels on both sides of a border: even coordinates begin a pixel of
    # the mask, odd ones end it.
    double = np.kron(mask, np.ones((2, 2))).astype(np.uint8)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    holes = [contour for contour, links in zip(contours, hierarchy[0], strict=True) if links[3] >= 0]
    if holes:
        cut = (int(holes[0][:, 0, 0].min()) + 2) // 2  # in front of the hole's first column
        left, right = mask.copy(), mask.copy()
        left[:, cut:] = False
        right[:, :cut] = False
        return polygons(left) + polygons(right)
    return [((contour[:, 0] + 1) // 2).astype(float).ravel().tolist() for contour in contours]


REFCOCO = Layout(write_clip, write_index)
