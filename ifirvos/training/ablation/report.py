"""The tables and the chart of an ablation, from what its runs have left in their folders."""

import csv
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ifirvos.evaluation.ablation import (
    difference_table,
    draw_chart,
    markdown,
    paired_difference,
    summarize_variant,
    table_rows,
)
from ifirvos.files import csv_text, write_whole
from ifirvos.training.curves import read_scalars

from .plan import Run, is_probed

# Tables 4 and 5 of the paper: J&F on the validation set of Ref-YouTube-VOS; ResNet-50.
PAPER = dict(full=59.9, baseline=55.1, wo_ifi=57.1, wo_vli=58.8, attn_ffn=58.7, dynamic_text=58.0)

# What Table 4 asks: a module's share is the one row less the other, on the same clips and seeds.
EFFECTS = {
    'IFI, with VLI': ('full', 'wo_ifi'),
    'IFI, without VLI': ('wo_vli', 'baseline'),
    'VLI, with IFI': ('full', 'wo_vli'),
    'VLI, without IFI': ('wo_ifi', 'baseline'),
}


def last_scalars(work_dir: Path, last: int = 10) -> dict[str, float]:
    """LEwV's size and spread at the end of training: means of what LEwVStatsHook has logged last, a batch each."""
    train, _ = read_scalars(work_dir)
    logged = {name: points[-last:] for name, points in sorted(train.items()) if name.startswith('lewv/')}
    return {
        name.removeprefix('lewv/'): sum(value for _, value in points) / len(points) for name, points in logged.items()
    }


def steps(stages: Sequence[Config]) -> str:
    """Format the iterations or epochs of all stages, as in '4500+8000'."""
    return '+'.join(str(c.train_cfg.get('max_iters', c.train_cfg.get('max_epochs'))) for c in stages)


def steps_of(run: Run) -> str:
    """Return the steps that a run has trained, as in '4500+8000'.

    Of rows that were kept without the run's configs only those of the last stage are known: '…+8000'.
    """
    configs = [run.config(stage) for stage in range(len(run.stages))]
    if all(path.is_file() for path in configs):
        return steps([Config.fromfile(path) for path in configs])
    return '+'.join([*['…'] * (len(configs) - 1), str(run.about()['iterations'])])


def note(runs: Sequence[Run]) -> dict[str, str]:
    """Return how a variant was trained, from its folders and not from the plan; '/' separates seeds that differ."""
    lewv = [last_scalars(run.work_dir(len(run.stages) - 1)) for run in runs]
    rms = [' '.join(f'{value:.2g}' for name, value in found.items() if name.startswith('rms')) for found in lewv]
    weights = [f'{run.about()["class_weight"]:g}' for run in runs]
    return {
        'seeds': ' '.join(str(run.seed) for run in runs),
        'steps': ' / '.join(dict.fromkeys(map(steps_of, runs))),
        'class weight': ' / '.join(dict.fromkeys(weights)),
        "LEwV's rms": ' / '.join(filter(None, rms)),
        "LEwV's spread": ' / '.join(f'{found["spread"]:.2g}' for found in lewv if 'spread' in found),
        'paper (Ref-YouTube-VOS): J&F': str(PAPER.get(runs[0].variant, '')),
    }


def differences(rows: dict[str, dict[int, list[dict]]]) -> str:
    """Return a table of paired differences in J&F: what each module adds, then others less 'full' and 'wo_ifi'."""
    table4 = {name for pair in EFFECTS.values() for name in pair}
    pairs = EFFECTS | {
        f'{name}, less {base}': (name, base) for name in rows if name not in table4 for base in ('full', 'wo_ifi')
    }
    found = {
        label: paired_difference(rows[one], rows[other])
        for label, (one, other) in pairs.items()
        if one in rows and other in rows and rows[one].keys() & rows[other].keys()
    }
    if not found:
        return ''
    return (
        f'\nPaired differences in J&F, same clips, same seeds:\n\n{difference_table(found)}'
        '\nIn points. [ ]: 95 % bootstrap interval over videos and seeds; ( ): lowest and highest seed; bold: zero is '
        'outside the interval.\n'
    )


def compare(runs: Sequence[Run], out: Path, per_kind: int | None = None) -> str | None:
    """Write table.md, table.csv and chart.png of all runs that are done; return the table, None where none is.

    Args:
        runs: As planned.
        out: Where the files go.
        per_kind: As many expressions of every kind as were to be probed; None: all.
    """
    done: dict[str, list[Run]] = {}
    for run in runs:
        if is_probed(run, per_kind):
            done.setdefault(run.variant, []).append(run)
    if not done:
        return None
    variants, notes, rows = {}, {}, {}
    for name, seeds in done.items():
        rows[name] = {run.seed: _read_rows(run.probe) for run in seeds}
        variants[name] = summarize_variant(list(rows[name].values()))
        notes[name] = note(seeds)
    problems = [
        f'NOT EQUAL: the variants differ in their {column}.'
        for column in ('seeds', 'steps', 'class weight')
        if len({row[column] for row in notes.values() if '…' not in row[column]}) > 1
    ]
    explanation = (
        'In percent. [ ]: 95 % bootstrap interval over videos; ( ): lowest and highest seed. S: share of sentences '
        'with J > 0.5; oracle_J: the best query; reversal_IoU: 100 is blind to the order of frames; shuffled: frames '
        'in a random order; chance_J: a random object with perfect masks. LEwV: rms of its words after each iteration, '
        'and how far the sentences of a batch differ behind it (0: one query for all); means of the last ten logged.'
    )
    text = '\n'.join([*problems, *([''] if problems else []), markdown(variants, notes), explanation, ''])
    text += differences(rows)
    write_whole(out / 'table.md', text)
    write_whole(out / 'table.csv', csv_text(table_rows(variants)))
    draw_chart(variants, out / 'chart.png')
    return text


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))
