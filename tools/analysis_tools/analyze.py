"""Lists the best and worst expressions of a run, and those in which two runs differ most, with figures.

    python tools/analysis_tools/analyze.py NAME=RUN [NAME=RUN] --out DIR [--config CONFIG --models MODEL [MODEL]]

A RUN is a folder with rvos_expressions.csv and rvos_frames.csv, written by RVOSMetric (``tools/test.py`` beside its
log, ``tools/analysis_tools/eval_masks.py --out``); the newest below the folder is used. DIR gets

    analysis.md       the lists, means by group, and the figures
    expressions.csv   every expression with both scores and their difference
    pictures/         figures of the listed expressions, if --config (its data set) and --models (one per run: a
                      checkpoint or a folder of masks, see compare.py) are given; with the worst frame, or the
                      one in which the runs differ most
"""

import argparse
import csv
import html
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import (
    add_config_options,
    main_of,
    output_path,
    positive_int,
    split_name,
    tool_arguments,
)

MEASURES = ('J&F', 'J', 'F')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='+', metavar='NAME=RUN', help='one or two runs')
    parser.add_argument('--out', type=output_path, required=True, help='folder for the report; must not exist')
    parser.add_argument('--top', type=positive_int, default=5, help='length of the lists')
    parser.add_argument('--by', choices=MEASURES, default='J&F', help='metric to compare by')
    parser.add_argument('--group', help='expressions of this group (kind) only')
    parser.add_argument('--config', type=Path, help='config of the data set to draw')
    parser.add_argument('--models', nargs='+', metavar='MODEL', help='checkpoints or folders of masks, one per run')
    parser.add_argument('--split', choices=['test', 'val'], default='test', help='dataloader of the config')
    parser.add_argument('--frames', type=positive_int, default=5, help='columns per image')
    parser.add_argument('--width', type=positive_int, default=200, help='width of a frame in a figure, in pixels')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 …; default: a GPU if there is one')
    add_config_options(parser)
    args = parser.parse_args(argv)
    if len(args.runs) > 2:
        parser.error('give one or two runs')
    if (args.config is None) != (args.models is None):
        parser.error('pictures need both --config and --models')
    if args.models is not None and len(args.models) != len(args.runs):
        parser.error(f'--models needs one model a run, {len(args.runs)} of them')
    return args


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import compare as figure
import numpy as np
from tqdm import tqdm

from ifirvos.errors import InputError, MissingFileError, OutputExistsError
from ifirvos.files import check_folder, write_whole
from ifirvos.inference.folders import staged_folders
from ifirvos.structures import spread
from ifirvos.visualization.frames import safe_part

EXPRESSIONS, FRAMES = 'rvos_expressions.csv', 'rvos_frames.csv'
Key = tuple[str, str]  # video, expression


@dataclass(frozen=True)
class Scores:
    """What a run scored, in percent.

    Attributes:
        name: Name of the run.
        rows: By (video, expression) the row of ``rvos_expressions.csv``.
        frames: Likewise J of every frame, (T,).
    """

    name: str
    rows: dict[Key, dict[str, str]]
    frames: dict[Key, np.ndarray]

    def value(self, key: Key, measure: str) -> float:
        return float(self.rows[key][f'{measure} [%]'])


def read_scores(spec: str) -> Scores:
    """Return a run's scores; ``spec`` is ``[NAME=]FOLDER``.

    Raises:
        FileNotFoundError: The folder holds no such files.
        InputError: They are not RVOSMetric's.
    """
    name, path = split_name(spec)
    found = sorted(Path(path).rglob(EXPRESSIONS), key=lambda file: file.stat().st_mtime)
    if not found:
        raise MissingFileError(f'There is no {EXPRESSIONS} in {path or "."} or below; tools/test.py writes it.')
    try:
        with open(found[-1], encoding='utf-8', newline='') as file:
            rows = {(row['video_id'], row['exp_id']): row for row in csv.DictReader(file)}
        frames: dict[Key, list[float]] = {}
        with open(found[-1].with_name(FRAMES), encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                frames.setdefault((row['video_id'], row['exp_id']), []).append(float(row['J [%]']))
        for row in rows.values():
            for measure in MEASURES:
                float(row[f'{measure} [%]'])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f'{found[-1]} and {FRAMES} are not what RVOSMetric writes: {error!r}.') from error
    if missing := rows.keys() - frames.keys():
        raise InputError(f'{found[-1].with_name(FRAMES)} lacks {len(missing)} expressions, such as {min(missing)}.')
    return Scores(name or Path(path).name, rows, {key: np.array(values) for key, values in frames.items()})


def shared(runs: Sequence[Scores], group: str | None) -> list[Key]:
    """Return the expressions that all runs have scored, in the order of the first.

    Raises:
        InputError: There is none.
    """
    keys = [key for key in runs[0].rows if all(key in run.rows for run in runs)]
    if group is not None:
        keys = [key for key in keys if runs[0].rows[key]['group'] == group]
    if not keys:
        groups = ', '.join(sorted({row['group'] for row in runs[0].rows.values()}))
        raise InputError(f'No expression is left to compare (the groups of {runs[0].name} are: {groups}).')
    return keys


def lists(runs: Sequence[Scores], keys: Sequence[Key], measure: str, top: int) -> list[tuple[str, list[Key]]]:
    """Title and expressions of every list; ties keep the order of the keys."""
    chosen = []
    for run in runs:
        value = {key: run.value(key, measure) for key in keys}
        chosen.append((f'Best of {run.name}', sorted(keys, key=lambda key: -value[key])[:top]))
        chosen.append((f'Worst of {run.name}', sorted(keys, key=value.get)[:top]))
    if len(runs) == 2:
        first, second = runs
        gain = {key: second.value(key, measure) - first.value(key, measure) for key in keys}
        better = sorted((key for key in keys if gain[key] > 0), key=lambda key: -gain[key])
        worse = sorted((key for key in keys if gain[key] < 0), key=gain.get)
        chosen.append((f'{second.name} better than {first.name} by most', better[:top]))
        chosen.append((f'{first.name} better than {second.name} by most', worse[:top]))
    return chosen


def columns(runs: Sequence[Scores], key: Key, number: int) -> list[int]:
    """Return the frames of a picture: evenly spread, the one of most interest in place of its nearest."""
    curves = [run.frames[key] for run in runs]
    if len(curves) == 2 and len(curves[0]) == len(curves[1]):
        special = int(np.abs(curves[0] - curves[1]).argmax())
    else:
        special = int(curves[0].argmin())
    ids = np.array(spread(len(curves[0]), number))
    ids[np.abs(ids - special).argmin()] = special
    return sorted(ids.tolist())


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; a number gets one decimal, and text cannot break out of its cell."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return f'{value:.1f}'
        return html.escape(' '.join(str(value).split()), quote=False).replace('|', '\\|')

    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(map(cell, line)) + ' |' for line in lines)


def difference(values: Sequence[float]) -> list[float]:
    """Subtract the first from the second, where there are two."""
    return [values[1] - values[0]] if len(values) == 2 else []


def group_table(runs: Sequence[Scores], keys: Sequence[Key], measure: str) -> str:
    """Means by group, and over all."""
    groups: dict[str, list[Key]] = {}
    for key in keys:
        groups.setdefault(runs[0].rows[key]['group'] or '(none)', []).append(key)
    rows = []
    for name, part in [*sorted(groups.items()), ('all', list(keys))]:
        means = [float(np.mean([run.value(key, measure) for key in part])) for run in runs]
        rows.append([name, *means, *difference(means), len(part)])
    return table(['group', *(run.name for run in runs), *(['difference'] if len(runs) == 2 else []), 'n'], rows)


def joined_csv(runs: Sequence[Scores], keys: Sequence[Key], measure: str) -> str:
    """Every expression with all scores."""
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    names = [f'{run.name} {measure} [%]' for run in runs]
    writer.writerow(['video_id', 'exp_id', 'group', *names, *(['difference'] if len(runs) == 2 else []), 'text'])
    for key in keys:
        values = [run.value(key, measure) for run in runs]
        row = runs[0].rows[key]
        writer.writerow([*key, row['group'], *values, *difference(values), row['text']])
    return text.getvalue()


def draw(args: argparse.Namespace, runs: Sequence[Scores], keys: Sequence[Key], folder: Path) -> dict[Key, str]:
    """Write the pictures; returns their paths, as seen from the report."""
    sources = [figure.Run(f'{run.name}={spec}', args.device) for run, spec in zip(runs, args.models, strict=True)]
    dataset = figure.open_dataset(args.config, args.split, args.cfg_options, args.data_root, args.allow_unknown)
    folder.mkdir(exist_ok=True)
    pictures = {}
    for key in tqdm(keys, desc='Drawing', unit='picture'):
        clip = figure.load_clip(dataset, *key)
        name = '_'.join(map(safe_part, key)) + '.png'
        figure.write_sheet(
            folder / name, clip, figure.compare(clip, sources), columns(runs, key, args.frames), args.width
        )
        pictures[key] = f'{folder.name}/{name}'
    return pictures


def report(
    runs: Sequence[Scores],
    keys: Sequence[Key],
    chosen: Sequence[tuple[str, list[Key]]],
    pictures: dict[Key, str],
    measure: str,
) -> str:
    """Return the Markdown text."""
    parts = [
        f'# {measure} of {" and ".join(run.name for run in runs)}, in percent',
        group_table(runs, keys, measure),
    ]
    header = ['video', 'expression', 'group', *(run.name for run in runs), *(['difference'] if len(runs) == 2 else [])]
    for title, part in chosen:
        rows = []
        for key in part:
            values = [run.value(key, measure) for run in runs]
            row = runs[0].rows[key]
            rows.append([*key, row['group'], *values, *difference(values), row['text']])
        parts += [f'## {title}', table([*header, 'sentence'], rows) if rows else 'None.']
        parts += [f'![{" ".join(map(safe_part, key))}]({pictures[key]})' for key in part if key in pictures]
    return '\n\n'.join(parts) + '\n'


def report_to(
    args: argparse.Namespace, runs: Sequence[Scores], keys: Sequence[Key], chosen: Sequence[tuple[str, list[Key]]]
) -> str:
    """Write everything; the folder appears when it is complete. Returns the text of the report."""
    with staged_folders([args.out]) as (folder,):
        listed = list(dict.fromkeys(key for _, part in chosen for key in part))
        pictures = {} if args.models is None else draw(args, runs, listed, folder / 'pictures')
        text = report(runs, keys, chosen, pictures, args.by)
        write_whole(folder / 'analysis.md', text.encode())
        write_whole(folder / 'expressions.csv', joined_csv(runs, keys, args.by).encode())
    return text


def main(argv: Sequence[str] | None = None) -> None:
    """Write the report and print it."""
    args = parse_args(argv)
    check_folder(args.out)
    if args.out.exists():
        raise OutputExistsError(f'{args.out} exists: name a new folder.')
    runs = [read_scores(spec) for spec in args.runs]
    keys = shared(runs, args.group)
    text = report_to(args, runs, keys, lists(runs, keys, args.by, args.top))
    for run in runs:
        if left := len(run.rows) - len(keys):
            print(f'note: {left} of the {len(run.rows)} expressions of {run.name} are not compared.', file=sys.stderr)
    print(text + '\n' + str(args.out / 'analysis.md'))


if __name__ == '__main__':
    sys.exit(main_of(main))
