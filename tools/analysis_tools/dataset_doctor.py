"""Says what is there of a data set, and what is wrong with it, before hours of training find out.

    python tools/analysis_tools/dataset_doctor.py DATASET ROOT [--split SPLIT …] [--quick] [--workers N] [--out FILE]

ROOT is the ``data_root`` of a config. Every split that is there (or that ``--split`` asks for) is read by the class
that reads it in training and evaluation; its counts are compared with the official ones, and every frame and mask is
decoded, masks as the pipelines do it. Errors would stop training or evaluation: exit code 1. Warnings would not.
All findings go to a json file, ``work_dirs/dataset_doctor/DATASET.json`` by default, which each run replaces.
``--quick`` decodes nothing: it finds missing and foreign files, but neither damaged ones nor objects never shown.
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import ifirvos  # noqa: F401  isort: skip  (before mmcv: it may have to stand in for compiled operators)

import cv2
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from PIL import Image
from tqdm import tqdm

from ifirvos.datasets import BaseRVOSDataset, releases
from ifirvos.datasets.refcoco_clip import NAMES as REFCOCO_NAMES
from ifirvos.datasets.transforms import LoadRVOSMasks
from ifirvos.datasets.transforms.loading import MaskSizeError
from ifirvos.registry import DATASETS
from ifirvos.synth.writer import write_json
from ifirvos.video.reader import read_video_frames

# Kind of a finding -> whether training or evaluation would fail of it.
KINDS = {
    'not readable': True,
    'no expressions': True,
    'no masks': True,
    'missing frame': True,
    'unreadable frame': True,
    'frames of several sizes': True,
    'missing mask': True,
    'unreadable mask': True,
    'mask of another size': True,
    'nothing to learn': True,
    'object in no frame': False,
    'empty sentence': False,
    'shared id': False,
    'counts': False,
}
_SWAPPED_SIDES = (5, 6, 7, 8)  # values of EXIF's Orientation whose pictures OpenCV turns by a quarter
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Kind:
    """How a data set is read.

    Attributes:
        type: Its class.
        reader: Reader of its masks, a key of ``MASK_READERS``.
        splits: Name -> paths below the root of which one tells that the split is there.
        official: Counts of its releases.
        options: Arguments of the class, beside ``data_root`` and ``split``.
        units: What videos and records are called.
        has_split: Whether the class takes ``split``.
        in_videos: Whether frames are in a video file, of which only annotated frames have a size of interest.
    """

    type: str
    reader: str
    splits: Mapping[str, Sequence[str]]
    official: releases.Releases = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    units: tuple[str, str] = ('videos', 'expressions')
    has_split: bool = True
    in_videos: bool = False


def _refcoco(name: str, splits: Sequence[str], official: releases.Releases) -> Kind:
    files = {split: [f'{name}/instances_{name}_{split}.json'] for split in splits}
    return Kind('RefCOCOClipDataset', 'coco', files, official, dict(name=name), ('pictures', 'expressions'))


_A2D = ('Release', 'clips320H', 'text_annotations', 'a2d_annotation.txt')
DATASET_KINDS = {
    'ref-youtube-vos': Kind(
        'RefYouTubeVOSDataset',
        'palette_png',
        {
            'train': ('train', 'meta_expressions/train'),
            'valid': ('valid', 'val', 'meta_expressions/valid', 'meta_expressions/val'),
            'test': ('test',),  # its expressions alone are there to tell the validation set
        },
        releases.REF_YOUTUBE_VOS,
    ),
    'ref-davis17': Kind(
        'RefDAVIS17Dataset',
        'palette_png',
        {split: ('DAVIS', 'JPEGImages', f'meta_expressions/{split}', split) for split in ('train', 'valid')},
        releases.REF_DAVIS17,
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


@dataclass
class Findings:
    """What was seen of some records, and what is wrong with them."""

    frames: int = 0
    masks: int = 0
    unknown: int = 0  # records whose masks are not there, or secret
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, text: str) -> None:
        """Note a problem, once."""
        if text not in self.problems[kind]:
            self.problems[kind].append(text)

    def merge(self, other: 'Findings') -> None:
        """Add what was found elsewhere."""
        self.frames += other.frames
        self.masks += other.masks
        self.unknown += other.unknown
        for kind, texts in other.problems.items():
            self.problems[kind] += texts


class Examiner:
    """Looks at all records of a video.

    Args:
        dataset: Has one record an expression.
        kind: Kind of the data set.
        quick: Decode nothing.
    """

    def __init__(self, dataset: BaseRVOSDataset, kind: Kind, quick: bool) -> None:
        self.dataset = dataset
        self.load_masks = LoadRVOSMasks(kind.reader)
        self.sizes_of = self.video_sizes if kind.in_videos else self.picture_sizes
        self.quick = quick

    def parts(self) -> list[list[int]]:
        """Return the records of every video."""
        videos = defaultdict(list)
        for index, expression in enumerate(self.dataset.expressions):
            videos[expression['video_id']].append(index)
        return list(videos.values())

    def __call__(self, part: list[int]) -> Findings:
        found, infos = Findings(), []
        for index in part:
            try:
                infos.append(self.dataset.get_data_info(index))
            except (OSError, ValueError) as error:  # a video file whose header is read only now
                found.add(_file_problem(error, 'frame'), str(error))
        if infos:
            sizes = self.sizes_of(infos, found)
            if len(set(sizes.values())) > 1:
                found.add('frames of several sizes', f'{infos[0]["video_id"]}: {sorted(set(sizes.values()))}')
            seen = {}
            for info in infos:
                self.check_masks(info, sizes, seen, found)
            found.masks += len(seen)
        return found

    def picture_sizes(self, infos: list[dict], found: Findings) -> dict[int, tuple[int, int]]:
        """(H, W) of every frame that can be read."""
        sizes = {}
        for image in infos[0]['images']:
            found.frames += 1
            path = image['img_path']
            try:
                with Image.open(path) as picture:
                    if not self.quick:
                        picture.load()
                    width, height = picture.size
                    turned = picture.getexif().get(_ORIENTATION) in _SWAPPED_SIDES
            except (OSError, SyntaxError, ValueError) as error:
                detail = '' if isinstance(error, FileNotFoundError) else f' ({error})'
                found.add(_file_problem(error, 'frame'), f'{path}{detail}')
                continue
            sizes[image['frame_id']] = (width, height) if turned else (height, width)
        return sizes

    def video_sizes(self, infos: list[dict], found: Findings) -> dict[int, tuple[int, int]]:
        """(H, W) of the annotated frames of a video file, which is decoded to its end."""
        path, length = infos[0]['images'][0]['img_path'], infos[0]['video_length']
        found.frames += length
        if self.quick:
            return {}
        keys = {info['key_frame_id'] for info in infos}
        try:
            frames = read_video_frames(path, {*keys, length - 1})
        except (OSError, ValueError) as error:
            found.add(_file_problem(error, 'frame'), str(error))
            return {}
        for key in sorted(keys):
            if key > max(frames):
                found.add('missing frame', f'{path} has {max(frames) + 1} frames, so no frame {key + 1}')
        return {index: frame.shape[:2] for index, frame in frames.items()}

    def check_masks(
        self, info: dict, sizes: Mapping[int, tuple[int, int]], seen: dict[tuple, bool | None], found: Findings
    ) -> None:
        """Read what is known of an expression; ``seen`` remembers the masks of its video: shown, empty, unreadable."""
        known = [image for image in info['images'] if image['mask_path'] is not None]
        if not known:
            found.unknown += 1
            return
        states = []
        for image in known:
            key = (image['mask_path'], info['obj_id'], image.get('mask_index'), repr(image.get('segmentations')))
            if key not in seen:
                size = sizes.get(image['frame_id'], next(iter(sizes.values()), None))
                seen[key] = self.read_mask({**image, 'obj_id': info['obj_id'], 'ori_shape': size}, found)
            states.append(seen[key])
        if all(state is False for state in states):
            found.add('object in no frame', f'expression {info["exp_id"]} of {info["video_id"]}: {info["text"]!r}')

    def read_mask(self, frame: dict, found: Findings) -> bool | None:
        """Return whether the mask shows anything; None if that cannot be told."""
        path = frame['mask_path']
        if self.quick or frame['ori_shape'] is None:
            if not os.path.isfile(path):
                found.add('missing mask', path)
            return None
        try:
            return bool(len(self.load_masks.transform(frame)['gt_masks']))
        except MaskSizeError as error:
            found.add('mask of another size', str(error))
        except (OSError, ValueError) as error:
            found.add(_file_problem(error, 'mask'), str(error))
        return None


def _file_problem(error: Exception, what: str) -> str:
    return f'missing {what}' if isinstance(error, FileNotFoundError) else f'unreadable {what}'


_examiner = None  # of a worker process, which inherits it


def _examine(part: list[int]) -> Findings:
    return _examiner(part)


def examine_all(examiner: Callable[[list[int]], Findings], parts: list[list[int]], workers: int) -> Iterator[Findings]:
    """Yield the findings of every video, in order; videos are shared out among processes."""
    global _examiner
    _examiner = examiner
    if workers <= 1:
        yield from map(examiner, parts)
        return
    # Forked, because the data set is loaded already and a new interpreter would spend seconds on imports.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context('fork')) as pool:
        yield from pool.map(_examine, parts, chunksize=max(1, min(64, len(parts) // (8 * workers))))


def build(kind: Kind, root: str, split: str) -> BaseRVOSDataset:
    """Return the data set as it is trained on (split train) or evaluated, one record an expression."""
    options = dict(kind.options, **(dict(split=split) if kind.has_split else {}))
    # Not serialized: for that mmengine collects garbage, which takes longer than reading a small data set.
    options.update(records='expression', test_mode=split != 'train', serialize_data=False)
    return DATASETS.build(dict(type=kind.type, data_root=root, **options))


def count(dataset: BaseRVOSDataset, units: tuple[str, str]) -> dict[str, int]:
    """Return what the official counts are compared with."""
    counts = {units[0]: len(dataset.videos), units[1]: len(dataset.expressions) + dataset.num_left_out}
    annotators = {expression['annotator'] for expression in dataset.expressions if 'annotator' in expression}
    return counts | (dict(annotators=len(annotators)) if annotators else {})


def spell(counts: Mapping[str, int]) -> str:
    """Count as words."""
    return ', '.join(f'{number:,} {what}' for what, number in counts.items())


def name_release(kind: Kind, split: str, counts: dict[str, int], generated: dict | None, found: Findings) -> str:
    """Return which release this is; adds a finding where that is unknown."""
    if generated is not None:
        name = f'SynthRVOS (generator {generated["generator_version"]}, seed {generated["seed"]})'
        written = generated['splits'].get(split) if kind.type == 'SynthRVOSDataset' else None
        expected = None if written is None else dict(videos=written['clips'], expressions=written['expressions'])
        if expected not in (None, counts):
            found.add('counts', f'{spell(counts)}, but synth_rvos.json says {spell(expected)}')
        return name
    release = releases.recognise(kind.official, split, counts)
    if release is None:
        known = '; '.join(f'{name}: {spell(official)}' for name, official in kind.official.get(split, {}).items())
        found.add('counts', f'{spell(counts)}: no known release ({known or "none is known"})')
    return release or 'no known release'


def check_sentences(dataset: BaseRVOSDataset, found: Findings) -> None:
    """Empty sentences, and records that a metric would take for one."""
    ids = Counter((expression['video_id'], expression['exp_id']) for expression in dataset.expressions)
    for (video_id, exp_id), times in ids.items():
        if times > 1:
            found.add('shared id', f'expression {exp_id} of {video_id} is there {times} times: metrics count it once')
    for expression in dataset.expressions:
        if not expression['text']:
            found.add('empty sentence', f'expression {expression["exp_id"]} of {expression["video_id"]}')


def check_split(
    kind: Kind, root: str, split: str, generated: dict | None, quick: bool = False, workers: int = 1
) -> dict:
    """All there is to say of a split, for the json file: ``ok``, ``release``, counts, ``problems`` by kind."""
    found, release, counts = Findings(), 'no known release', {}
    try:
        dataset = build(kind, root, split)
    except (OSError, ValueError, ImportError) as error:
        found.add('not readable', str(error))
    else:
        counts = count(dataset, kind.units)
        release = name_release(kind, split, counts, generated, found)
        check_sentences(dataset, found)
        examiner = Examiner(dataset, kind, quick)
        parts = examiner.parts()
        for part in tqdm(examine_all(examiner, parts, workers), split, len(parts), unit=kind.units[0][:-1]):
            found.merge(part)
        judge(split, len(dataset.expressions), found)
    problems = {name: found.problems[name] for name in KINDS if found.problems[name]}
    return dict(
        ok=not any(KINDS[name] for name in problems),
        release=release,
        counts=counts,
        frames=found.frames,
        masks=found.masks,
        without_masks=found.unknown,
        problems=problems,
    )


def judge(split: str, total: int, found: Findings) -> None:
    """Return what only the whole split tells."""
    if not total:
        found.add('no expressions', 'the split has no expression')
    elif found.unknown and (split == 'train' or found.unknown < total):  # all secret: the split is for submission
        found.add('no masks', f'{found.unknown} of {total} expressions have no masks')
    if split == 'train' and total and len(found.problems['object in no frame']) == total:
        found.add('nothing to learn', 'no expression shows its object in any frame')


def show(split: str, report: dict, limit: int) -> None:
    """Print what was found of a split."""
    counts = spell({**report['counts'], 'frames': report['frames'], 'masks': report['masks']})
    print(f'{split}: {report["release"]}: {counts}')
    if report['without_masks'] and 'no masks' not in report['problems']:
        print('  note: masks are not there: to predict and submit, not to score')
    for name, texts in report['problems'].items():
        print(f'  {"error" if KINDS[name] else "warning"}: {name}: {len(texts)}')
        for text in texts[:limit]:
            print(f'    {text}')
        if len(texts) > limit:
            print(f'    … and {len(texts) - limit} more')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', choices=list(DATASET_KINDS), metavar='DATASET', help=', '.join(DATASET_KINDS))
    parser.add_argument('root', type=Path, metavar='ROOT')
    parser.add_argument('--split', nargs='+', help='default: those that are there')
    parser.add_argument('--quick', action='store_true', help='do not decode frames and masks')
    parser.add_argument('--workers', type=int, default=min(8, os.cpu_count() or 1), help='processes')
    parser.add_argument('--show', type=int, default=5, help='how many findings of a kind to print')
    parser.add_argument('--out', type=Path, help='the json file; default: work_dirs/dataset_doctor/DATASET.json')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parse_args(argv)
    kind = DATASET_KINDS[args.dataset]
    unknown = set(args.split or ()) - set(kind.splits)
    if unknown:
        raise SystemExit(f'{args.dataset} has no split {sorted(unknown)}, but {list(kind.splits)}.')
    init_default_scope('mmdet')
    MMLogger.get_instance('dataset_doctor', log_level='WARNING')  # what the classes log is printed here anyway
    cv2.setNumThreads(0)
    generated = args.root / 'synth_rvos.json'
    generated = json.loads(generated.read_text(encoding='utf-8')) if generated.is_file() else None
    splits, absent = args.split, []
    if not splits:
        splits = [split for split, paths in kind.splits.items() if any((args.root / path).exists() for path in paths)]
        absent = [split for split in kind.splits if split not in splits]
    print(f'{args.root} as {args.dataset}')
    reports = {}
    for split in splits:
        reports[split] = check_split(kind, str(args.root), split, generated, args.quick, args.workers)
        show(split, reports[split], args.show)
    for split in absent:
        print(f'{split}: not there (looked for {", ".join(kind.splits[split])})')
    ok = bool(reports) and all(report['ok'] for report in reports.values())
    out = args.out or Path('work_dirs/dataset_doctor') / f'{args.dataset}.json'
    content = dict(dataset=args.dataset, root=str(args.root), quick=args.quick, ok=ok, splits=reports, absent=absent)
    write_json(out, content, indent=1)
    if not reports:
        hint = ': run tools/dataset_converters/refcoco_to_json.py' if args.dataset in REFCOCO_NAMES else ''
        print(f'No split is there{hint}.')
    print(f'{"fit for use" if ok else "NOT fit for use"}; all findings are in {out}')
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
