"""Logs the environment, commit and parameter groups of a run."""

import subprocess
from importlib import metadata
from pathlib import Path

import mmcv
import mmdet
import mmengine
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ifirvos.registry import HOOKS
from ifirvos.version import __version__

ROOT = Path(__file__).parents[2]


def git_commit(repository: Path = ROOT) -> str:
    """Return the commit of a checkout, with ``-dirty`` if tracked files differ; ``'unknown'`` outside one."""
    if not (repository / '.git').exists():  # installed: a repository further up would be another project's
        return 'unknown'
    command = ['git', '--no-optional-locks', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
    try:
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


@HOOKS.register_module()
class RunInfoHook(Hook):
    """Logs the commit, the seed and the versions once, and keeps them in every checkpoint as ``meta['run_info']``.

    mmengine logs the machine and writes the config, but looks for a commit in the current directory, not where the code
    is.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.info: dict[str, str | int] = {}

    def before_run(self, runner: Runner) -> None:
        """Collect and log the information."""
        self.info = dict(
            commit=git_commit(),
            seed=runner.seed,
            processes=get_world_size(),
            batch_size=(runner.cfg.get('train_dataloader') or {}).get('batch_size', 0),  # of a process
            ifirvos=__version__,
            torch=str(torch.__version__),  # weights_only=True refuses TorchVersion
            mmengine=mmengine.__version__,
            mmcv=mmcv.__version__,
            mmdet=mmdet.__version__,
            transformers=metadata.version('transformers'),
        )
        runner.logger.info('Run: ' + ', '.join(f'{name} {value}' for name, value in self.info.items()))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the same to the checkpoint."""
        checkpoint['meta']['run_info'] = dict(self.info)
