"""Generates all clips of all splits of SynthRVOS, and computes chance levels and ceilings."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ifirvos.parallel import map_forked

from .absent import ABSENT
from .clip import GENERATOR_VERSION, make_clip
from .expressions import KINDS
from .layouts import LAYOUTS
from .statistics import chance_levels, mask_ceilings, mean_by_kind
from .writer import write_json

DEFAULT_LAYOUT = 'ref-youtube-vos'
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
    layout: str = DEFAULT_LAYOUT


def generate_clip(index: int, split: str, options: BenchmarkOptions, root: Path) -> tuple:
    """Make and write one clip; return its entry for the index files, chance levels, mask ceilings, absent sentences."""
    clip = make_clip(options.seed, split, index, options.size, options.frames)
    entry = LAYOUTS[options.layout].write_clip(clip, root, split, options.frame_step)
    return entry, chance_levels(clip), mask_ceilings(clip) if index < CEILING_CLIPS else [], len(clip.absent)


def _in_worker(index: int, job: Callable[[int], tuple]) -> tuple:
    cv2.setNumThreads(0)  # 1 would wait for threads of the parent, if it has any, which a fork leaves behind
    return job(index)


def generate_split(
    root: Path, split: str, num_clips: int, options: BenchmarkOptions, workers: int, console: Console
) -> tuple[list, dict]:
    """Write the clips of one split; returns their entries for the index files and the statistics."""
    job = partial(generate_clip, split=split, options=options, root=root)
    if workers > 1:
        job = partial(_in_worker, job=job)
    done = map_forked(job, range(num_clips), workers, chunksize=8)
    clips = list(track(done, description=split, total=num_clips, console=console))
    entries = [entry for entry, _, _, _ in clips if entry is not None]
    chance = mean_by_kind(level for _, levels, _, _ in clips for level in levels)
    ceiling = mean_by_kind(level for _, _, levels, _ in clips for level in levels)
    kinds = {
        kind: chance[kind] | {name: value for name, value in ceiling.get(kind, {}).items() if name != 'count'}
        for kind in KINDS
        if kind in chance
    }
    absent = sum(count for _, _, _, count in clips) if options.layout == DEFAULT_LAYOUT else 0  # others leave them out
    if absent:
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
        workers: Number of worker processes; 0 or 1: none.
        console: For the progress bars.

    Returns:
        The statistics of every split.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    parent = Path(tempfile.mkdtemp(prefix=f'.{out.name}.part-', dir=out.parent))
    root = parent / out.name  # mkdtemp's own is closed to everybody else
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
        shutil.rmtree(parent, ignore_errors=True)
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
