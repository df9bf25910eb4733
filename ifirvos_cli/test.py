"""Evaluates a checkpoint.

    ifirvos test CONFIG CHECKPOINT [--work-dir DIR] [--data-root DIR] [--text-encoder FOLDER]
                  [--cfg-options KEY=VALUE …]

Prints the table of the config's ``test_evaluator``, and writes it to the work directory. Loading is strict. CHECKPOINT
is a file, ours or of the official ReferFormer code, or the name of a model (``ifirvos models``).
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .common import (
    add_config_options,
    add_data_limits,
    go_offline,
    output_path,
    set_data_limits,
    uncollected,
)

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the options, named as mmdet's."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='a file, or one of a package: ifirvos::ifirvos/r50_ytvos.py')
    parser.add_argument('checkpoint', help='a file, or the name of a model')
    parser.add_argument('--text-encoder', metavar='FOLDER', help='folder with tokenizer files')
    parser.add_argument('--offline', action='store_true', help='do not use the network')
    parser.add_argument('--work-dir', type=output_path, help='default: work_dirs/PATH_OF_THE_CONFIG_BELOW_configs')
    add_config_options(parser)
    add_data_limits(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args(argv)


def load_config(args: argparse.Namespace) -> Config:
    """Return the config with the command line's changes, and no weights but those of the command line."""
    from ifirvos.config import config_file, need
    from ifirvos.config import load_config as open_config
    from ifirvos.files import check_folder
    from ifirvos.models.text_encoder import without_weights
    from ifirvos.training.launch import default_work_dir, run_without_gpu

    args.config = config_file(args.config)
    cfg = open_config(args.config, args.cfg_options, args.data_root, ('test',), args.allow_unknown)
    need(cfg, ('model', 'test_dataloader', 'test_evaluator'), args.config)
    if 'text_encoder' in cfg.model:  # the checkpoint brings its weights
        cfg.model.text_encoder = without_weights(cfg.model.text_encoder, getattr(args, 'text_encoder', None))
    cfg.launcher = args.launcher
    cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or default_work_dir(args.config))
    check_folder(cfg.work_dir)
    run_without_gpu(cfg)
    cfg.load_from, cfg.resume = None, False
    return cfg


def run(args: argparse.Namespace) -> dict[str, float]:
    """Evaluate; return the metrics."""
    set_data_limits(args)
    if args.offline:
        go_offline()
    runner = build(args)

    from ifirvos.training.evaluation_check import check_evaluation

    check_evaluation(runner.test_loop)
    with claimed_outputs(runner):
        return runner.test()


@uncollected()
def build(args: argparse.Namespace) -> Runner:
    """Return what evaluates the checkpoint, which it has loaded."""
    from mmengine.model import is_model_wrapper
    from mmengine.runner import Runner

    from ifirvos.allocator import keep_freed_memory
    from ifirvos.checkpoint import load_checkpoint, load_strictly, make_runners_load_safely
    from ifirvos.inference.loading import named_weights, unregistered
    from ifirvos.models.text_encoder import load_tokenizers
    from ifirvos.training.launch import join_processes

    keep_freed_memory()
    make_runners_load_safely()
    try:
        weights = named_weights(args.checkpoint)
        checkpoint = load_checkpoint(weights)  # a wrong file shows before data and model are built
        cfg = load_config(args)
        join_processes(cfg)
        runner = Runner.from_cfg(cfg)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        load_strictly(model, checkpoint, weights, str(args.config))
        load_tokenizers(model)
    except KeyError as error:
        if reason := unregistered(error):
            raise SystemExit(f'{args.config}: {reason}') from error
        raise
    return runner


@contextlib.contextmanager
def claimed_outputs(runner: Runner) -> Iterator[None]:
    """Hold the folders that an evaluation writes to: its own, named after the second, and those that the config names.

    Raises:
        InputError: Another run has one.
    """
    from mmengine.dist import is_main_process

    from ifirvos.training.work_dir import claimed

    with contextlib.ExitStack() as held:
        if is_main_process():
            held.enter_context(claimed(runner.log_dir))
            for metric in runner.test_evaluator.metrics:
                if out_dir := getattr(metric, 'out_dir', None):
                    held.enter_context(claimed(out_dir, 'out_dir of the evaluator', beside=True))
        yield


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    run(parse_args(argv, prog))
    return 0
