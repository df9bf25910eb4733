"""From the J and F of every expression to one result: means, groups, a confidence interval, a table, files.

A mean is over expressions, each the mean over its frames (Ref-YouTube-VOS): a long video weighs no more than a short
one. Values of an `ExpressionScore` are fractions; all that a summary, the table and the files hold is in percent.
"""

import csv
import io
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .functional import bootstrap_interval

NO_GROUP = '(none)'
MEASURES = ('J&F', 'J', 'F', 'S')  # S: share of the expressions with J above 0.5


@dataclass(frozen=True)
class ExpressionScore:
    """What one expression scored: means over its frames, in [0, 1].

    ``group`` is None where results are not grouped.
    """

    video_id: str
    exp_id: str
    text: str
    group: str | None
    num_frames: int
    region: float  # J
    contour: float  # F

    @property
    def mean(self) -> float:
        return (self.region + self.contour) / 2


def summarize(
    scores: Sequence[ExpressionScore], bootstrap: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, dict]:
    """Means in percent, overall and of every group.

    Args:
        scores: one an expression, at least one.
        bootstrap: number of bootstrap draws (of whole videos) for the interval of J&F; 0 leaves it out.
        confidence: share of the draws that the interval holds.
        seed: of the draws.

    Returns:
        ``overall``: 'J&F', 'J', 'F', 'S' (share of expressions with J > 0.5), 'n' (expressions), and with
        ``bootstrap`` 'J&F_low', 'J&F_high'; ``groups``: the same without interval, by name of the group, sorted.
    """
    overall = _means(scores)
    if bootstrap:
        interval = bootstrap_interval(
            [score.mean for score in scores], [score.video_id for score in scores], bootstrap, confidence, seed
        )
        overall['J&F_low'], overall['J&F_high'] = (100 * end for end in interval)
    names = sorted({score.group for score in scores if score.group is not None})
    return dict(
        overall=overall,
        groups={name: _means([score for score in scores if score.group == name]) for name in names},
    )


def format_table(summary: dict[str, dict], group_by: str | None = None) -> str:
    """The summary as lines of text: a row a group, then all expressions."""
    rows = {**summary['groups'], 'all': summary['overall']}
    width = max(map(len, [*rows, group_by or '']))
    lines = [f'{group_by or "":{width}}' + ''.join(f'{title:>8}' for title in ('J&F', 'J', 'F', 'J>0.5', 'n'))]
    for name, row in rows.items():
        lines.append(f'{name:{width}}' + ''.join(f'{row[key]:8.2f}' for key in MEASURES) + f'{row["n"]:8d}')
    overall = summary['overall']
    if 'J&F_low' in overall:
        lines.append(f'J&F between {overall["J&F_low"]:.2f} and {overall["J&F_high"]:.2f} (bootstrap over videos)')
    return '\n'.join(lines)


def write_report(out_dir: str | Path, summary: dict[str, dict], scores: Sequence[ExpressionScore], **about) -> None:
    """Writes ``rvos_metric.json`` and ``.csv`` (the summary) and ``rvos_expressions.csv`` (a row an expression).

    Values are in percent. Each file appears whole or not at all; files of an earlier evaluation are replaced.

    Args:
        out_dir: the folder, made if it is missing.
        summary: what `summarize` returned.
        scores: what it was made from.
        about: how it was made, for the json: anything that json takes.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    report = dict(unit='percent', **about, **summary)
    _write_whole(out_dir / 'rvos_metric.json', json.dumps(report, indent=2, ensure_ascii=False) + '\n')

    groups = [[name, *(row[key] for key in (*MEASURES, 'n'))] for name, row in summary['groups'].items()]
    total = ['all', *(summary['overall'][key] for key in (*MEASURES, 'n'))]
    header = ['group', *(f'{key} [%]' for key in MEASURES), 'n']
    _write_whole(out_dir / 'rvos_metric.csv', _csv([header, *groups, total]))

    header = ['video_id', 'exp_id', 'group', 'frames', 'J&F [%]', 'J [%]', 'F [%]', 'text']
    rows = [
        [s.video_id, s.exp_id, s.group or '', s.num_frames, 100 * s.mean, 100 * s.region, 100 * s.contour, s.text]
        for s in scores
    ]
    _write_whole(out_dir / 'rvos_expressions.csv', _csv([header, *rows]))


def _means(scores: Sequence[ExpressionScore]) -> dict[str, float]:
    if not scores:
        raise ValueError('there is no expression to summarize')
    region, contour = np.array([(score.region, score.contour) for score in scores]).T
    means = (region + contour) / 2, region, contour, region > 0.5
    return {name: 100 * float(values.mean()) for name, values in zip(MEASURES, means, strict=True)} | {'n': len(scores)}


def _csv(rows: Sequence[Sequence]) -> str:
    text = io.StringIO(newline='')
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def _write_whole(path: Path, text: str) -> None:
    """Writes beside the file first, so that it is never seen half-written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'w', encoding='utf-8', newline='') as file:
            file.write(text)
        os.chmod(temporary, 0o644)  # mkstemp's files are for the owner alone
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
