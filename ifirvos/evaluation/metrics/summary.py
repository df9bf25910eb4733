"""Summary of the records of all expressions: groups, confidence interval, table, files.

Values of records are fractions. Summary, table and files are in percent, except counts, which are int. A record is any
object with ``video_id`` (bootstrap draws whole videos) and ``group`` (None: no groups).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ifirvos.errors import InputError
from ifirvos.files import csv_text, make_folder, write_whole


def summarize(
    records: Sequence[Any],
    measure: Callable[[Sequence[Any]], dict[str, float]],
    interval_of: str,
    interval: Callable[[Sequence[Any]], tuple[float, float]] | None,
) -> dict[str, dict]:
    """Return the measures overall and of every group.

    Args:
        records: At least one.
        measure: Maps some records to their measures, in percent.
        interval_of: The measure that gets an interval.
        interval: Maps the records to its two ends, fractions; None: no interval.

    Returns:
        ``overall``: the measures, and with ``interval`` its ends as ``NAME_low`` and ``NAME_high``; ``groups``:
        the measures by name of the group, sorted.

    Raises:
        ValueError: if there is no record.
    """
    if not records:
        raise InputError('there is nothing to summarize: no sample was evaluated')
    overall = measure(records)
    if interval is not None:
        low, high = interval(records)
        overall |= {f'{interval_of}_low': 100 * low, f'{interval_of}_high': 100 * high}
    names = sorted({record.group for record in records if record.group is not None})
    groups = {name: measure([record for record in records if record.group == name]) for name in names}
    return dict(overall=overall, groups=groups)


def format_table(summary: dict[str, dict], columns: Sequence[str], group_by: str | None = None) -> str:
    """Format the summary as lines of text: one row per group, then all records, then the interval, if any."""
    rows = {**summary['groups'], 'all': summary['overall']}
    columns = [key for key in columns if key in summary['overall']]
    width = max(map(len, [*rows, group_by or '']))
    table = [(group_by or '', columns)]
    for name, row in rows.items():
        table.append((name, [_cell(row.get(key)) for key in columns]))
    widths = [max(9, len(title) + 2) for title in columns]
    lines = [f'{name:{width}}' + ''.join(map(str.rjust, cells, widths)) for name, cells in table]
    overall = summary['overall']
    for low in (key for key in overall if key.endswith('_low')):
        name = low.removesuffix('_low')
        lines.append(f'{name} between {overall[low]:.2f} and {overall[f"{name}_high"]:.2f} (bootstrap over videos)')
    return '\n'.join(lines)


def _cell(value: float | None) -> str:
    if value is None:  # a measure that this group has not
        return ''
    return str(value) if isinstance(value, int) else f'{value:.2f}'


def write_report(
    out_dir: str | Path,
    name: str,
    summary: dict[str, dict],
    columns: Sequence[str],
    details: Mapping[str, Sequence[Mapping[str, Any]]],
    **about,
) -> None:
    """Write ``NAME_metric.json`` and ``NAME_metric.csv`` (the summary) and ``NAME_{detail}.csv`` for every detail.

    Each file appears whole or not at all; files of an earlier evaluation are replaced.

    Args:
        out_dir: The folder, made if it is missing.
        name: Start of the file names.
        summary: What `summarize` returned.
        columns: The measures in ``NAME_metric.csv``.
        details: Rows of further tables; the keys of the first row are the header.
        about: Settings for the json file.
    """
    out_dir = make_folder(out_dir)
    report = dict(unit='percent', **about, **summary)
    write_whole(out_dir / f'{name}_metric.json', json.dumps(report, indent=2, ensure_ascii=False) + '\n')
    rows = {**summary['groups'], 'all': summary['overall']}
    overall = summary['overall']
    titles = {key: key if isinstance(overall[key], int) else f'{key} [%]' for key in columns if key in overall}
    table = [
        dict(group=group) | {title: row.get(key, '') for key, title in titles.items()} for group, row in rows.items()
    ]
    write_whole(out_dir / f'{name}_metric.csv', csv_text(table))
    for detail, detail_rows in details.items():
        write_whole(out_dir / f'{name}_{detail}.csv', csv_text(detail_rows))
