"""Checks a data set before training.

    ifirvos doctor DATASET ROOT [--split SPLIT …] [--quick] [--workers N] [--out FILE]

ROOT is the ``data_root`` of a config. Every split (or those of ``--split``) is read by the class used in training and
evaluation, its counts are compared with the official ones, and every frame and mask is decoded. Errors, which would
stop training or evaluation, give exit code 1; warnings do not. All findings go to a json file, by default
``work_dirs/dataset_doctor/DATASET.json``. ``--quick`` only looks for missing and unknown files.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .common import add_data_limits, output_path, positive_int, set_data_limits, whole_number

DATASETS = (  # those of ifirvos.datasets.doctor, which takes seconds to import
    'ref-youtube-vos',
    'ref-davis17',
    'a2d-sentences',
    'jhmdb-sentences',
    'mevis',
    'refcoco',
    'refcoco+',
    'refcocog',
    'synth-rvos',
)


def show(split: str, report: dict, limit: int) -> None:
    """Print what was found of a split."""
    from ifirvos.datasets.doctor import KINDS
    from ifirvos.datasets.doctor.checks import spell

    counts = spell({**report['counts'], 'frames': report['frames'], 'masks': report['masks']})
    print(f'{split}: {report["release"]}: {counts}')
    if report['fit_nothing']:
        print(f'  note: {report["fit_nothing"]:,} of the sentences fit nothing in their video')
    if report['without_masks'] and 'no masks' not in report['problems']:
        print('  note: masks are not there: to predict and submit, not to score')
    for name, texts in report['problems'].items():
        print(f'  {"error" if KINDS[name] else "warning"}: {name}: {len(texts)}')
        for text in texts[:limit]:
            print(f'    {text}')
        if len(texts) > limit:
            print(f'    … and {len(texts) - limit} more')


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dataset', choices=DATASETS, metavar='DATASET', help=', '.join(DATASETS))
    parser.add_argument('root', type=Path, metavar='ROOT')
    parser.add_argument('--split', nargs='+', help='default: all that exist')
    parser.add_argument('--quick', action='store_true', help='do not decode frames and masks')
    parser.add_argument('--workers', type=positive_int, default=min(8, os.cpu_count() or 1), help='number of processes')
    parser.add_argument('--show', type=whole_number, default=5, help='number of findings of a kind to print')
    parser.add_argument('--out', type=output_path, help='the json file; default: work_dirs/dataset_doctor/DATASET.json')
    add_data_limits(parser)
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Check the splits, print and write what was found; return the exit code."""
    set_data_limits(args)

    import cv2
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from ifirvos.datasets.doctor import DATASET_KINDS, check_split, splits_there
    from ifirvos.datasets.refcoco_clip import NAMES as REFCOCO_NAMES
    from ifirvos.files import check_file
    from ifirvos.json_files import read_json
    from ifirvos.synth.writer import write_json

    kind = DATASET_KINDS[args.dataset]
    out = args.out or Path('work_dirs/dataset_doctor') / f'{args.dataset}.json'
    check_file(out)
    unknown = set(args.split or ()) - set(kind.splits)
    if unknown:
        raise SystemExit(f'{args.dataset} has no split {sorted(unknown)}, but {list(kind.splits)}.')
    init_default_scope('mmdet')
    if not MMLogger.check_instance_created('dataset_doctor'):
        MMLogger.get_instance('dataset_doctor', log_level='WARNING')  # what the classes log is printed here anyway
    cv2.setNumThreads(0)
    generated = args.root / 'synth_rvos.json'
    generated = read_json(generated) if generated.is_file() else None
    splits, absent = args.split, []
    if not splits:
        splits = splits_there(kind, args.root)
        absent = [split for split in kind.splits if split not in splits]
    print(f'{args.root} as {args.dataset}')
    reports = {}
    for split in splits:
        reports[split] = check_split(kind, str(args.root), split, generated, args.quick, args.workers)
        show(split, reports[split], args.show)
    for split in absent:
        print(f'{split}: not there (looked for {", ".join(kind.splits[split])})')
    ok = bool(reports) and all(report['ok'] for report in reports.values())
    content = dict(dataset=args.dataset, root=str(args.root), quick=args.quick, ok=ok, splits=reports, absent=absent)
    write_json(out, content, indent=1)
    if not reports:
        hint = ': run tools/dataset_converters/refcoco_to_json.py' if args.dataset in REFCOCO_NAMES else ''
        print(f'No split is there{hint}.')
    print(f'{"fit for use" if ok else "NOT fit for use"}; all findings are in {out}')
    return 0 if ok else 1


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    return run(parse_args(argv, prog))
