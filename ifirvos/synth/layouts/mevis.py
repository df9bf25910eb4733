"""SynthRVOS in the layout of MeViS: RLEs in one file, and a sentence about two objects in every clip.

The last expression of a clip, of kind `several`, joins its first two sentences about different objects; its mask is
their union. Unlike in MeViS, every expression has a kind, so that results can be grouped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ifirvos.run_lengths import encode_mask, json_code

from ..clip import Clip
from ..writer import frame_names, write_json, write_pictures
from .layout import Layout

Video = tuple[str, list[str], list[dict], list[list[dict | None]]]  # id, frames, expressions, RLEs of every object


def write_clip(clip: Clip, root: Path, split: str, frame_step: int) -> Video:
    """Write the frames of a clip; names count by one."""
    names = frame_names(len(clip.facts.labels), 1)
    write_pictures(clip, names, root / split_name(split) / 'JPEGImages' / clip.video_id)
    expressions = [
        {'exp': asked.text, 'obj_id': [asked.object_id - 1], 'kind': asked.kind} for asked in clip.expressions
    ]
    first = clip.expressions[0]
    other = next((asked for asked in clip.expressions if asked.object_id != first.object_id), None)
    if other is not None:
        objects = [first.object_id - 1, other.object_id - 1]
        expressions.append({'exp': f'{first.text} and {other.text}', 'obj_id': objects, 'kind': 'several'})
    tracks = [
        [encode(label == number + 1) for label in clip.facts.labels] for number in range(len(clip.facts.scene.objects))
    ]
    return clip.video_id, names, expressions, tracks


def write_index(root: Path, entries: Mapping[str, Sequence[Video]]) -> None:
    """Write both JSON files of every split; annotation ids count through the split."""
    for split, videos in entries.items():
        asked, mask_dict = {}, {}
        for video_id, names, expressions, tracks in videos:
            first = len(mask_dict)
            mask_dict.update({str(first + number): track for number, track in enumerate(tracks)})
            numbered = {
                str(place): {**expression, 'anno_id': [first + number for number in expression['obj_id']]}
                for place, expression in enumerate(expressions)
            }
            asked[video_id] = {'expressions': numbered, 'frames': names}
        folder = root / split_name(split)
        write_json(folder / 'meta_expressions.json', {'videos': asked})
        write_json(folder / 'mask_dict.json', mask_dict)


def split_name(split: str) -> str:
    """Return MeViS's name of a split: the validation set with public masks is 'valid_u'."""
    return 'valid_u' if split == 'valid' else split


def encode(mask: np.ndarray) -> dict | None:
    """Return a bool mask (H, W) as compressed COCO RLE whose counts are text; None if it is empty."""
    return json_code(encode_mask(mask)) if mask.any() else None


MEVIS = Layout(write_clip, write_index)
