"""SynthRVOS in the layout of A2D-Sentences, see `A2DSentencesDataset`.

As in the release, every video has three annotated frames, counted from 1, and an object has at most one sentence. The
split valid becomes the test split; comp has no counterpart and is left out. Beside the official files, MTTR's lists and
COCO file are written.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from ifirvos.errors import InputError
from ifirvos.run_lengths import encode_mask, json_code
from ifirvos.video.writer import VideoWriter

from ..clip import Clip
from ..expressions import Expression
from ..render import draw_frames
from ..writer import write_json
from .layout import Layout

_SUBSETS = {'train': ('train', 0), 'valid': ('test', 1)}
_ANNOTATED_FRAMES = 3
_FPS = 24
_TEXT = 'text_annotations'


@dataclass(frozen=True)
class Entry:
    """The parts of a clip that go into the index files.

    Attributes:
        video_row: Its row of videoset.csv.
        sentences: Rows of a2d_annotation.txt.
        samples: Rows of the single-frame lists: sentence, video, frame from 1, instance.
        masks: Mask of every sample, as a compressed COCO run-length code.
    """

    video_row: tuple
    sentences: list[tuple[str, int, str]]
    samples: list[tuple[str, str, int, int]]
    masks: list[dict]


def write_clip(clip: Clip, root: Path, split: str, frame_step: int) -> Entry | None:
    """Write the video and its annotated frames; None for a split that A2D does not have."""
    if split not in _SUBSETS:
        return None
    labels = clip.facts.labels
    if labels.shape[1] % 2 or labels.shape[2] % 2:
        raise InputError(f'Videos need even sides, not {labels.shape[1:]}: choose another --size.')
    folder = root / 'Release' / 'clips320H'
    folder.mkdir(parents=True, exist_ok=True)
    with VideoWriter(folder / f'{clip.video_id}.mp4', _FPS, encoder='libx264') as video:
        for picture in draw_frames(clip.facts.scene):
            video.write(picture[..., ::-1])
    frames = [index for index in annotated_frames(len(labels), _ANNOTATED_FRAMES) if labels[index].any()]
    for index in frames:
        _write_h5(root / _TEXT / 'a2d_annotation_with_instances' / clip.video_id, index + 1, labels[index])
    sentences = [(clip.video_id, asked.object_id, asked.text) for asked in one_sentence_an_object(clip)]
    samples, masks = [], []
    for _, instance, text in sentences:
        for index in frames:
            mask = labels[index] == instance
            if mask.any():
                samples.append((text.lower(), clip.video_id, index + 1, instance))
                masks.append(json_code(encode_mask(mask)))
    subset = _SUBSETS[split][1]
    row = (clip.video_id, 0, '0:00:00', '0:00:01', *labels.shape[1:], len(labels), len(frames), subset)
    return Entry(row, sentences, samples, masks)


def write_index(root: Path, entries: Mapping[str, Sequence[Entry]]) -> None:
    """Write the tables, MTTR's lists, and the COCO file of the test split."""
    clips = [entry for split in entries for entry in entries[split]]
    if not clips:
        raise InputError('A2D-Sentences has the splits train and valid only: write one of them.')
    (root / _TEXT).mkdir(exist_ok=True)
    write_table(root / 'Release' / 'videoset.csv', [entry.video_row for entry in clips])
    sentences = [row for entry in clips for row in entry.sentences]
    write_table(root / _TEXT / 'a2d_annotation.txt', [('video_id', 'instance_id', 'query'), *sentences])
    (root / _TEXT / 'a2d_missed_videos.txt').write_text('')
    for split, found in entries.items():
        if split not in _SUBSETS:
            continue
        name = _SUBSETS[split][0]
        samples = [row for entry in found for row in entry.samples]
        write_json(root / f'a2d_sentences_single_frame_{name}_annotations.json', samples)
        if name == 'test':
            masks = [mask for entry in found for mask in entry.masks]
            ids = [f'v_{video}_f_{frame}_i_{instance}' for _, video, frame, instance in samples]
            write_json(root / 'a2d_sentences_test_annotations_in_coco_format.json', coco_content(ids, masks))


def one_sentence_an_object(clip: Clip) -> list[Expression]:
    """Return one expression per object that has any; which one depends on the number of the clip."""
    number = int(clip.video_id.rpartition('_')[2])
    chosen = []
    for instance in range(1, len(clip.facts.scene.objects) + 1):
        asked = [expression for expression in clip.expressions if expression.object_id == instance]
        if asked:
            chosen.append(asked[number % len(asked)])
    return chosen


def annotated_frames(num_frames: int, count: int) -> list[int]:
    """Return the indices of the middles of `count` equal parts of a clip."""
    return [(2 * part + 1) * num_frames // (2 * count) for part in range(count)]


def coco_content(image_ids: Sequence[str], masks: Sequence[dict]) -> dict:
    """Return the content of a COCO file with one mask per image, as MTTR makes it for pycocotools."""
    return dict(
        categories=[dict(id=1, name='dummy_class')],
        images=[
            dict(id=image_id, height=mask['size'][0], width=mask['size'][1])
            for image_id, mask in zip(image_ids, masks, strict=True)
        ],
        annotations=[
            dict(
                id=number,
                image_id=image_id,
                category_id=1,
                segmentation=mask,
                area=float(coco_mask.area(mask)),
                bbox=coco_mask.toBbox(mask).tolist(),
                iscrowd=0,
            )
            for number, (image_id, mask) in enumerate(zip(image_ids, masks, strict=True), 1)
        ],
    )


def write_table(path: Path, rows: Sequence[tuple]) -> None:
    """Write rows comma-separated, quoting the values that need it."""
    with path.open('w', encoding='utf-8', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(rows)


def _write_h5(folder: Path, number: int, label: np.ndarray) -> None:
    """Write an annotated frame as in the release: masks (n,W,H), or (W,H) if one, and boxes (4,n), x1 y1 x2 y2."""
    import h5py  # an extra of this package: see setup.cfg

    folder.mkdir(parents=True, exist_ok=True)
    shown = [instance for instance in np.unique(label).tolist() if instance]
    masks = np.stack([(label == instance).T for instance in shown]).astype(np.uint8)
    boxes = []
    for mask in masks:
        columns, rows = np.nonzero(mask)
        boxes.append((columns.min(), rows.min(), columns.max(), rows.max()))
    with h5py.File(folder / f'{number:05d}.h5', 'w') as file:
        file['instance'] = np.array(shown)
        file['reMask'] = masks if len(shown) > 1 else masks[0]
        file['reBBox'] = np.array(boxes, dtype=np.float64).T


A2D_SENTENCES = Layout(write_clip, write_index)
