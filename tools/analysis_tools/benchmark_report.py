"""Tables and plots of what benchmark.py measured."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from benchmark_process import DEFAULTS


def label(setting: dict) -> str:
    """Return what of a setting is not as usual, and T and sentences."""
    shown = {key: value for key, value in setting.items() if value != DEFAULTS[key] and key != 'stages'}
    return ' '.join(f'{key}={value}' for key, value in {'frames': setting['frames'], **shown}.items())


def machine() -> str:
    """Return processor and threads, as a line."""
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    name = next((line.split(':')[1].strip() for line in lines if line.startswith('model name')), 'unknown processor')
    load = os.getloadavg()[0]
    return f'{name}, {os.cpu_count()} cores; load of the machine {load:.1f}'


def table(rows: list[dict], compared: bool) -> str:
    """Return a markdown table; of two compared settings the second line holds ratios to the first."""
    columns = ('setting', 's', 'from - to', 'CPU s', 'page faults', 'working MiB', 'frames/s', 'sentences/s')
    lines = [f'| {" | ".join(columns)} |', '| --- ' * 8 + '|']
    for number, row in enumerate(rows):
        setting = row['setting']
        frames = setting['frames'] * setting['sentences']
        lines.append(
            f'| {label(setting)} | {row["wall"]:.2f} | {row["wall_min"]:.2f} - {row["wall_max"]:.2f} '
            f'| {row["cpu"]:.2f} | {row["page_faults"]:.0f} | {row["memory_mib"]:.0f} | {frames / row["wall"]:.2f} '
            f'| {setting["sentences"] / row["wall"]:.3f} |'
        )
        if compared and number % 2:
            keys = ('wall', 'cpu', 'page_faults', 'memory_mib')
            ratios = [row[key] / max(rows[number - 1][key], 1e-9) for key in keys]
            lines.append('| ratio | {:.2f} | | {:.2f} | {:.2f} | {:.2f} | | |'.format(*ratios))
    return '\n'.join(lines)


def stage_table(row: dict) -> str:
    """Return a markdown table of the stages: seconds, share, GFLOP, share of the matrix products' rate."""
    rate, total = row['gflops_a_second'], sum(stage['wall'] for stage in row['stages'].values())
    lines = [
        f'matrix products of 2048x2048: {rate:.0f} GFLOP/s\n',
        '| stage | s | share | CPU s | page faults | GFLOP | share of that rate |',
        '| --- ' * 7 + '|',
    ]
    for name, stage in sorted(row['stages'].items(), key=lambda item: -item[1]['wall']):
        used = stage['gflop'] / max(stage['wall'], 1e-9) / rate
        lines.append(
            f'| {name} | {stage["wall"]:.2f} | {stage["wall"] / total:.0%} | {stage["cpu"]:.2f} | '
            f'{stage["page_faults"]:.0f} | {stage["gflop"]:.1f} | {used:.0%} |'
        )
    return '\n'.join(lines)


def plot(rows: list[dict], path: Path) -> None:
    """Draw time and working memory over T, or over sentences where those differ, a line a setting."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    axis = 'sentences' if len({row['setting']['sentences'] for row in rows}) > 1 else 'frames'
    lines = defaultdict(list)
    for row in rows:
        lines[row['setting']['mode'] + ' ' + row['setting']['dtype']].append(row)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout='constrained')
    for axes_, key, what in zip(axes, ('wall', 'memory_mib'), ('seconds', 'working memory, MiB'), strict=True):
        for name, points in lines.items():
            axes_.plot([row['setting'][axis] for row in points], [row[key] for row in points], 'o-', label=name)
        axes_.set(xlabel='frames (T)' if axis == 'frames' else axis, ylabel=what, ylim=(0, None))
    axes[0].legend()
    figure.savefig(path, dpi=120)
