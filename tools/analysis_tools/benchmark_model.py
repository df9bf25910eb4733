"""Subcommands of benchmark.py for the model: prediction and training step, comparing settings in one run.

Every setting runs in its own process, because memory allocation is per process; they take turns, so that other load
affects all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import product
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = dict(
    task='infer',
    mode='product',
    config='configs/ifirvos/r50_ytvos.py',
    frames=5,
    sentences=1,
    size='360x640',
    dtype='fp32',
    device='cpu',
    threads=2,
    frame_chunk='',
    shrink=0,
    stages=0,
)
# Of the targets: name, setting, allowed ratio of time and of working memory to the straightforward way.
TARGETS = (
    ('T=5, 1 sentence', dict(frames=5), 0.50, 0.6),
    ('T=5, 4 sentences', dict(frames=5, sentences=4), 0.42, 0.5),
    ('T=36, 1 sentence', dict(frames=36), 0.38, 0.25),
    ('training step, T=5', dict(task='train', frames=5), 0.85, 0.75),
)


# ---------------------------------------------------------------------- command line
def add_infer(subcommands) -> None:
    parser = subcommands.add_parser('infer', help='seconds and memory of a prediction, by settings or by stage')
    _add_shared(parser, 'infer')


def add_train(subcommands) -> None:
    parser = subcommands.add_parser('train', help='seconds and memory of a training step')
    _add_shared(parser, 'train')


def add_targets(subcommands) -> None:
    parser = subcommands.add_parser('targets', help='all targets, compared with the straightforward mode')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--only', type=int, nargs='+', help='run only these rows, from 0')
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', help='other settings, of both sides')
    parser.set_defaults(run=run_targets)


def _add_shared(parser: argparse.ArgumentParser, task: str) -> None:
    known = ', '.join(f'{key}={value}' for key, value in DEFAULTS.items() if key not in ('task', 'stages'))
    parser.add_argument('--set', nargs='+', default=[], metavar='KEY=VALUE', help=f'the setting; default: {known}')
    parser.add_argument('--frames', type=int, nargs='+', help='several T, one after another')
    parser.add_argument('--sentences', type=int, nargs='+', help='several numbers of sentences')
    parser.add_argument(
        '--compare',
        nargs=2,
        metavar=('A', 'B'),
        help='two settings, KEY=VALUE,KEY=VALUE, in turns: --compare mode=straightforward mode=product',
    )
    parser.add_argument('--rounds', type=int, default=3, help='rounds, after one warm-up round; the median is reported')
    parser.add_argument('--stages', action='store_true', help='also by stage, with FLOPs')
    parser.add_argument('--json', type=Path, help='write all numbers')
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
            raise SystemExit(f'error: no setting {key!r}; there are {", ".join(DEFAULTS)}')
        try:
            setting[key] = type(DEFAULTS[key])(value)
        except ValueError:
            raise SystemExit(f'error: {key} takes a number, not {value!r}') from None
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


def run_targets(args: argparse.Namespace) -> None:
    print(machine(), flush=True)
    columns = ('', 'time, ours / straightforward', 'target', 'working memory', 'target', 'time of ours, s')
    print(f'| {" | ".join(columns)} |\n' + '| --- ' * 6 + '|')
    for number, (name, changes, time_target, memory_target) in enumerate(TARGETS):
        if args.only and number not in args.only:
            continue
        base = parse_setting(args.set, {**DEFAULTS, **changes})
        measure_, ours = measure([{**base, 'mode': 'straightforward'}, base], args.rounds)
        ratios = ours['wall'] / measure_['wall'], ours['memory_mib'] / measure_['memory_mib']
        cpu = ours['cpu'] / measure_['cpu']
        print(
            f'| {name} | {ratios[0]:.2f} (CPU seconds {cpu:.2f}) | {time_target} | {ratios[1]:.2f} of '
            f'{measure_["memory_mib"]:.0f} MiB | {memory_target} | {ours["wall"]:.1f} |',
            flush=True,
        )


# ---------------------------------------------------------------------- the parent's side
def measure(settings: list[dict], rounds: int) -> list[dict]:
    """Measure settings in turns, each in a process of its own; return medians and spreads of each."""
    workers = [_start(setting) for setting in settings]
    try:
        runs = [[_ask(worker)] for worker in workers]  # whose memory counts: the process is fresh
        for _ in range(rounds):
            for worker, results in zip(workers, runs, strict=True):
                results.append(_ask(worker))
    finally:
        for worker in workers:
            worker.stdin.close()
            worker.wait()
    rows = []
    for setting, (first, *timed) in zip(settings, runs, strict=True):
        timed = timed or [first]
        row = {key: statistics.median(run[key] for run in timed) for key in ('wall', 'cpu', 'page_faults')}
        walls = [run['wall'] for run in timed]
        row.update(setting=setting, wall_min=min(walls), wall_max=max(walls), memory_mib=first['memory_mib'])
        row.update({key: timed[-1][key] for key in ('stages', 'gflops_a_second', 'loss') if key in timed[-1]})
        rows.append(row)
    return rows


def _start(setting: dict) -> subprocess.Popen:
    environment = dict(os.environ, OMP_NUM_THREADS=str(setting['threads']))
    paths = [str(Path(__file__).parent), str(ROOT), os.environ.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, '-c', 'import benchmark_model; benchmark_model.work()', json.dumps(setting)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def _ask(worker: subprocess.Popen) -> dict:
    worker.stdin.write('run\n')
    worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith('{'):
            return json.loads(line)
    raise SystemExit(f'error: a measured process ended: {worker.args[-1]}')


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


# ---------------------------------------------------------------------- the measured process's side
def work() -> None:
    """Build what the setting on the command line says; measure it once for every line on stdin."""
    setting = json.loads(sys.argv[-1])
    run, model = build(setting)
    for _ in sys.stdin:
        print(json.dumps(measure_once(run, model, setting)), flush=True)


def build(setting: dict) -> tuple[Callable[[], object], object]:
    """Return what is to be measured, and the model."""
    import torch
    from benchmark import step_model

    if setting['mode'] == 'product':
        from ifirvos.allocator import keep_freed_memory

        keep_freed_memory()
    torch.set_num_threads(setting['threads'])
    size = tuple(int(side) for side in setting['size'].split('x'))
    device = torch.device(setting['device'])
    training = setting['task'] == 'train'
    model, data = step_model(ROOT / setting['config'], setting['frames'], size, bool(setting['shrink']), device)
    if setting['frame_chunk']:
        model.test_cfg['frame_chunk'] = int(setting['frame_chunk'])
    precision = torch.autocast(
        device.type,
        dict(fp32=torch.float32, bf16=torch.bfloat16, fp16=torch.float16)[setting['dtype']],
        enabled=setting['dtype'] != 'fp32',
    )
    run = _training_step(model, data, setting) if training else _prediction(model, data, setting)

    def in_precision() -> object:
        with precision:
            found = run()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return found

    return in_precision, model


def _prediction(model, data: dict, setting: dict) -> Callable[[], object]:
    from copy import deepcopy

    import straightforward
    import torch

    model.eval().requires_grad_(False)  # the counter of FLOPs would hook gradients that inference has not
    (clip,) = data['data_samples']
    clips = [deepcopy(clip) for _ in range(setting['sentences'])]
    if setting['mode'] == 'straightforward':
        return lambda: straightforward.predict(model, data['inputs'], clips)
    from ifirvos.inference.preparation import prepare_for_inference

    prepare_for_inference(model)

    def predict() -> list:
        with torch.inference_mode():
            feats = model.extract_feat(data['inputs'])
            for one in clips:  # as the inferencer where memory is short; together they gain nothing more
                model.predict_features(feats, [one])
        return clips

    return predict


def _training_step(model, data: dict, setting: dict) -> Callable[[], object]:
    import torch
    from straightforward import straightforward

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0)  # the same loss in every round

    def step() -> float:
        with straightforward(model) if setting['mode'] == 'straightforward' else nullcontext():
            optimizer.zero_grad()
            loss = sum(model(**data, mode='loss').values())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)
            optimizer.step()
        return float(loss)

    return step


def measure_once(run: Callable[[], object], model, setting: dict) -> dict:
    """Run once; return seconds, CPU seconds, page faults, working memory, and with ``stages`` each stage's."""
    before = _status('VmRSS')
    _reset_peak()
    start, began = _usage(), time.perf_counter()
    found = run()
    wall = time.perf_counter() - began
    end = _usage()
    peak = _status('VmHWM')
    result = dict(wall=wall, cpu=end[0] - start[0], page_faults=end[1] - start[1], memory_mib=peak - before)
    if setting['device'].startswith('cuda'):
        import torch

        result['memory_mib'] = torch.cuda.max_memory_allocated() / 2**20
    if isinstance(found, float):
        result['loss'] = found
    if setting['stages']:
        result['stages'] = by_stage(run, model)
        result['gflops_a_second'] = matrix_rate()
    return result


def _usage() -> tuple[float, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_minflt


def _status(name: str) -> float:
    """MiB of an entry of /proc/self/status; 0 where there is no such file."""
    path = Path('/proc/self/status')
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f'{name}:')), 0.0)


def _reset_peak() -> None:
    path = Path('/proc/self/clear_refs')
    if path.exists():
        path.write_text('5')  # see proc(5): VmHWM starts anew


def matrix_rate(side: int = 2048) -> float:
    """Return GFLOP/s of fp32 matrix products, the best of three."""
    import torch

    a, b = torch.rand(side, side), torch.rand(side, side)
    best = float('inf')
    for _ in range(3):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def by_stage(run: Callable[[], object], model) -> dict[str, dict[str, float]]:
    """Return what each stage takes without the stages inside it, of one run for time and one for FLOPs."""
    from torch.utils.flop_counter import FlopCounterMode

    timed = defaultdict(lambda: defaultdict(float))

    def clock() -> dict[str, float]:
        cpu, faults = _usage()
        return dict(wall=time.perf_counter(), cpu=cpu, page_faults=faults)

    with _watched(model, timed, clock):
        run()
    counter = FlopCounterMode(display=False)
    with counter, _watched(model, timed, lambda: dict(gflop=counter.get_total_flops() / 1e9)):
        run()
    return {name: {key: stage[key] for key in ('wall', 'cpu', 'page_faults', 'gflop')} for name, stage in timed.items()}


@contextmanager
def _watched(model, totals: dict, clock: Callable[[], dict[str, float]]) -> Iterator[None]:
    """Let every stage add to ``totals`` what ``clock`` counts while it runs; stages inside a stage are not its own."""
    inside: list[dict[str, float]] = []

    def watch(owner: object, attribute: str, stage: str):
        wrapped = getattr(owner, attribute)

        def watching(*args, **kwargs):
            begun, of_others = clock(), defaultdict(float)
            inside.append(of_others)
            try:
                return wrapped(*args, **kwargs)
            finally:
                inside.pop()
                for key, value in clock().items():
                    totals[stage][key] += value - begun[key] - of_others[key]
                    if inside:
                        inside[-1][key] += value - begun[key]

        return patch.object(owner, attribute, watching)

    patches = [
        watch(model.backbone, 'forward', 'backbone'),
        watch(model.neck, 'forward', 'neck'),
        watch(model, 'encode_text', 'text'),
        watch(model, 'interact', 'VLI'),
        watch(model, 'forward_encoder', 'encoder, rest'),
        watch(model, 'forward_decoder', 'decoder'),
        watch(model.pixel_decoder, 'fuse', 'pixel decoder'),
        watch(model.bbox_head.mask_head, 'forward', 'mask head'),
        watch(model.bbox_head, '_to_original_size', 'masks to original size'),
    ]
    for layer in model.encoder.layers:
        patches += [
            watch(layer.self_attn, 'forward', 'encoder, deformable attention'),
            watch(layer.ffn, 'forward', 'encoder, FFN'),
        ]
    for block in model.pixel_decoder.blocks:
        patches += [
            watch(block.ffn, 'forward', 'pixel decoder, FFN'),
            watch(block.self_attn, 'forward', 'pixel decoder, attention'),
            watch(block.cross_attn, 'forward', 'pixel decoder, attention'),
        ]
    fpn = model.pixel_decoder
    convolutions = [*fpn.fpn_convs, *fpn.lateral_convs, fpn.mask_features]
    patches += [watch(module, 'forward', 'pixel decoder, convolutions') for module in convolutions]
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield
