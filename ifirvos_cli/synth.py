"""Generates the benchmark SynthRVOS, in the layout of Ref-YouTube-VOS or another data set.

    ifirvos synth --out data/synth_rvos

Prints for every kind of expression the number, the chance level, and the ceiling (perfect masks at stride 4), and
writes the same to OUT/synth_rvos.json.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from .common import output_path, positive_int, seed_number, whole_number

# Those of ifirvos.synth, which takes seconds to import.
SPLITS = ('train', 'valid', 'comp')
MIN_SIDE, MAX_SIDE = 16, 4096
LAYOUTS = (
    'ref-youtube-vos',
    'ref-davis17',
    'ref-davis17-converted',
    'mevis',
    'a2d-sentences',
    'jhmdb-sentences',
    'refcoco',
)


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', type=output_path, required=True, help='folder to create; must not exist')
    parser.add_argument('--train', type=whole_number, default=8000, help='training clips')
    parser.add_argument('--val', type=whole_number, default=550, help='validation clips')
    parser.add_argument('--comp', type=whole_number, default=200, help='clips with held-out combinations')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=list(SPLITS), help='splits to write')
    parser.add_argument('--seed', type=seed_number, default=0, help='a clip depends only on seed, split and its number')
    parser.add_argument('--frames', type=positive_int, default=24, help='frames per clip')
    parser.add_argument(
        '--size',
        type=positive_int,
        nargs=2,
        default=(192, 288),
        metavar=('HEIGHT', 'WIDTH'),
        help='frame size in pixels',
    )
    parser.add_argument(
        '--frame-step', type=positive_int, default=1, help='step between frame names; 5 in Ref-YouTube-VOS'
    )
    parser.add_argument('--layout', choices=LAYOUTS, default=LAYOUTS[0], help='layout of the folder')
    parser.add_argument(
        '--workers', type=whole_number, default=os.cpu_count(), help='processes, 0 for this one; the data stay the same'
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Write the benchmark and print its statistics."""
    if args.out.exists():
        sys.exit(f'{args.out} exists: remove it or choose another --out.')
    clips = {'train': args.train, 'valid': args.val, 'comp': args.comp}
    clips = {split: clips[split] for split in SPLITS if split in args.splits}
    if min(clips.values()) < 1:
        sys.exit('A split needs at least one clip: leave it out with --splits instead.')
    if min(args.size) < MIN_SIDE or max(args.size) > MAX_SIDE:
        sys.exit(f'--size: a side of a frame has {MIN_SIDE} to {MAX_SIDE} pixels.')

    from rich.console import Console

    from ifirvos.errors import OutputError
    from ifirvos.files import check_folder, not_written
    from ifirvos.synth.benchmark import CEILING_CLIPS, BenchmarkOptions, statistics_table, write_benchmark

    check_folder(args.out)
    console = Console()
    options = BenchmarkOptions(args.seed, tuple(args.size), args.frames, args.frame_step, args.layout)
    try:
        statistics = write_benchmark(args.out, clips, options, args.workers, console)
    except Exception as error:
        if reason := not_written(error):
            raise OutputError(f'{args.out} cannot be written: {reason}. Nothing of it is left.') from error
        raise
    for split, numbers in statistics.items():
        console.print(statistics_table(split, numbers))
    console.print(
        'J: mean IoU over frames; S: share of expressions with J > 0.5. object, pair, first: the answer is any object, '
        'either member of the pair, always object 1, with perfect masks. binary, soft: ceiling of J for masks at a '
        f'quarter of that input size, over the first {CEILING_CLIPS} clips of a split.'
    )


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    run(parse_args(argv, prog))
    return 0
