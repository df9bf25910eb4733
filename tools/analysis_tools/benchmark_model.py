"""Subcommands of benchmark.py for the model: prediction and training step, comparing settings in one run."""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

from benchmark_process import DEFAULTS, measure
from benchmark_report import label, machine, plot, stage_table, table

from ifirvos_cli.common import output_path, positive_int


def add_infer(subcommands) -> None:
    parser = subcommands.add_parser('infer', help='seconds and memory of a prediction, by settings or by stage')
    _add_shared(parser, 'infer')


def add_train(subcommands) -> None:
    parser = subcommands.add_parser('train', help='seconds and memory of a training step')
    _add_shared(parser, 'train')


def _add_shared(parser: argparse.ArgumentParser, task: str) -> None:
    known = ', '.join(f'{key}={value}' for key, value in DEFAULTS.items() if key not in ('task', 'stages'))
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', help=f'the setting; default: {known}')
    parser.add_argument('--frames', type=positive_int, nargs='+', help='several T, one after another')
    parser.add_argument('--sentences', type=positive_int, nargs='+', help='several numbers of sentences')
    parser.add_argument(
        '--compare',
        nargs=2,
        metavar=('A', 'B'),
        help='two settings, KEY=VALUE,KEY=VALUE, in turns: --compare mode=straightforward mode=product',
    )
    parser.add_argument(
        '--rounds', type=positive_int, default=3, help='rounds, after one warm-up round; the median is reported'
    )
    parser.add_argument('--stages', action='store_true', help='also by stage, with FLOPs')
    parser.add_argument('--json', type=output_path, help='write all numbers')
    parser.add_argument('--plot', type=Path, help='draw time and memory over T or sentences (.png)')
    parser.set_defaults(run=lambda args: run_settings(args, task))


def parse_setting(pairs: list[str], base: dict) -> dict:
    """Add KEY=VALUE pairs to a setting.

    Raises:
        SystemExit: there is no such key, or its value is no number where one belongs.
    """
    setting = dict(base)
    for pair in pairs:
        key, _, value = pair.partition('=')
        if key not in DEFAULTS:
            raise SystemExit(f'no setting {key!r}; there are {", ".join(DEFAULTS)}')
        try:
            setting[key] = type(DEFAULTS[key])(value)
        except ValueError:
            raise SystemExit(f'{key} takes a number, not {value!r}') from None
    return setting


def run_settings(args: argparse.Namespace, task: str) -> None:
    base = parse_setting(args.set, {**DEFAULTS, 'task': task, 'stages': int(args.stages)})
    over = product(args.frames or [base['frames']], args.sentences or [base['sentences']])
    rows = []
    for frames, sentences in over:
        setting = {**base, 'frames': frames, 'sentences': sentences}
        sides = args.compare or ['']
        settings = [parse_setting([pair for pair in side.split(',') if pair], setting) for side in sides]
        rows += measure(settings, args.rounds)
    print(machine())
    print(table(rows, compared=bool(args.compare)))
    for row in rows:
        if args.stages:
            print('\n' + label(row['setting']) + '\n' + stage_table(row))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + '\n')
    if args.plot:
        plot(rows, args.plot)
