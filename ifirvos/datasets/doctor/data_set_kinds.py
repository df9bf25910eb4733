"""The data sets the doctor knows: their readers, and the paths that show whether a split exists."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ifirvos.datasets import releases
from ifirvos.datasets.refcoco_clip import NAMES as REFCOCO_NAMES
from ifirvos.json_files import read_regular


@dataclass(frozen=True)
class Kind:
    """How a data set is read.

    Attributes:
        type: Class of the data set.
        reader: Reader of its masks, a key of ``MASK_READERS``.
        splits: Name -> paths below the root, one of which shows that the split exists.
        official: Counts of its releases.
        options: Arguments of the class, beside ``data_root`` and ``split``.
        units: Names of videos and records in messages.
        has_split: Whether the class takes ``split``.
        secret: Whether a split may have no public masks, so that it is for submission only.
        in_videos: Whether frames are in video files; then only the sizes of annotated frames are checked.
    """

    type: str
    reader: str
    splits: Mapping[str, Sequence[str]]
    official: releases.Releases = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    units: tuple[str, str] = ('videos', 'expressions')
    has_split: bool = True
    secret: bool = True
    in_videos: bool = False


def _refcoco(name: str, splits: Sequence[str], official: releases.Releases) -> Kind:
    files = {split: [f'{name}/instances_{name}_{split}.json'] for split in splits}
    return Kind('RefCOCOClipDataset', 'coco', files, official, dict(name=name), ('pictures', 'expressions'))


def splits_there(kind: Kind, root: str | os.PathLike) -> list[str]:
    """Return the splits of which something lies below a root.

    A list of videos (DAVIS has one of every split in each download) counts with the frames of one of them at least.
    """
    return [split for split, paths in kind.splits.items() if any(_is_there(Path(root, path)) for path in paths)]


def _is_there(path: Path) -> bool:
    if path.suffix != '.txt' or path.parent.parent.name != 'ImageSets' or not path.is_file():
        return path.exists()
    frames = path.parents[2] / 'JPEGImages/480p'
    names = read_regular(path).decode('utf-8', 'replace').split()
    return not frames.is_dir() or any(not _LEAVES.search(name) and (frames / name).is_dir() for name in names)


_LEAVES = re.compile(r'[/\\\0]')
_A2D = ('Release', 'clips320H', 'text_annotations', 'a2d_annotation.txt')
DATASET_KINDS = {
    'ref-youtube-vos': Kind(
        'RefYouTubeVOSDataset',
        'palette_png',
        {
            'train': ('train', 'meta_expressions/train'),
            'valid': ('valid', 'val', 'meta_expressions/valid', 'meta_expressions/val'),
            'test': ('test',),  # only its expressions exist, to identify the validation set
        },
        releases.REF_YOUTUBE_VOS,
    ),
    'ref-davis17': Kind(
        'RefDAVIS17Dataset',
        'palette_png',
        {
            split: (
                f'DAVIS/ImageSets/2017/{listed}.txt',
                f'ImageSets/2017/{listed}.txt',
                f'meta_expressions/{split}',
                split,
            )
            for split, listed in (('train', 'train'), ('valid', 'val'))
        },
        releases.REF_DAVIS17,
        secret=False,
    ),
    'a2d-sentences': Kind(
        'A2DSentencesDataset',
        'a2d_h5',
        {'train': _A2D, 'test': _A2D},
        releases.A2D_SENTENCES,
        units=('videos', 'samples'),
        in_videos=True,
    ),
    'jhmdb-sentences': Kind(
        'JHMDBSentencesDataset',
        'jhmdb_mat',
        {'test': ('Rename_Images', 'puppet_mask', 'jhmdb_annotation.txt')},
        releases.JHMDB_SENTENCES,
        units=('videos', 'samples'),
        has_split=False,
    ),
    'mevis': Kind('MeViSDataset', 'coco', {split: (split,) for split in ('train', 'valid_u', 'valid')}, releases.MEVIS),
    **{
        name: _refcoco(name, splits, official)
        for name, splits, official in zip(
            REFCOCO_NAMES,
            (('train', 'val', 'testA', 'testB'), ('train', 'val', 'testA', 'testB'), ('train', 'val', 'test')),
            (releases.REFCOCO, releases.REFCOCO_PLUS, releases.REFCOCOG),
            strict=True,
        )
    },
    'synth-rvos': Kind(
        'SynthRVOSDataset',
        'palette_png',
        {split: (split, f'meta_expressions/{split}') for split in ('train', 'valid', 'comp')},
    ),
}
