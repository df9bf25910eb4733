"""Subcommand of benchmark.py: this checkout against another one, say of an earlier commit."""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmark_process import ROOT
from benchmark_report import machine

from ifirvos_cli.common import positive_int

CONFIG = 'configs/ifirvos/r18_synth.py'
DATA = 'data/synth_rvos'
WEIGHTS = ROOT / 'weights/r18_synth.pth'
# Runs a script with double precision wherever code asks for single, but to read a file.
IN_DOUBLE = """
import runpy, sys
from pathlib import Path
import torch

single, load = torch.float32, torch.load

def read(*args, **kwargs):
    torch.float32 = torch.float = single
    try:
        return load(*args, **kwargs)
    finally:
        torch.float32 = torch.float = torch.float64

torch.set_default_dtype(torch.float64)
torch.float32 = torch.float = torch.float64
torch.Tensor.float, torch.nn.Module.float, torch.load = torch.Tensor.double, torch.nn.Module.double, read
sys.argv.pop(0)
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name='__main__')
"""
SAME = 1e-3  # losses that differ by less of their value


def add_checkouts(subcommands) -> None:
    parser = subcommands.add_parser(
        'checkouts', help="the small model's training step and tools/demo.py, compared with another checkout"
    )
    parser.add_argument('other', type=Path, help='folder of the other checkout, for example of git worktree')
    parser.add_argument('--steps', type=positive_int, default=200, help='training steps, whose losses are compared')
    parser.add_argument('--rounds', type=positive_int, default=3, help='demos of each; the shortest is reported')
    parser.add_argument(
        '--rounding', action='store_true', help='also train the other checkout with two threads, which round otherwise'
    )
    parser.add_argument(
        '--double', action='store_true', help='also compare losses in double precision, in which rounding stays small'
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='also train this checkout with CompileHook (minutes until it is compiled)',
    )
    parser.set_defaults(run=run_checkouts)


def run_checkouts(args: argparse.Namespace) -> None:
    checkouts = [args.other.resolve(), ROOT]
    for checkout in checkouts:
        if not (checkout / DATA).exists():
            raise SystemExit(f'{checkout / DATA} is missing: generate it, or link it there')
    print(machine())
    # Not at once: each has a process that loads data too, for which two cores would not do.
    theirs, ours = (train(checkout, 1, args.steps) for checkout in checkouts)
    before, after = step_seconds(theirs), step_seconds(ours)
    print(f'a training step of {CONFIG}: {after / before:.2f} of {before:.3f} s')
    print(f'losses of {len(ours)} steps differ {difference(theirs, ours)}')
    if args.compile:
        compiled = train(ROOT, 1, args.steps, ['default_hooks.compile.type=CompileHook'])
        print(f'with CompileHook: {step_seconds(compiled) / before:.2f}; losses differ {difference(theirs, compiled)}')
    if args.rounding:
        again = train(checkouts[0], 2, args.steps)
        print(f'those of the other checkout with one thread and with two {difference(theirs, again)}')
    if args.double:
        theirs, ours = (train(checkout, 2, args.steps, double=True) for checkout in checkouts)
        print(f'in double precision losses of {len(ours)} steps differ {difference(theirs, ours)}')
    demos = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            for checkout, found in zip(checkouts, demos, strict=True):
                began = time.perf_counter()
                run(checkout, ['tools/demo.py', '--out', f'{folder}/{checkout.name}{number}'], 2)
                found.append(time.perf_counter() - began)
    print(f'tools/demo.py: {min(demos[1]) / min(demos[0]):.2f} of {min(demos[0]):.1f} s')


def difference(theirs: Sequence[dict], ours: Sequence[dict]) -> str:
    """Say how far the losses of two trainings are apart, and from which step on they are not the same."""
    pairs = [(a['loss'], b['loss']) for a, b in zip(theirs, ours, strict=True)]
    apart = [abs(a - b) / max(abs(a), 1e-12) if math.isfinite(a + b) else math.inf for a, b in pairs]
    first = next((step for step, far in enumerate(apart, 1) if far > SAME), None)
    said = f'by at most {max(apart):.1e} of their value'
    return said if first is None else f'{said}, by more than {SAME:.0e} first at step {first}'


def step_seconds(rows: Sequence[dict]) -> float:
    """Return the median time of a step, the first quarter of them left out."""
    return statistics.median(row['time'] for row in rows[len(rows) // 4 :])


def train(checkout: Path, threads: int, steps: int, more: Sequence[str] = (), double: bool = False) -> list[dict]:
    """Train in a checkout with a number of threads and more options; return what was logged, a row per step."""
    options = [
        f'load_from={WEIGHTS}',
        f'train_cfg.max_iters={steps}',
        f'train_cfg.val_begin={10 * steps}',
        'default_hooks.logger.interval=1',
        f'default_hooks.checkpoint.interval={10 * steps}',
        *more,
    ]
    with tempfile.TemporaryDirectory() as folder:
        script = ['-c', IN_DOUBLE, 'tools/train.py'] if double else ['tools/train.py']
        run(checkout, [*script, CONFIG, '--work-dir', folder, '--cfg-options', *options], threads)
        return read_scalars(Path(folder))


def read_scalars(work_dir: Path) -> list[dict]:
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if 'loss' in row]


def run(checkout: Path, arguments: Sequence[str | Path], threads: int) -> None:
    """Run a script of a checkout; what it printed is shown if it fails."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), PYTHONPATH=str(checkout))
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stdout)
