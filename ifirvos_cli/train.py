"""Trains a config.

    ifirvos train CONFIG [--work-dir DIR] [--amp [bf16|fp16]] [--resume [CHECKPOINT]] [--seed N]
                  [--reset-optimizer] [--auto-scale-lr] [--data-root DIR] [--cfg-options KEY=VALUE …]

The work directory gets the log, the full config, the environment, the checkpoints and the curves. On several GPUs:
tools/dist_train.sh, tools/slurm_train.sh.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .common import (
    add_config_options,
    add_data_limits,
    output_path,
    seed_number,
    set_data_limits,
    uncollected,
)

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

AMP = ('bf16', 'fp16')  # those of ifirvos.training.launch, which takes seconds to import


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the options, which are those of mmdet, and the seed."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='a file, or one of a package: ifirvos::ifirvos/r50_ytvos.py')
    parser.add_argument('--work-dir', type=output_path, help='default: work_dirs/PATH_OF_THE_CONFIG_BELOW_configs')
    parser.add_argument(
        '--amp', nargs='?', const='bf16', choices=AMP, help='automatic mixed precision, in bf16 or fp16'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate to the batch size, from the config's auto_scale_lr",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from CHECKPOINT, or the latest in the work directory; start if there is none',
    )
    parser.add_argument(
        '--reset-optimizer',
        action='store_true',
        help="with --resume: rate, decay and schedule of the config, in place of the checkpoint's",
    )
    parser.add_argument('--seed', type=seed_number, help="default: the config's")
    add_config_options(parser)
    add_data_limits(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)  # what torch.distributed.launch passes
    return parser.parse_args(argv)


def load_config(args: argparse.Namespace) -> Config:
    """Load the config with the command line's changes; what cannot be trained stops here, before anything is built."""
    from ifirvos.config import config_file, need
    from ifirvos.config import load_config as open_config
    from ifirvos.files import check_folder
    from ifirvos.training.launch import (
        amp_without_gpu,
        copy_without_waiting,
        default_work_dir,
        run_without_gpu,
        set_amp,
    )

    args.config = config_file(args.config)
    cfg = open_config(args.config, args.cfg_options, args.data_root, ('train', 'val'), args.allow_unknown)
    need(cfg, ('model', 'train_dataloader', 'optim_wrapper'), args.config)
    cfg.launcher = args.launcher
    cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or default_work_dir(args.config))
    check_folder(cfg.work_dir)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    if args.amp:
        set_amp(cfg, args.amp)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise SystemExit(f'--auto-scale-lr: {args.config} does not say auto_scale_lr.base_batch_size.')
        cfg.auto_scale_lr.enable = True
    amp_without_gpu(cfg)
    run_without_gpu(cfg)
    copy_without_waiting(cfg)
    if args.resume:
        _set_resume(cfg, args.resume)
    if args.reset_optimizer:
        if not args.resume:
            raise SystemExit('--reset-optimizer is for --resume: a run that begins has no other optimizer.')
        if 'strategy' in cfg:
            raise SystemExit('--reset-optimizer is not for sharded models: start from the weights (load_from=FILE).')
        hooks = cfg.get('default_hooks') or {}
        resumption = dict(hooks.get('resumption') or dict(type='ResumeHook'), reset_optimizer=True)
        cfg.default_hooks = dict(hooks, resumption=resumption)
    weights = cfg.load_from = _named_weights(cfg.get('load_from'))
    there = Path.exists if 'strategy' in cfg else Path.is_file  # DeepSpeed's checkpoints are folders
    if weights and '://' not in weights and not there(Path(weights).expanduser()):
        if cfg.resume:
            raise SystemExit(
                f'The checkpoint to resume from, {weights}, is gone. Name another (--resume FILE), or begin anew in '
                'another --work-dir.'
            )
        raise SystemExit(
            f'The weights to start from, {weights}, do not exist. Train them first, or name others: '
            '--cfg-options load_from=FILE (or load_from=None, to start from none).'
        )
    if weights:
        _without_own_weights(cfg)
    return cfg


def _named_weights(weights: str | None) -> str | None:
    """Return the file of ``load_from``: where it is the name of a model, the weights of that."""
    from ifirvos.inference.loading import named_weights

    return weights if not weights or '://' in weights else named_weights(weights)


def _without_own_weights(cfg: Config) -> None:
    """Ask for no weights of backbone and text encoder, half a gigabyte, where those to start from bring them."""
    from ifirvos.errors import UserError
    from ifirvos.models.text_encoder import without_weights

    lists = (cfg.get('default_hooks') or {}).get('hand_over') or {}
    left_out = [] if cfg.get('resume') else [*(lists.get('allow_missing') or ()), *(lists.get('drop') or ())]

    def whole(part: str, key: str) -> bool:
        return not any(part in pattern or re.match(pattern, key) for pattern in left_out)

    model = cfg.get('model') or {}
    if model.get('text_encoder') and whole('text_encoder', 'text_encoder.model.x'):
        with contextlib.suppress(UserError):  # of an encoder that is not known, the weights are loaded twice
            cfg.model.text_encoder = without_weights(cfg.model.text_encoder)
    checked = cfg.get('resume') or lists  # mmengine alone would only warn of weights without a backbone
    given = (model.get('backbone') or {}).get('init_cfg')  # one's own need not take it
    if checked and given is not None and whole('backbone', 'backbone.x'):
        cfg.model.backbone.init_cfg = None


def _set_resume(cfg: Config, checkpoint: str) -> None:
    """Resume from a file, or for 'auto' from the latest checkpoint.

    With none to resume, mmengine would start from nothing: here the config's own ``load_from`` stays.
    """
    from ifirvos.training.checkpointing import latest_checkpoint

    if checkpoint == 'auto':
        checkpoint = latest_checkpoint(cfg.work_dir)
    cfg.resume = checkpoint is not None
    if cfg.resume:
        cfg.load_from = checkpoint


def run(args: argparse.Namespace) -> None:
    """Train."""
    set_data_limits(args)

    with uncollected():
        from ifirvos.checkpoint import make_runners_load_safely
        from ifirvos.training.launch import check_common_start, join_processes
        from ifirvos.training.work_dir import claimed

        make_runners_load_safely()
        cfg = load_config(args)
    join_processes(cfg)
    with claimed(cfg.work_dir) if _is_first() else contextlib.nullcontext():
        runner = _build(cfg)
        check_common_start(cfg)
        runner.train()


def _is_first() -> bool:
    """Return whether this is the first process of a run, by what torchrun, Open MPI or Slurm say beforehand.

    Slurm comes last: what mpirun starts in a batch job has the rank of the batch script too.
    """
    ranks = (os.environ.get(name) for name in ('RANK', 'OMPI_COMM_WORLD_RANK', 'SLURM_PROCID'))
    return int(next(filter(None, ranks), 0)) == 0


@uncollected()
def _build(cfg: Config) -> Runner:
    import torch
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner
    from torch import nn

    from ifirvos.models.text_encoder import load_tokenizers
    from ifirvos.models.winograd import filter_minimally

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if isinstance(runner.model, nn.Module):  # not with a strategy, which builds it later
        load_tokenizers(runner.model)
        if not torch.cuda.is_available():
            filter_minimally(runner.model)
    return runner


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    run(parse_args(argv, prog))
    return 0
