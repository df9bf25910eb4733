"""Measured processes of benchmark.py.

Every setting gets a process of its own, because how memory is allocated belongs to a process; they take turns, so that
what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from benchmark_stages import by_stage, matrix_rate, usage

ROOT = Path(__file__).resolve().parents[2]
HUGE_PAGES = 'THP_MEM_ALLOC_ENABLE'  # of ifirvos_cli.common
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
    compiled=1,
    shrink=0,
    stages=0,
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
        stages = [_ask(worker, 'stages') if s['stages'] else {} for worker, s in zip(workers, settings, strict=True)]
    finally:
        for worker in workers:
            with suppress(BrokenPipeError):
                worker.stdin.close()
            worker.wait()
    rows = []
    for setting, (first, *timed), by_stage_ in zip(settings, runs, stages, strict=True):
        timed = timed or [first]
        row = {key: statistics.median(run[key] for run in timed) for key in ('wall', 'cpu', 'page_faults')}
        walls = [run['wall'] for run in timed]
        row.update(setting=setting, wall_min=min(walls), wall_max=max(walls), memory_mib=first['memory_mib'])
        row.update({'loss': timed[-1]['loss']} if 'loss' in timed[-1] else {}, **by_stage_)
        rows.append(row)
    return rows


def _start(setting: dict) -> subprocess.Popen:
    environment = dict(os.environ, OMP_NUM_THREADS=str(setting['threads']))
    paths = [str(Path(__file__).parent), str(ROOT), os.environ.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    # What the command lines set before torch is imported, and the reference does not.
    environment.pop(HUGE_PAGES, None)
    if setting['mode'] == 'product':
        environment[HUGE_PAGES] = '1'
    command = [sys.executable, '-c', 'import benchmark_process; benchmark_process.work()', json.dumps(setting)]
    said = tempfile.TemporaryFile('w+')  # noqa: SIM115, it lives as long as the process
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=environment
    )
    worker.said = said
    return worker


def _ask(worker: subprocess.Popen, what: str = 'run') -> dict:
    with suppress(BrokenPipeError):
        worker.stdin.write(f'{what}\n')
        worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith('{'):
            return json.loads(line)
    worker.said.seek(0)
    reason = worker.said.read().strip().rsplit('\n', 1)[-1] or f'exit code {worker.wait()}'
    raise SystemExit(f'a measured process ended: {reason} ({worker.args[-1]})')


# ---------------------------------------------------------------------- the measured process's side
def work() -> None:
    """Build what the setting on the command line says; measure it once for every line on stdin."""
    setting = json.loads(sys.argv[-1])
    run, model = build(setting)
    for line in sys.stdin:
        measure_it = measure_stages if line.strip() == 'stages' else measure_once
        print(json.dumps(measure_it(run, model, setting)), flush=True)


def build(setting: dict) -> tuple[Callable[[], object], object]:
    """Return what is to be measured, and the model."""
    import torch
    from benchmark import step_model

    training = setting['task'] == 'train'
    if setting['mode'] == 'product' and not training:  # as the command lines
        from ifirvos.allocator import keep_freed_memory

        keep_freed_memory()
    torch.set_num_threads(setting['threads'])
    size = tuple(int(side) for side in setting['size'].split('x'))
    device = torch.device(setting['device'])
    model, data = step_model(
        ROOT / setting['config'], setting['frames'], size, bool(setting['shrink']), device, dropout=training
    )
    if not setting['compiled']:  # training as where numba is not installed
        from ifirvos.models import deformable_sampling

        deformable_sampling.has_compiled = lambda: False
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

    model.eval()  # parameters keep requires_grad, as in the command lines: autocast casts each only once a run
    (clip,) = data['data_samples']
    clips = [deepcopy(clip) for _ in range(setting['sentences'])]
    if setting['mode'] == 'straightforward':
        return lambda: straightforward.predict(model, data['inputs'], clips)
    from ifirvos.inference.preparation import prepare_for_inference
    from ifirvos.models.query_linker import QueryLinker

    prepare_for_inference(model)
    if setting['frame_chunk']:  # a CPU's preparation chooses another
        model.test_cfg['frame_chunk'] = int(setting['frame_chunk'])

    def predict() -> list:
        with torch.no_grad():  # as the inferencer does it
            feats = model.extract_feat(data['inputs'])
            for one in clips:  # as the inferencer where memory is short; together they gain nothing more
                with torch.autocast('cpu', enabled=False):
                    text = model.encode_text([one])
                model.predict_features(feats, [one], [QueryLinker(0)], text)
        return clips

    return predict


def _training_step(model, data: dict, setting: dict) -> Callable[[], object]:
    import torch
    from straightforward import straightforward

    if setting['mode'] == 'product':
        from ifirvos.models.winograd import filter_minimally

        filter_minimally(model)  # as ifirvos_cli.train on a CPU
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0)

    def step() -> float:
        torch.manual_seed(0)  # of dropout: the same loss in every round and mode
        with straightforward(model) if setting['mode'] == 'straightforward' else nullcontext():
            optimizer.zero_grad()
            loss = sum(model(**data, mode='loss').values())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)
            optimizer.step()
        return float(loss.detach())

    return step


def measure_once(run: Callable[[], object], model, setting: dict) -> dict:
    """Run once; return seconds, CPU seconds, page faults, working memory."""
    before = _status('VmRSS')
    _reset_peak()
    start, began = usage(), time.perf_counter()
    found = run()
    wall = time.perf_counter() - began
    end = usage()
    peak = _status('VmHWM')
    result = dict(wall=wall, cpu=end[0] - start[0], page_faults=end[1] - start[1], memory_mib=peak - before)
    if setting['device'].startswith('cuda'):
        import torch

        result['memory_mib'] = torch.cuda.max_memory_allocated() / 2**20
    if isinstance(found, float):
        result['loss'] = found
    return result


def measure_stages(run: Callable[[], object], model, setting: dict) -> dict:
    """Return each stage's share of two more runs."""
    return dict(stages=by_stage(run, model), gflops_a_second=matrix_rate())


def _status(name: str) -> float:
    """MiB of an entry of /proc/self/status; 0 where there is no such file."""
    path = Path('/proc/self/status')
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f'{name}:')), 0.0)


def _reset_peak() -> None:
    path = Path('/proc/self/clear_refs')
    if path.exists():
        path.write_text('5')  # see proc(5): VmHWM starts anew
