"""Subcommand of benchmark.py: what docs/performance.md promises, a row each."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark_model import parse_setting
from benchmark_process import DEFAULTS, ROOT, measure
from benchmark_report import machine
from benchmark_video import infer_peak, moving_square, write_video

from ifirvos_cli.common import positive_int, whole_number

COLUMNS = ('row', '', 'time', 'target', 'memory', 'target')
# A process that imports something, then says how much memory it has had at most.
IMPORT = """
import {}
print(next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""


def add_targets(subcommands) -> None:
    parser = subcommands.add_parser('targets', help='all targets, compared with the straightforward mode')
    parser.add_argument('--rounds', type=positive_int, default=2)
    parser.add_argument('--only', type=whole_number, nargs='+', help='run only these rows, from 0')
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', help='other settings, of all sides')
    parser.set_defaults(run=run_targets)


def run_targets(args: argparse.Namespace) -> None:
    print(machine(), flush=True)
    print(f'| {" | ".join(COLUMNS)} |\n' + '| --- ' * len(COLUMNS) + '|', flush=True)
    for number, row in enumerate(ROWS):
        if args.only is None or number in args.only:
            print(f'| {number} | {" | ".join(row(args))} |', flush=True)


def straightforward_row(name: str, changes: dict, time_target: float, memory_target: float) -> Callable:
    """Return a row that compares the product with the straightforward mode."""

    def row(args: argparse.Namespace) -> Sequence[str]:
        base = parse_setting(args.set, {**DEFAULTS, **changes})
        other, ours = measure([{**base, 'mode': 'straightforward'}, base], args.rounds)
        seconds = f'{ours["wall"] / other["wall"]:.2f} (CPU {ours["cpu"] / other["cpu"]:.2f}) of {other["wall"]:.1f} s'
        memory = f'{ours["memory_mib"] / other["memory_mib"]:.2f} of {other["memory_mib"]:.0f} MiB'
        return name, seconds, f'{time_target:.2f}', memory, f'{memory_target:.2f}'

    return row


def half_row(args: argparse.Namespace) -> Sequence[str]:
    """Compare bf16 with the straightforward mode in fp32, where this processor has units for it."""
    import torch

    from ifirvos.inference.precision import has_units

    name, target = 'T=5, 1 sentence, bf16', '0.28'
    base = parse_setting(args.set, DEFAULTS)
    if not has_units(torch.device(base['device']), 'bf16'):
        return name, 'no units for bf16 here', target, '', ''
    other, ours = measure([{**base, 'mode': 'straightforward'}, {**base, 'dtype': 'bf16'}], args.rounds)
    seconds = f'{ours["wall"] / other["wall"]:.2f} of {other["wall"]:.1f} s, J {bf16_agreement(base["device"]):.3f}'
    return name, seconds, f'{target}, J 0.98', f'{ours["memory_mib"] / other["memory_mib"]:.2f}', ''


def bf16_agreement(device: str) -> float:
    """Return J of the included model's masks in bf16 to those in fp32; random weights, as above, draw noise."""
    from ifirvos.evaluation.functional import region_similarity
    from ifirvos.inference.demo import held_out_clip, questions
    from ifirvos.inference.inferencer import RVOSInferencer
    from ifirvos.synth import draw_frames

    clip = held_out_clip(seed=1)
    frames, texts = list(draw_frames(clip.facts.scene)), [text for _, text, _ in questions(clip)]
    found = []
    for dtype in ('fp32', 'bf16'):
        results = RVOSInferencer(device=device, dtype=dtype, show_progress=False)(frames, texts, 'bgr')
        found.append([result.masks for result in results])
    return min(float(region_similarity(a, b).mean()) for a, b in zip(*found, strict=True))


def growth_row(args: argparse.Namespace) -> Sequence[str]:
    """Compare the time per frame of a long clip with that of a short one."""
    frames = (5, 100)
    # The long one once, but warm too: the first run also maps gigabytes of memory.
    short, long = (
        measure([parse_setting(args.set, {**DEFAULTS, 'frames': n})], rounds)[0]
        for n, rounds in zip(frames, (args.rounds, 1), strict=True)
    )
    ratio = (long['wall'] / frames[1]) / (short['wall'] / frames[0])
    memory = f'{long["memory_mib"]:.0f} MiB at T={frames[1]}'
    return f'per frame, T={frames[1]} / T={frames[0]}', f'{ratio:.2f}', '1.15', memory, ''


def streamed_row(args: argparse.Namespace) -> Sequence[str]:
    """Compare the memory of tools/infer.py on a long video with that on a short one."""
    frames, times, peaks = (200, 10_000), (3, 1), []  # processes with the same short video differ by 5 %
    with tempfile.TemporaryDirectory() as folder:
        for n, number in zip(frames, times, strict=True):
            video = write_video(Path(folder) / f'video{n}', moving_square(n, 96, 144))
            outs = [Path(folder) / f'out{n}_{k}' for k in range(number)]
            peaks.append(
                statistics.median(infer_peak(video, ['the red square'], out, ['--dtype', 'fp32'])[0] for out in outs)
            )
    memory = f'{peaks[1] / peaks[0]:.2f} of {peaks[0]:.0f} MiB'
    return f'infer, a video of {frames[1]} frames / of {frames[0]}', '', '', memory, '1.10'


def start_row(args: argparse.Namespace) -> Sequence[str]:
    """Compare the whole of tools/infer.py on 8 small frames with an import of transformers' RoBERTa."""
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / 'video', moving_square(8, 96, 144))
        infer = [ROOT / 'tools/infer.py', video, 'the red square', '--out', Path(folder) / 'out', '--overwrite']
        ours, roberta = fastest(args.rounds, infer, ['-c', 'from transformers import RobertaModel'])
    return 'infer, 8 frames / importing RoBERTa', f'{ours / roberta:.2f} of {roberta:.1f} s', '1.30', '', ''


def import_row(args: argparse.Namespace) -> Sequence[str]:
    ours, torch = (float(run_python(['-c', IMPORT.format(what)])) for what in ('ifirvos', 'torch'))
    return '`import ifirvos`', '', '', f'{ours:.0f} MiB, of which torch {torch:.0f}', '400'


def help_row(args: argparse.Namespace) -> Sequence[str]:
    """Measure the slowest answer of a tool to --help and to a wrong option."""
    tools = [path for path in sorted((ROOT / 'tools').rglob('*.py')) if 'ArgumentParser' in path.read_text()]
    tools = [path for path in tools if not path.name.startswith('benchmark_')]
    slowest = {
        option: max((fastest(args.rounds, [path, option], codes=(0, 2))[0], path.name) for path in tools)
        for option in ('--help', '--no-such-option')
    }
    (seconds, name), (wrong, wrong_name) = slowest.values()
    what = f'{seconds:.1f} s ({name}), {wrong:.1f} s ({wrong_name})'
    return f'`--help`, a wrong option: the slowest of {len(tools)} tools', what, '1 s', '', ''


def fastest(rounds: int, *commands: Sequence[str | Path], codes: tuple[int, ...] = (0,)) -> list[float]:
    """Return the shortest seconds of each command of Python, in turns, after one run that warms the disk's cache."""
    seconds = [[] for _ in commands]
    for number in range(rounds + 1):
        for command, found in zip(commands, seconds, strict=True):
            began = time.perf_counter()
            run_python(command, codes)
            if number:
                found.append(time.perf_counter() - began)
    return [min(found) for found in seconds]


def run_python(arguments: Sequence[str | Path], codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode not in codes:
        raise SystemExit(done.stderr)
    return done.stdout


ROWS = (
    straightforward_row('T=5, 1 sentence', dict(frames=5), 0.50, 0.60),
    straightforward_row('T=5, 4 sentences', dict(frames=5, sentences=4), 0.42, 0.50),
    straightforward_row('T=36, 1 sentence', dict(frames=36), 0.38, 0.25),
    straightforward_row('training step, T=5', dict(task='train', frames=5), 0.85, 0.75),
    growth_row,
    streamed_row,
    start_row,
    import_row,
    help_row,
    half_row,
)
