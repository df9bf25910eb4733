"""Generates all clips of all splits of SynthRVOS, and computes chance levels and ceilings."""

import contextlib
import multiprocessing
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ifirvos.parallel import leave_interrupts_to_parent

from .absent import ABSENT
from .clip import GENERATOR_VERSION, make_clip
from .expressions import KINDS
from .layouts import LAYOUTS
from .statistics import chance_levels, mask_ceilings, mean_by_kind
from .writer import write_json

CEILING_CLIPS = 250  # a split: the ceilings hardly differ between clips and take longer than the clip itself


@dataclass(frozen=True)
class BenchmarkOptions:
    """Options of the clips and of writing them.

    Attributes:
        seed: A clip depends only on the seed, its split and its number.
        size: Height and width of a frame, in pixels.
        frames: Frames per clip.
        frame_step: Distance between the numbers in frame names.
        layout: A key of ``LAYOUTS``.
    """

    seed: int = 0
    size: tuple[int, int] = (192, 288)
    frames: int = 24
    frame_step: int = 1
    layout: str = 'ref-youtube-vos'


def generate_clip(index: int, split: str, options: BenchmarkOptions, root: Path) -> tuple:
    """Make and write one clip; return its entry for the index files, chance levels, mask ceilings, absent sentences."""
    clip = make_clip(options.seed, split, index, options.size, options.frames)
    entry = LAYOUTS[options.layout].write_clip(clip, root, split, options.frame_step)
    return entry, chance_levels(clip), mask_ceilings(clip) if index < CEILING_CLIPS else [], len(clip.absent)


def _begin_worker() -> None:
    leave_interrupts_to_parent()
    cv2.setNumThreads(0)  # 1 would wait for threads of the parent, if it has any, which a fork leaves behind


def generate_split(
    root: Path, split: str, num_clips: int, options: BenchmarkOptions, workers: int, console: Console
) -> tuple[list, dict]:
    """Write the clips of one split; returns their entries for the index files and the statistics."""
    job = partial(generate_clip, split=split, options=options, root=root)
    with contextlib.ExitStack() as stack:
        in_order = map
        if workers:
            pool = multiprocessing.Pool(min(workers, num_clips), initializer=_begin_worker)
            in_order = partial(stack.enter_context(pool).imap, chunksize=8)
        clips = list(track(in_order(job, range(num_clips)), description=split, total=num_clips, console=console))
    entries = [entry for entry, _, _, _ in clips if entry is not None]
    chance = mean_by_kind(level for _, levels, _, _ in clips for level in levels)
    ceiling = mean_by_kind(level for _, _, levels, _ in clips for level in levels)
    kinds = {
        kind: chance[kind] | {name: value for name, value in ceiling.get(kind, {}).items() if name != 'count'}
        for kind in KINDS
        if kind in chance
    }
    if absent := sum(count for _, _, _, count in clips):
        kinds[ABSENT] = {'count': absent}
    return entries, {'clips': num_clips, 'expressions': sum(row['count'] for row in kinds.values()), 'kinds': kinds}


def write_benchmark(
    out: Path, clips: Mapping[str, int], options: BenchmarkOptions, workers: int, console: Console
) -> dict[str, dict]:
    """Write all splits to a temporary folder, which is then renamed to ``out``.

    Args:
        out: The folder, which must not exist.
        clips: Number of clips by split.
        options: Options of the clips.
        workers: Number of worker processes; 0: none.
        console: For the progress bars.

    Returns:
        The statistics of every split.
    """
    root = out.with_name(f'.{out.name}.part-{os.getpid()}')
    try:
        entries, statistics = {}, {}
        for split, count in clips.items():
            entries[split], statistics[split] = generate_split(root, split, count, options, workers, console)
        LAYOUTS[options.layout].write_index(root, entries)
        summary = {
            'generator_version': GENERATOR_VERSION,
            'seed': options.seed,
            'size': list(options.size),
            'frames': options.frames,
            'frame_step': options.frame_step,
            'layout': options.layout,
            'splits': statistics,
        }
        write_json(root / 'synth_rvos.json', summary, indent=1)
        os.replace(root, out)
    finally:
        shutil.rmtree(root, ignore_errors=True)  # left over only if something failed
    return statistics


def statistics_table(split: str, statistics: dict) -> Table:
    """Format the statistics of a split as a table."""
    title = f'{split}: {statistics["clips"]} clips, {statistics["expressions"]} expressions'
    table = Table('kind', title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    columns = list(dict.fromkeys(name for row in statistics['kinds'].values() for name in row))
    for name in columns:
        table.add_column(name.removeprefix('ceiling_').replace('_', '\n'), justify='right')
    for kind, row in statistics['kinds'].items():
        values = (row.get(name, '') for name in columns)
        table.add_row(kind, *(f'{value:.2f}' if isinstance(value, float) else str(value) for value in values))
    return table
