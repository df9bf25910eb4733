"""Table and chart of an ablation, from the files of ``tools/analysis_tools/probe.py``, one per seed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ifirvos.errors import InputError
from ifirvos.files import written_whole

from .functional.masks import bootstrap_interval

Rows = Sequence[Mapping[str, str | float]]  # of one seed, an expression each
MEASURES = ('J&F', 'J', 'F', 'S', 'oracle_J', 'reversal_IoU', 'shuffled_J&F', 'chance_J')
ALL = 'all'  # the group of all kinds
DRAWS = 1000  # for every bootstrap interval


@dataclass(frozen=True)
class Cell:
    """A measure of a group of expressions, in percent.

    Attributes:
        mean: Over expressions, then over seeds.
        low, high: Bootstrap interval over videos of the mean over seeds: the uncertainty from the clips.
        seeds: The mean of every seed: the variation between trainings.
    """

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]


def measures_of(row: Mapping[str, str | float]) -> dict[str, float]:
    """Return the measures of an expression, in percent; ``chance_J`` only if the expression has it."""
    number = {name: float(row[name]) for name in row if name not in ('video_id', 'exp_id', 'kind', 'text')}
    values = dict(
        J=number['J'],
        F=number['F'],
        S=100.0 * (number['J'] > 50),
        oracle_J=number['oracle_J'],
        reversal_IoU=number['reversal_IoU'],
    )
    values['J&F'] = (number['J'] + number['F']) / 2
    values['shuffled_J&F'] = (number['shuffled_J'] + number['shuffled_F']) / 2
    return values | ({'chance_J': number['chance_J']} if 'chance_J' in number else {})


def summarize_variant(seeds: Sequence[Rows]) -> dict[str, dict[str, Cell]]:
    """Return the measures of one variant, by kind of sentence and over all.

    Args:
        seeds: The rows of every seed, the same expressions in each.

    Raises:
        ValueError: if the seeds were probed on different expressions.
    """
    by_key = [{(row['video_id'], row['exp_id'], row['kind']): measures_of(row) for row in rows} for rows in seeds]
    keys = list(by_key[0])
    if any(set(other) != set(keys) for other in by_key):
        raise InputError('the seeds were probed on different expressions: probe them again with one --per-kind')
    groups = defaultdict(list)
    for key in keys:
        groups[key[2]].append(key)
        groups[ALL].append(key)
    return {kind: _cells(by_key, members) for kind, members in groups.items()}


def _cells(by_key: list[dict], members: list[tuple]) -> dict[str, Cell]:
    cells, videos = {}, [key[0] for key in members]
    for name in MEASURES:
        if name not in by_key[0][members[0]]:
            continue
        values = np.array([[seed[key][name] for key in members] for seed in by_key])  # seeds, expressions
        per_expression = values.mean(0)
        low, high = bootstrap_interval(per_expression, videos, DRAWS)
        cells[name] = Cell(float(per_expression.mean()), low, high, tuple(values.mean(1).tolist()))
    return cells


def paired_difference(variant: Mapping[int, Rows], reference: Mapping[int, Rows]) -> dict[str, Cell]:
    """Return the mean difference in J&F of two variants on the same expressions and seeds, by kind and over all.

    Clips that are hard for both cancel out. Videos and, if there are several, seeds are resampled with replacement: the
    uncertainty from clips and trainings together. Two or three seeds say little about how trainings vary: where that
    is more than the clips do, the interval is too narrow still.

    Args:
        variant: The rows of every seed.
        reference: The rows of every seed of the other variant; seeds that only one of the two has are ignored.

    Raises:
        ValueError: if they have no seed in common, or were probed on different expressions.
    """
    seeds = [seed for seed in variant if seed in reference]
    if not seeds:
        raise InputError(f'no seed of {list(variant)} is among {list(reference)}')
    scores = [
        {(row['video_id'], row['exp_id'], row['kind']): measures_of(row)['J&F'] for row in rows[seed]}
        for rows in (variant, reference)
        for seed in seeds
    ]
    keys = list(scores[0])
    if any(set(other) != set(keys) for other in scores):
        raise InputError('the variants were probed on different expressions: probe them again with one --per-kind')
    values = np.array([[score[key] for key in keys] for score in scores]).reshape(2, len(seeds), -1)
    values = values[0] - values[1]  # seeds, expressions
    kinds = np.array([key[2] for key in keys])
    videos = np.array([key[0] for key in keys])
    cells = {}
    for kind in (ALL, *sorted(set(kinds))):
        chosen = np.ones(len(keys), bool) if kind == ALL else kinds == kind
        part = values[:, chosen]
        low, high = _interval_of_videos_and_seeds(part, videos[chosen])
        cells[kind] = Cell(float(part.mean()), low, high, tuple(part.mean(1).tolist()))
    return cells


def _interval_of_videos_and_seeds(values: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of (seeds, expressions), with videos and seeds resampled."""
    _, index = np.unique(videos, return_inverse=True)
    sizes = np.bincount(index)
    if len(sizes) == 1:  # of one video nothing is known about others
        return -np.inf, np.inf
    sums = np.stack([np.bincount(index, weights=row) for row in values])  # seeds, videos
    rng = np.random.default_rng(0)
    of_videos = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=DRAWS)
    of_seeds = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=DRAWS) / len(values)
    if len(values) > 1:  # means of n resampled seeds vary too little, by sqrt((n - 1) / n)
        even = 1 / len(values)
        of_seeds = even + (of_seeds - even) * np.sqrt(len(values) / (len(values) - 1))
    means = np.einsum('ds,sv,dv->d', of_seeds, sums, of_videos) / (of_videos @ sizes)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def difference_table(differences: Mapping[str, dict[str, Cell]]) -> str:
    """Format the output of :func:`paired_difference`, by name; bold where zero is outside the interval."""
    kinds = list(dict.fromkeys(kind for cells in differences.values() for kind in cells))

    def bold(cell: Cell | None) -> str:
        text = _cell(cell).replace('–', ' to ')
        return f'**{text}**' if cell is not None and cell.low * cell.high > 0 else text

    rows = [[name, *(bold(cells.get(kind)) for kind in kinds)] for name, cells in differences.items()]
    return '\n'.join(_table(['difference', *kinds], rows)) + '\n'


def table_rows(variants: Mapping[str, dict[str, dict[str, Cell]]]) -> list[dict]:
    """Return a row for every variant, kind and measure, for a csv file."""
    return [
        dict(
            variant=variant,
            kind=kind,
            measure=measure,
            mean=round(cell.mean, 3),
            low=round(cell.low, 3),
            high=round(cell.high, 3),
            seeds=' '.join(f'{value:.3f}' for value in cell.seeds),
        )
        for variant, kinds in variants.items()
        for kind, cells in kinds.items()
        for measure, cell in cells.items()
    ]


def markdown(variants: Mapping[str, dict[str, dict[str, Cell]]], notes: Mapping[str, Mapping[str, str]]) -> str:
    """Format two tables: all measures over all sentences, and J&F by kind.

    Args:
        variants: Output of :func:`summarize_variant`, by name.
        notes: Further columns of the first table, by name of the variant.
    """
    columns = [name for name in MEASURES if any(name in kinds[ALL] for kinds in variants.values())]
    extra = list(dict.fromkeys(column for note in notes.values() for column in note))
    lines = _table(
        ['variant', *columns, *extra],
        [
            [
                name,
                *(_cell(kinds[ALL].get(column)) for column in columns),
                *(notes.get(name, {}).get(c, '') for c in extra),
            ]
            for name, kinds in variants.items()
        ],
    )
    kinds_seen = sorted({kind for kinds in variants.values() for kind in kinds} - {ALL})
    chance = {
        kind: cells['chance_J'] for kinds in variants.values() for kind, cells in kinds.items() if 'chance_J' in cells
    }
    by_kind = [
        [name, *(_cell(kinds[k].get('J&F')) if k in kinds else '' for k in kinds_seen)]
        for name, kinds in variants.items()
    ]
    if chance:
        by_kind.append(
            ['a random object: J', *(f'{chance[kind].mean:.1f}' if kind in chance else '' for kind in kinds_seen)]
        )
    return '\n'.join([*lines, '', 'J&F by kind of sentence:', '', *_table(['variant', *kinds_seen], by_kind)]) + '\n'


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ''
    seeds = f' ({min(cell.seeds):.1f}–{max(cell.seeds):.1f})' if len(cell.seeds) > 1 else ''
    return f'{cell.mean:.1f} [{cell.low:.1f}, {cell.high:.1f}]{seeds}'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f'| {" | ".join(row)} |' for row in (header, ['---'] * len(header), *rows)]


def draw_chart(variants: Mapping[str, dict[str, dict[str, Cell]]], path: Path) -> None:
    """Draw J&F, a group of bars per kind of sentence, one per variant, with bootstrap intervals; chance as a line."""
    from matplotlib.figure import Figure

    kinds = [ALL, *sorted({kind for groups in variants.values() for kind in groups} - {ALL})]
    width = 0.8 / len(variants)
    figure = Figure(figsize=(max(7, 1.3 * len(kinds) + 2), 4.5), layout='constrained')
    axes = figure.subplots()
    for number, (name, groups) in enumerate(variants.items()):
        for position, kind in enumerate(kinds):
            if kind not in groups:
                continue
            cell = groups[kind]['J&F']
            error = [[max(cell.mean - cell.low, 0)], [max(cell.high - cell.mean, 0)]]
            label = name if position == 0 else None
            x = position - 0.4 + (number + 0.5) * width
            axes.bar(x, cell.mean, width, color=f'C{number % 10}', yerr=error, error_kw=dict(lw=0.8), label=label)
    first = next(iter(variants.values()))
    for position, kind in enumerate(kinds):
        if 'chance_J' in first.get(kind, {}):
            chance = first[kind]['chance_J'].mean
            label = 'a random object: J' if position == 0 else None
            axes.plot([position - 0.4, position + 0.4], [chance, chance], color='black', ls=':', label=label)
    axes.set(xticks=range(len(kinds)), ylabel='J&F [%]', ylim=(0, 100))
    axes.set_xticklabels(kinds, rotation=20, ha='right')
    axes.legend(fontsize='small', ncols=2)
    with written_whole(path) as part:
        figure.savefig(part, format='png', dpi=110)
