"""SynthRVOS in the layout of JHMDB-Sentences, see `JHMDBSentencesDataset`.

A video has one sentence, and its kind takes the place of the action. The data set is for evaluation only: the split
valid is written, train and comp are left out. Beside the official files, MTTR's list of samples is written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from ifirvos.errors import InputError, OutputError

from ..clip import Clip
from ..render import draw_frames
from ..writer import write_json
from .a2d_sentences import annotated_frames, write_table
from .layout import Layout

_SAMPLES = 3  # frames per video, as in MTTR
_ROOT = 'jhmdb_sentences'  # the folder in which the paths of MTTR's list start

Sample = tuple[str, str, str, int, str]


def write_clip(clip: Clip, root: Path, split: str, frame_step: int) -> list[Sample] | None:
    """Write the frames and masks of a clip for one of its sentences; return its rows of the list of samples."""
    if split != 'valid':
        return None
    number = int(clip.video_id.rpartition('_')[2])
    asked = clip.expressions[number % len(clip.expressions)]
    pictures, masks = (root / name / asked.kind / clip.video_id for name in ('Rename_Images', 'puppet_mask'))
    pictures.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, picture in enumerate(draw_frames(clip.facts.scene), 1):
        if not cv2.imwrite(str(pictures / f'{index:05d}.png'), picture):
            raise OutputError(f'{pictures}/{index:05d}.png cannot be written: is the disk full?')
    shown = clip.facts.labels == asked.object_id
    volume = np.ascontiguousarray(shown.transpose(1, 2, 0), dtype=np.uint8)
    savemat(masks / 'puppet_mask.mat', {'part_mask': volume}, do_compression=True)
    visible = np.flatnonzero(shown.any(axis=(1, 2)))
    folder, mask_path = (f'{_ROOT}/{path.relative_to(root).as_posix()}' for path in (pictures, masks))
    return [
        (
            clip.video_id,
            f'{folder}/{visible[place] + 1:05d}.png',
            f'{mask_path}/puppet_mask.mat',
            len(shown),
            asked.text,
        )
        for place in annotated_frames(len(visible), min(_SAMPLES, len(visible)))
    ]


def write_index(root: Path, entries: Mapping[str, Sequence[list[Sample]]]) -> None:
    """Write the table of sentences and the list of samples."""
    clips = [samples for split in entries for samples in entries[split]]
    if not clips:
        raise InputError('JHMDB-Sentences is for evaluation: write split valid.')
    sentences = [(samples[0][0], samples[0][4]) for samples in clips]
    write_table(root / 'jhmdb_annotation.txt', [('video_id', 'query'), *sentences])
    write_json(root / 'jhmdb_sentences_samples_metadata.json', [row for samples in clips for row in samples])


JHMDB_SENTENCES = Layout(write_clip, write_index)
