"""Trains a config.

    python tools/train.py CONFIG [--work-dir DIR] [--amp] [--resume [CHECKPOINT]] [--seed N] [--cfg-options KEY=VALUE …]

The work directory gets the log, the full config, the environment and the checkpoints.
"""

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """mmdet's options, and the seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/NAME_OF_THE_CONFIG')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--resume', nargs='?', const='auto', help='go on from CHECKPOINT, or from the latest in the work directory'
    )
    parser.add_argument('--seed', type=int, help='default: the config\'s')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='KEY=VALUE overrides')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)  # what torch.distributed.launch passes
    return parser.parse_args(argv)


def load_config(args: argparse.Namespace) -> Config:
    """The config with the command line's changes."""
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or Path('work_dirs') / args.config.stem)
    if args.seed is not None:
        cfg.merge_from_dict(dict(randomness=dict(seed=args.seed)))
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    return cfg


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    Runner.from_cfg(load_config(parse_args(argv))).train()


if __name__ == '__main__':
    main()
