"""Evaluates a checkpoint.

    python tools/test.py CONFIG CHECKPOINT [--work-dir DIR] [--cfg-options KEY=VALUE …]

Prints the table of the config's ``test_evaluator``, which also leaves it in the work directory.
"""

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """mmdet's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/NAME_OF_THE_CONFIG')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='KEY=VALUE overrides')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Command line; returns the metrics."""
    args = parse_args(argv)
    if not args.checkpoint.is_file():
        raise SystemExit(f'{args.checkpoint} does not exist')
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or Path('work_dirs') / args.config.stem)
    cfg.load_from = str(args.checkpoint)
    return Runner.from_cfg(cfg).test()


if __name__ == '__main__':
    main()
