"""Trains variants of a model, with several seeds each, and compares them.

    python tools/analysis_tools/ablate.py configs/ifirvos/r18_synth.py configs/ifirvos/ablations_synth/*.py \
        --seeds 42 43 --out DIR

A variant is a config that inherits the last of ``--stages`` and changes its model. It is trained through all stages,
each from the weights of the one before: in the earlier ones with the same change of the model, so that every variant
gets the same steps, data and seeds. Then probe.py looks at it, and DIR gets table.md, table.csv and chart.png.

What is done is not done again: a run that was cut off goes on from its last checkpoint, and another call adds variants
or seeds to the same DIR. Several run at once where the machine allows (``--jobs``). DIR/VARIANT/seedN holds the configs
that were trained, in full, and all logs.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


from ifirvos_cli.common import DictAction, main_of, tool_arguments

STAGES = ('configs/ifirvos/r18_synth_pretrain.py', 'configs/ifirvos/r18_synth.py')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'configs', type=Path, nargs='+', help='the variants; the last stage itself is the variant "full"'
    )
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--stages',
        type=Path,
        nargs='+',
        default=[ROOT / path for path in STAGES],
        help='configs of the stages, in order',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[42])
    parser.add_argument('--jobs', type=int, help='parallel runs; default: one per GPU, or one')
    parser.add_argument('--gpus-per-job', type=int, default=1, help='more than one: through tools/dist_train.sh')
    parser.add_argument('--per-kind', type=int, help='number of sentences to probe per kind')
    parser.add_argument('--data-root', help='data folder of all data sets')
    parser.add_argument(
        '--set', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='changes to all stages of all runs'
    )
    parser.add_argument(
        '--steps', type=int, nargs='+', metavar='N', help='iterations of each stage; schedules are scaled'
    )
    parser.add_argument('--table-only', action='store_true', help='do not train; only compare finished runs')
    args = parser.parse_args(argv)
    if args.steps and len(args.steps) != len(args.stages):
        parser.error(f'--steps wants a number for each of the {len(args.stages)} stages')
    return args


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

from mmengine.config import Config, ConfigDict
from tqdm import tqdm

from ifirvos.checkpoint import load_checkpoint
from ifirvos.evaluation.ablation import (
    difference_table,
    draw_chart,
    markdown,
    paired_difference,
    summarize_variant,
    table_rows,
)
from ifirvos.files import csv_text, write_whole
from ifirvos.training.checkpointing import latest_checkpoint
from ifirvos.training.curves import read_lines

# Tables 4 and 5 of the paper: J&F on the validation set of Ref-YouTube-VOS, with other data and another backbone.
PAPER = dict(full=59.9, baseline=55.1, wo_ifi=57.1, wo_vli=58.8, attn_ffn=58.7, dynamic_text=58.0)

# What Table 4 asks: a module's share is the one row less the other, on the same clips and seeds.
EFFECTS = {
    'IFI, with VLI': ('full', 'wo_ifi'),
    'IFI, without VLI': ('wo_vli', 'baseline'),
    'VLI, with IFI': ('full', 'wo_vli'),
    'VLI, without IFI': ('wo_ifi', 'baseline'),
}


@dataclass(frozen=True)
class Run:
    """One variant under one seed."""

    variant: str
    seed: int
    folder: Path
    stages: tuple[Config, ...]

    @property
    def probe(self) -> Path:
        """The rows of this run; there when it is done."""
        return self.folder / 'probe.csv'

    def work_dir(self, stage: int) -> Path:
        """Return where a stage is trained."""
        return self.folder / f'stage{stage + 1}'

    def config(self, stage: int) -> Path:
        """Return what a stage was trained with; there as soon as it has begun."""
        return self.folder / f'stage{stage + 1}.py'


# ---------------------------------------------------------------- what to train
def difference(old: dict, new: dict) -> dict:
    """Find what turns ``old`` into ``new``, for :func:`apply`: nested, with a whole value where either is no dict."""
    changes = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            inner = difference(old[key], value)
            if inner:
                changes[key] = ('merge', inner)
        elif key not in old or value != old[key]:
            changes[key] = ('set', value)
    return changes


def apply(changes: dict, target: dict) -> None:
    """Do to ``target`` what :func:`difference` found."""
    for key, change in changes.items():
        if change is None:
            target.pop(key, None)
            continue
        how, value = change
        if how == 'merge' and isinstance(target.get(key), dict):
            apply(value, target[key])
        elif how == 'set':
            target[key] = deepcopy(value)
        else:
            raise SystemExit(f'An earlier stage has no {key!r} that a variant could change: give it stages of its own.')


def stages_of(variant: Path, stages: Sequence[Path]) -> tuple[Config, ...]:
    """Return the configs of all stages with the variant's model; the last is the variant itself.

    Raises:
        SystemExit: If the variant changes more than the model: the rows could not be compared.
    """
    configs = [Config.fromfile(path) for path in stages]
    last = Config.fromfile(variant)
    changes = difference(configs[-1].to_dict(), last.to_dict())
    model = changes.pop('model', ('merge', {}))[1]
    if changes:
        raise SystemExit(f'{variant} differs from {stages[-1]} in more than its model: {", ".join(sorted(changes))}.')
    for config in configs[:-1]:
        changed = config.to_dict()
        apply(model, changed['model'])
        config.model = ConfigDict(changed['model'])
    return (*configs[:-1], last)


def move_data(node: dict | list, root: str) -> None:
    """Every ``data_root`` below becomes ``root``."""
    if isinstance(node, dict) and isinstance(node.get('data_root'), str):
        node['data_root'] = root
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, (dict, list)):
            move_data(child, root)


def shorten(stage: Config, steps: int) -> None:
    """Give a stage another number of iterations. What its schedule does later moves along; its warm-up stays.

    Raises:
        SystemExit: If the stage counts epochs.
    """
    if 'max_iters' not in stage.train_cfg:
        raise SystemExit(f'{stage.filename} counts epochs; --steps is for stages that count iterations.')
    before = stage.train_cfg.max_iters
    stage.train_cfg.update(max_iters=steps, val_interval=steps)
    for scheduler in stage.param_scheduler:
        if scheduler.get('begin', 0) > 0:
            scheduler.update(begin=scheduler.begin * steps // before, end=scheduler.end * steps // before)


def plan(args: argparse.Namespace) -> list[Run]:
    """All runs, seed by seed: a table of one seed is complete first."""
    runs, names = [], {}
    for config in args.configs:
        if not config.is_file():
            raise SystemExit(f'The config {config} does not exist.')
        name = 'full' if config.resolve() == Path(args.stages[-1]).resolve() else config.stem
        if name in names:
            raise SystemExit(f'{config} and {names[name]} would both be called {name!r}.')
        names[name] = config
    for seed in args.seeds:
        for name, config in names.items():
            stages = stages_of(config, args.stages)
            for stage, steps in zip(stages, args.steps or [None] * len(stages), strict=True):
                if steps:
                    shorten(stage, steps)
                if args.data_root:
                    move_data(stage._cfg_dict, args.data_root)
                stage.randomness = dict(seed=seed)
                stage.merge_from_dict(args.set)
            runs.append(Run(name, seed, args.out / name / f'seed{seed}', stages))
    return runs


def refuse_other_configs(runs: Sequence[Run]) -> None:
    """Check that what has been trained in the folders of the runs was trained as they are planned now.

    Raises:
        SystemExit: Names a run that was not, and what differs.
    """
    for run in runs:
        for stage, planned in enumerate(run.stages):
            if not run.config(stage).is_file():
                continue
            before, now = Config.fromfile(run.config(stage)).to_dict(), planned.to_dict()
            for config in (before, now):
                config.pop('load_from', None)  # the stage before, found when it is trained
            if changes := difference(before, now):
                raise SystemExit(
                    f'{run.config(stage)} was trained with another {", ".join(sorted(changes))}: give the commands '
                    'that differ an --out of their own.'
                )


# ---------------------------------------------------------------- training
class Interrupted(Exception):
    """The user has stopped the whole; the processes were asked to save."""


class Machine:
    """Starts the commands of runs, and stops them together."""

    def __init__(self, jobs: int | None, gpus_per_job: int) -> None:
        import torch

        # The numbers that the user, or Slurm, has given us: those of CUDA begin at 0 again.
        given = os.environ.get('CUDA_VISIBLE_DEVICES')
        gpus = (given.split(',') if given else [str(n) for n in range(128)])[: torch.cuda.device_count()]
        self.gpus_per_job = gpus_per_job if gpus else 1
        self.jobs = jobs or max(1, len(gpus) // self.gpus_per_job)
        self.slots: Queue = Queue()
        for job in range(self.jobs):
            own = [gpus[(job * self.gpus_per_job + i) % len(gpus)] for i in range(self.gpus_per_job)] if gpus else []
            self.slots.put((job, own))
        self.threads = max(1, (os.cpu_count() or 1) // self.jobs)
        self.running: set[subprocess.Popen] = set()
        self.stopped = False
        self.lock = threading.Lock()

    def call(self, command: Sequence[str | Path], log: Path, slot: tuple[int, list[str]]) -> None:
        """Run a command to its end.

        Raises:
            RuntimeError: If it fails; the message ends with the end of its output.
            Interrupted: If all were stopped.
        """
        job, gpus = slot
        env = dict(os.environ)
        env.setdefault('OMP_NUM_THREADS', str(self.threads))
        if gpus:
            env.update(CUDA_VISIBLE_DEVICES=','.join(gpus))
        env['PORT'] = str(int(env.get('PORT', 29500)) + job)
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, 'ab') as output:
            with self.lock:
                if self.stopped:
                    raise Interrupted
                # A session of its own: Ctrl-C reaches this program only, which then asks the others to save.
                process = subprocess.Popen(
                    [str(part) for part in command],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=env,
                    start_new_session=True,
                )
                self.running.add(process)
            code = process.wait()
        with self.lock:
            self.running.discard(process)
            if self.stopped:
                raise Interrupted
        if code:
            tail = '\n'.join(log.read_text(errors='replace').splitlines()[-15:])
            raise RuntimeError(f'{" ".join(map(str, command))} failed; the end of {log}:\n{tail}')

    def stop(self) -> None:
        """Ask every process to save and end."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.send_signal(signal.SIGTERM)


def is_trained(run: Run, stage: int) -> str | None:
    """Return the last checkpoint of a stage if it has gone all the way."""
    path = latest_checkpoint(run.work_dir(stage))
    if path is None or not Path(path).is_file():
        return None
    meta, loop = load_checkpoint(path)['meta'], run.stages[stage].train_cfg
    done = meta['iter'] >= loop.max_iters if 'max_iters' in loop else meta['epoch'] >= loop.max_epochs
    return path if done else None


def carry_out(run: Run, machine: Machine, args: argparse.Namespace) -> Run:
    """Train what is missing of a run, then probes it."""
    slot = machine.slots.get()
    try:
        weights = None
        for stage, cfg in enumerate(run.stages):
            work_dir = run.work_dir(stage)
            trained = is_trained(run, stage)
            if trained is None:
                work_dir.mkdir(parents=True, exist_ok=True)
                if weights is not None:
                    cfg.load_from = weights
                config = run.config(stage)
                cfg.dump(str(config))
                options = ['--work-dir', work_dir, '--resume']
                if machine.gpus_per_job > 1:
                    command = [ROOT / 'tools/dist_train.sh', config, str(machine.gpus_per_job), *options]
                else:
                    command = [sys.executable, ROOT / 'tools/train.py', config, *options]
                machine.call(command, run.folder / f'stage{stage + 1}.log', slot)
                trained = is_trained(run, stage)
                if trained is None:
                    raise RuntimeError(f'{work_dir} has no checkpoint of the last iteration.')
            weights = trained
        probe = [sys.executable, ROOT / 'tools/analysis_tools/probe.py', run.config(len(run.stages) - 1), weights]
        some = ['--per-kind', str(args.per_kind)] if args.per_kind else []
        machine.call([*probe, '--out', run.probe, *some], run.folder / 'probe.log', slot)
        return run
    finally:
        machine.slots.put(slot)


def train_all(runs: Sequence[Run], args: argparse.Namespace) -> list[str]:
    """Carries out what is missing; returns what went wrong."""
    missing = [run for run in runs if not is_probed(run, args.per_kind)]
    machine, failures = Machine(args.jobs, args.gpus_per_job), []
    with ThreadPoolExecutor(machine.jobs) as pool, tqdm(total=len(missing), unit='run') as progress:
        futures = {pool.submit(carry_out, run, machine, args): run for run in missing}
        try:
            for future in as_completed(futures):
                run = futures[future]
                try:
                    future.result()
                    progress.write(f'done: {run.variant}, seed {run.seed}')
                except RuntimeError as error:
                    failures.append(f'{run.variant}, seed {run.seed}: {error}')
                    progress.write(f'FAILED: {failures[-1]}')
                progress.update()
        except KeyboardInterrupt:
            machine.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise SystemExit('Stopped; the same command goes on where it was.') from None
    return failures


def is_probed(run: Run, per_kind: int | None) -> bool:
    """Return whether the rows of a run are there, of as many expressions as are wanted."""
    about = run.probe.with_suffix('.json')
    return run.probe.is_file() and about.is_file() and json.loads(about.read_text())['per_kind'] == per_kind


# ---------------------------------------------------------------- comparing
def last_scalars(work_dir: Path, last: int = 10) -> dict[str, float]:
    """LEwV's size and spread at the end of training: means of what LEwVStatsHook has logged last, a batch each."""
    logged = defaultdict(list)
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for row in read_lines(path):
            for name, value in row.items():
                if name.startswith('lewv/'):
                    logged[name.removeprefix('lewv/')].append(value)
    return {name: sum(values[-last:]) / len(values[-last:]) for name, values in sorted(logged.items())}


def steps(stages: Sequence[Config]) -> str:
    """Format the iterations or epochs of all stages, as in '4500+8000'."""
    return '+'.join(str(c.train_cfg.get('max_iters', c.train_cfg.get('max_epochs'))) for c in stages)


def note(runs: Sequence[Run]) -> dict[str, str]:
    """Return how a variant was trained, from its folders and not from the plan; '/' separates seeds that differ."""
    trained = [[Config.fromfile(run.config(stage)) for stage in range(len(run.stages))] for run in runs]
    lewv = [last_scalars(run.work_dir(len(run.stages) - 1)) for run in runs]
    rms = [' '.join(f'{value:.2g}' for name, value in found.items() if name.startswith('rms')) for found in lewv]
    weights = [f'{stages[-1].model.bbox_head.loss_cls.loss_weight:g}' for stages in trained]
    return {
        'seeds': ' '.join(str(run.seed) for run in runs),
        'steps': ' / '.join(dict.fromkeys(map(steps, trained))),
        'class weight': ' / '.join(dict.fromkeys(weights)),
        "LEwV's rms": ' / '.join(filter(None, rms)),
        "LEwV's spread": ' / '.join(f'{found["spread"]:.2g}' for found in lewv if 'spread' in found),
        'paper, other data: J&F': str(PAPER.get(runs[0].variant, '')),
    }


def differences(rows: dict[str, dict[int, list[dict]]]) -> str:
    """Return a table of paired differences in J&F: what each module adds, then other variants less 'full'."""
    table4 = {name for pair in EFFECTS.values() for name in pair}
    pairs = EFFECTS | {f'{name}, less full': (name, 'full') for name in rows if name not in table4}
    found = {
        label: paired_difference(rows[one], rows[other])
        for label, (one, other) in pairs.items()
        if one in rows and other in rows and rows[one].keys() & rows[other].keys()
    }
    if not found:
        return ''
    return (
        f'\nPaired differences in J&F, same clips, same seeds:\n\n{difference_table(found)}'
        '\nIn points. [ ]: 95 % bootstrap interval over videos and seeds; ( ): lowest and highest seed; bold: zero is '
        'outside the interval.\n'
    )


def compare(runs: Sequence[Run], args: argparse.Namespace) -> str | None:
    """Write the table and the chart of all runs that are done; returns the table."""
    done: dict[str, list[Run]] = {}
    for run in runs:
        if is_probed(run, args.per_kind):
            done.setdefault(run.variant, []).append(run)
    if not done:
        return None
    variants, notes, rows = {}, {}, {}
    for name, seeds in done.items():
        rows[name] = {run.seed: list(csv.DictReader(run.probe.open(newline=''))) for run in seeds}
        variants[name] = summarize_variant(list(rows[name].values()))
        notes[name] = note(seeds)
    problems = [
        f'NOT EQUAL: the variants differ in their {column}.'
        for column in ('seeds', 'steps', 'class weight')
        if len({row[column] for row in notes.values()}) > 1
    ]
    explanation = (
        'In percent. [ ]: 95 % bootstrap interval over videos; ( ): lowest and highest seed. S: share of sentences '
        'with J > 0.5; oracle_J: the best query; reversal_IoU: 100 is blind to the order of frames; shuffled: frames '
        'in a random order; chance_J: a random object with perfect masks. LEwV: rms of its words after each iteration, '
        'and how far the sentences of a batch differ behind it (0: one query for all); means of the last ten logged.'
    )
    text = '\n'.join([*problems, *([''] if problems else []), markdown(variants, notes), explanation, ''])
    text += differences(rows)
    write_whole(args.out / 'table.md', text)
    write_whole(args.out / 'table.csv', csv_text(table_rows(variants)))
    draw_chart(variants, args.out / 'chart.png')
    return text


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parse_args(argv)
    runs = plan(args)
    if not args.table_only:
        refuse_other_configs(runs)
    failures = [] if args.table_only else train_all(runs, args)
    print(compare(runs, args) or 'No run is done yet.')
    for failure in failures:
        print(f'FAILED: {failure}', file=sys.stderr)
    return 1 if failures else 0


if __name__ == '__main__':
    # Both end it in the same way, also where a shell that put it into the background has SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main_of(main))
