"""Trains variants of a model, with several seeds each, and compares them.

    python tools/analysis_tools/ablate.py configs/ifirvos/r18_synth.py configs/ifirvos/ablations_synth/*.py \\
        --seeds 42 43 --out DIR

A variant is a config that inherits the last of ``--stages`` and changes its model. It is trained in all stages with
this change, each from the weights of the previous one, so that all variants have the same steps, data and seeds. Then
probe.py evaluates it, and DIR gets table.md, table.csv and chart.png.

Finished runs are kept and interrupted ones resumed; further calls add variants or seeds to the same DIR. ``--jobs``
sets the number of parallel runs. DIR/VARIANT/seedN has the full configs and all logs.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


from ifirvos_cli.common import DictAction, main_of, output_path, positive_int, seed_number, tool_arguments

STAGES = ('configs/ifirvos/r18_synth_pretrain.py', 'configs/ifirvos/r18_synth.py')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'configs', type=Path, nargs='+', help='the variants; the last stage itself is the variant "full"'
    )
    parser.add_argument('--out', type=output_path, required=True, help='folder for runs, tables and chart')
    parser.add_argument(
        '--stages',
        type=Path,
        nargs='+',
        default=[ROOT / path for path in STAGES],
        help=f'configs of the stages, in order; default: {" ".join(STAGES)}',
    )
    parser.add_argument('--seeds', type=seed_number, nargs='+', default=[42], help='of every variant; default: 42')
    parser.add_argument('--jobs', type=positive_int, help='parallel runs; default: one per GPU, or one')
    parser.add_argument(
        '--gpus-per-job', type=positive_int, default=1, help='more than one: through tools/dist_train.sh'
    )
    parser.add_argument('--per-kind', type=positive_int, help='number of sentences to probe per kind; default: all')
    parser.add_argument('--data-root', help='data folder of all data sets')
    parser.add_argument(
        '--set', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='changes to all stages of all runs'
    )
    parser.add_argument(
        '--steps', type=positive_int, nargs='+', metavar='N', help='iterations of each stage; schedules are scaled'
    )
    parser.add_argument(
        '--table-only',
        action='store_true',
        help='do not train; only compare the runs of these variants, seeds and --per-kind that are finished',
    )
    args = parser.parse_args(argv)
    if args.steps and len(args.steps) != len(args.stages):
        parser.error(f'--steps wants a number for each of the {len(args.stages)} stages')
    args.seeds = list(dict.fromkeys(args.seeds))
    return args


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

from tqdm import tqdm

from ifirvos.errors import UserError
from ifirvos.files import check_folder, make_folder, write_whole
from ifirvos.training.ablation.machine import Machine
from ifirvos.training.ablation.plan import Run, is_probed, is_trained, plan, refuse_other_configs
from ifirvos.training.ablation.report import compare


def carry_out(run: Run, machine: Machine, args: argparse.Namespace) -> Run:
    """Train what is missing of a run, then probe it."""
    slot = machine.slots.get()
    try:
        weights = None
        for stage, cfg in enumerate(run.stages):
            work_dir = run.work_dir(stage)
            trained = is_trained(run, stage)
            if trained is None:
                make_folder(work_dir)
                if weights is not None:
                    cfg.load_from = weights
                config = run.config(stage)
                write_whole(config, cfg.pretty_text)
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
    """Carry out what is missing; return what went wrong."""
    missing = [run for run in runs if not is_probed(run, args.per_kind)]
    machine, failures = Machine(args.jobs, args.gpus_per_job), []
    with ThreadPoolExecutor(machine.jobs) as pool, tqdm(total=len(missing), unit='run') as progress:
        if missing:
            progress.write(f'The runs log to {args.out}/VARIANT/seedN/stage1.log and so on.')
        futures = {pool.submit(carry_out, run, machine, args): run for run in missing}
        try:
            for future in as_completed(futures):
                run = futures[future]
                try:
                    future.result()
                    progress.write(f'done: {run.variant}, seed {run.seed}')
                except (RuntimeError, UserError, OSError) as error:
                    failures.append(f'{run.variant}, seed {run.seed}: {error}')
                    progress.write(f'FAILED: {failures[-1]}')
                progress.update()
        except KeyboardInterrupt as stop:
            machine.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            stop.args = ('the same command goes on where it was',)
            raise
    return failures


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = parse_args(argv)
    check_folder(args.out)
    runs = plan(
        args.configs,
        args.stages,
        args.seeds,
        args.out,
        steps=args.steps,
        data_root=args.data_root,
        changes=args.set,
    )
    if not args.table_only:
        refuse_other_configs(runs)
    failures = [] if args.table_only else train_all(runs, args)
    table = compare(runs, args.out, args.per_kind)
    if table is None and args.table_only:
        raise SystemExit(f'No run of these variants, seeds and --per-kind is done in {args.out}.')
    print(table or 'No run is done yet.')
    if table:
        print(f'Written: table.md, table.csv and chart.png in {args.out}; logs: {args.out}/VARIANT/seedN/*.log')
    for failure in failures:
        print(f'FAILED: {failure}', file=sys.stderr)
    return 1 if failures else 0


if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that put it into the background ignores it
    sys.exit(main_of(main))
