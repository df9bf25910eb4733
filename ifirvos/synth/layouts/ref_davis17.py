"""SynthRVOS in the layout of Ref-DAVIS17: the official one, and the copy in Ref-YouTube-VOS's layout.

In DAVIS every annotated object has four sentences and is visible in the first frame. So objects without a sentence, or
that appear later, become background, the others are numbered from 1, and the sentences of an object are repeated until
every annotator has one. The kinds of sentences are lost.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..clip import Clip
from ..writer import frame_names, write_annotations, write_json, write_lines, write_pictures
from .layout import Layout

# In the order of the copy; annotator 2's file is Latin-1.
TEXT_FILES = (
    ('Davis17_annot1.txt', 'utf-8'),
    ('Davis17_annot1_full_video.txt', 'utf-8'),
    ('Davis17_annot2.txt', 'latin-1'),
    ('Davis17_annot2_full_video.txt', 'latin-1'),
)

Described = tuple[str, list[str], list[tuple[str, list[str]]]]  # video id, frames, shape and four sentences per object


def describe(clip: Clip) -> tuple[np.ndarray, list[tuple[str, list[str]]]]:
    """Return the objects that DAVIS would annotate.

    Returns:
        Their label maps, uint8 (T, H, W), and the shape and four sentences of each, in the order of their ids.
    """
    labels = clip.facts.labels
    asked = {asked.object_id for asked in clip.expressions if (labels[0] == asked.object_id).any()}
    renumbered = np.zeros(256, np.uint8)
    objects = []
    for number, object_id in enumerate(sorted(asked), 1):
        renumbered[object_id] = number
        texts = [asked.text for asked in clip.expressions if asked.object_id == object_id]
        shape = clip.facts.scene.objects[object_id - 1].appearance.shape
        objects.append((shape, [texts[place % len(texts)] for place in range(len(TEXT_FILES))]))
    return renumbered[labels], objects


def write_davis_clip(clip: Clip, root: Path, split: str, frame_step: int) -> Described | None:
    """Write a clip into DAVIS's folders, which all splits share."""
    davis = root / 'DAVIS'
    return _write_clip(clip, davis / 'JPEGImages/480p', davis / 'Annotations_unsupervised/480p')


def write_davis_index(root: Path, entries: Mapping[str, Sequence[Described]]) -> None:
    """Write the lists of videos and the four text files."""
    for split, videos in entries.items():
        name = 'val' if split == 'valid' else split
        write_lines(root / 'DAVIS/ImageSets/2017' / f'{name}.txt', [video_id for video_id, _, _ in videos])
    everything = [video for videos in entries.values() for video in videos]
    for annotator, (name, encoding) in enumerate(TEXT_FILES):
        lines = [
            f'{video_id} {number} "{texts[annotator]}"'
            for video_id, _, objects in everything
            for number, (_, texts) in enumerate(objects, 1)
        ]
        write_lines(root / 'davis_text_annotations' / name, lines, encoding)


def write_converted_clip(clip: Clip, root: Path, split: str, frame_step: int) -> Described | None:
    """Write a clip into the folders of its split."""
    return _write_clip(clip, root / split / 'JPEGImages', root / split / 'Annotations')


def write_converted_index(root: Path, entries: Mapping[str, Sequence[Described]]) -> None:
    """Write both JSON files of every split."""
    for split, videos in entries.items():
        meta, asked = {}, {}
        for video_id, names, objects in videos:
            numbered = list(enumerate(objects, 1))
            meta[video_id] = {'objects': {str(number): {'category': shape} for number, (shape, _) in numbered}}
            said = [{'obj_id': str(number), 'exp': text} for number, (_, texts) in numbered for text in texts]
            expressions = {str(place): expression for place, expression in enumerate(said)}
            asked[video_id] = {'expressions': expressions, 'frames': names}
        write_json(root / split / 'meta.json', {'videos': meta})
        write_json(root / 'meta_expressions' / split / 'meta_expressions.json', {'videos': asked})


def _write_clip(clip: Clip, pictures: Path, annotations: Path) -> Described | None:
    """Write a clip with frame names that count by one; a clip without objects is left out."""
    labels, objects = describe(clip)
    if not objects:
        return None
    names = frame_names(len(labels), 1)
    write_pictures(clip, names, pictures / clip.video_id)
    write_annotations(labels, names, annotations / clip.video_id)
    return clip.video_id, names, objects


REF_DAVIS17 = Layout(write_davis_clip, write_davis_index)
REF_DAVIS17_CONVERTED = Layout(write_converted_clip, write_converted_index)
