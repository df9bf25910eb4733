"""Generates SynthRVOS, the data set that needs no download, in the layout of Ref-YouTube-VOS or of another data set.

    python tools/dataset_converters/make_synth_rvos.py --out data/synth_rvos

Prints, for every kind of expression, how many there are, what guessing scores and what perfect masks at stride 4 score,
and writes the same to OUT/synth_rvos.json.
"""

import argparse
import contextlib
import multiprocessing
import os
import shutil
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ifirvos.synth import GENERATOR_VERSION, KINDS, SPLITS, make_clip
from ifirvos.synth.layouts import LAYOUTS
from ifirvos.synth.statistics import chance_levels, mask_ceilings, mean_by_kind
from ifirvos.synth.writer import write_json

CEILING_CLIPS = 250  # a split: the ceilings hardly differ between clips and take longer than the clip itself


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder to make; must not exist')
    parser.add_argument('--train', type=int, default=8000, help='training clips')
    parser.add_argument('--val', type=int, default=550, help='validation clips: 2 of 5 are expressions of a pair kind')
    parser.add_argument('--comp', type=int, default=200, help='clips with looks that training never shows')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=list(SPLITS), help='which to write')
    parser.add_argument('--seed', type=int, default=0, help='a clip depends on seed, split and its number only')
    parser.add_argument('--frames', type=int, default=24, help='frames a clip')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(192, 288), metavar=('HEIGHT', 'WIDTH'), help='of a frame, in pixels'
    )
    parser.add_argument('--frame-step', type=int, default=1, help='between frame names; Ref-YouTube-VOS has 5')
    parser.add_argument('--layout', choices=list(LAYOUTS), default='ref-youtube-vos', help='of the folder')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes, 0 for this one; the data stay the same'
    )
    return parser.parse_args(argv)


def generate_clip(index: int, split: str, args: argparse.Namespace, root: Path) -> tuple:
    """Make and writes one clip: (its entry for the index files, its chance levels, its mask ceilings)."""
    clip = make_clip(args.seed, split, index, tuple(args.size), args.frames)
    entry = LAYOUTS[args.layout].write_clip(clip, root, split, args.frame_step)
    return entry, chance_levels(clip), mask_ceilings(clip) if index < CEILING_CLIPS else []


def generate_split(
    root: Path, split: str, num_clips: int, args: argparse.Namespace, console: Console
) -> tuple[list, dict]:
    """Write the clips of one split; returns their entries for the index files and the statistics."""
    job = partial(generate_clip, split=split, args=args, root=root)
    with contextlib.ExitStack() as stack:
        in_order = map
        if args.workers:
            pool = multiprocessing.Pool(args.workers, initializer=cv2.setNumThreads, initargs=(1,))
            in_order = partial(stack.enter_context(pool).imap, chunksize=8)
        clips = list(track(in_order(job, range(num_clips)), description=split, total=num_clips, console=console))
    entries = [entry for entry, _, _ in clips if entry is not None]
    chance = mean_by_kind(level for _, levels, _ in clips for level in levels)
    ceiling = mean_by_kind(level for _, _, levels in clips for level in levels)
    kinds = {
        kind: chance[kind] | {name: value for name, value in ceiling.get(kind, {}).items() if name != 'count'}
        for kind in KINDS
        if kind in chance
    }
    return entries, {'clips': num_clips, 'expressions': sum(row['count'] for row in kinds.values()), 'kinds': kinds}


def statistics_table(split: str, statistics: dict) -> Table:
    """Return the printed form of one split's statistics."""
    title = f'{split}: {statistics["clips"]} clips, {statistics["expressions"]} expressions'
    table = Table('kind', title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    columns = list(dict.fromkeys(name for row in statistics['kinds'].values() for name in row))
    for name in columns:
        table.add_column(name.removeprefix('ceiling_').replace('_', '\n'), justify='right')
    for kind, row in statistics['kinds'].items():
        values = (row.get(name, '') for name in columns)
        table.add_row(kind, *(f'{value:.2f}' if isinstance(value, float) else str(value) for value in values))
    return table


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.out.exists():
        sys.exit(f'{args.out} exists: remove it or choose another --out.')
    clips = {'train': args.train, 'valid': args.val, 'comp': args.comp}
    clips = {split: clips[split] for split in SPLITS if split in args.splits}
    if min(clips.values()) < 1:
        sys.exit('A split needs at least one clip: leave it out with --splits instead.')
    console = Console()
    root = args.out.with_name(f'.{args.out.name}.part-{os.getpid()}')
    try:
        entries, statistics = {}, {}
        for split, count in clips.items():
            entries[split], statistics[split] = generate_split(root, split, count, args, console)
        LAYOUTS[args.layout].write_index(root, entries)
        summary = {
            'generator_version': GENERATOR_VERSION,
            'seed': args.seed,
            'size': list(args.size),
            'frames': args.frames,
            'frame_step': args.frame_step,
            'layout': args.layout,
            'splits': statistics,
        }
        write_json(root / 'synth_rvos.json', summary, indent=1)
        os.replace(root, args.out)
    finally:
        shutil.rmtree(root, ignore_errors=True)  # left over only if something failed
    for split, numbers in statistics.items():
        console.print(statistics_table(split, numbers))
    console.print(
        'J: mean IoU over frames; S: share of expressions with J > 0.5. object, pair, first: the answer is any object, '
        'either member of the pair, always object 1, with perfect masks. binary, soft: ceiling of J for masks at a '
        f'quarter of that input size, over the first {CEILING_CLIPS} clips of a split.'
    )


if __name__ == '__main__':
    main()
