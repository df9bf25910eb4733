"""Checkpoints that survive a crash: written to a temporary file, renamed, and the old one deleted last."""

import logging
import os
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ifirvos.files import PART, write_whole
from ifirvos.registry import HOOKS

ATOMIC = 'ifirvos_atomic'  # name of the backend


@register_backend(ATOMIC)
class AtomicLocalBackend(LocalBackend):
    """mmengine's LocalBackend with an atomic ``put``: if it fails, the old file remains."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``.NAME.part``, flushes it to the disk, renames it."""
        write_whole(filepath, obj)


def is_not_about_file_client(record: logging.LogRecord) -> bool:
    """Tell whether a record is not one of the two with which mmengine complains of its own ``FileClient``."""
    return not record.getMessage().startswith(('"FileClient" will be deprecated', '"HardDiskBackend" is the alias'))


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook with the backend above; deletes an old checkpoint only after the new one is written.

    Args:
        **kwargs: Arguments of mmengine's hook. ``backend_args`` may name another backend,
            for a storage that is not a folder.
    """

    def __init__(self, *args, **kwargs) -> None:
        if kwargs.get('backend_args') is None and kwargs.get('file_client_args') is None:
            kwargs['backend_args'] = dict(backend=ATOMIC)
        super().__init__(*args, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Remove incomplete files of a killed process."""
        MMLogger.get_current_instance().addFilter(is_not_about_file_client)  # created for old subclasses, not used
        super().before_train(runner)
        if is_main_process() and self.backend_args == dict(backend=ATOMIC):
            for part in Path(self.out_dir).glob(f'.*.pth{PART}'):
                part.unlink()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save, then remove the best before it: mmengine removes it first, and may fail to write the new one."""
        one, several = getattr(self, 'best_ckpt_path', None), dict(getattr(self, 'best_ckpt_path_dict', {}))
        self.best_ckpt_path, self.best_ckpt_path_dict = None, dict.fromkeys(several)  # so that it removes nothing
        super()._save_best_checkpoint(runner, metrics)
        outdated = [path for key, path in several.items() if self.best_ckpt_path_dict[key] not in (None, path)]
        if self.best_ckpt_path not in (None, one):
            outdated.append(one)
        self.best_ckpt_path = self.best_ckpt_path or one
        self.best_ckpt_path_dict = {key: self.best_ckpt_path_dict[key] or path for key, path in several.items()}
        for path in filter(None, outdated):
            self._remove(path)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # of a sharded model
            self.file_backend.rmtree(path)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, then remove the oldest one: mmengine removes it first, and it may be the only one."""
        outdated = None
        full = self.max_keep_ckpts > 0 and len(self.keep_ckpt_ids) == self.max_keep_ckpts
        if full and self.keep_ckpt_ids[-1] != step:
            outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
        super()._save_checkpoint_with_step(runner, step, meta)
        if outdated is not None:
            self._remove(self.file_backend.join_path(self.out_dir, outdated))


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Return the checkpoint to resume from: the one ``last_checkpoint`` names, or the newest if that file is empty.

    Only the file name is used, because the work directory may have been moved. If the file is gone, its name is
    returned nevertheless: an error is better than silently starting over.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    named = pointer.read_text().strip() if pointer.is_file() else ''
    if named:
        for path in (Path(named), Path(work_dir, Path(named).name)):
            if path.exists():
                return str(path)
    found = [*Path(work_dir).glob('iter_*.pth'), *Path(work_dir).glob('epoch_*.pth')]
    return str(max(found, key=os.path.getmtime)) if found else named or None
