"""Reading checkpoints without running code from them, and loading them without a key left over."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import nn

from .errors import CheckpointError


def load_checkpoint(path: str | Path, map_location: str | torch.device = 'cpu') -> dict:
    """Read a checkpoint with ``weights_only=True``.

    A Runner's own checkpoints hold log buffers too; those are let through, nothing else that could run code.

    Args:
        path: The file.
        map_location: Where its tensors go.

    Returns:
        dict with ``state_dict`` (and ``meta``, ``message_hub`` where the file has them). A bare state dict is wrapped.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: not a checkpoint, or one that holds more than tensors and plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'No such weights file: {path}')
    try:
        with runners_own_allowed():
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        raise CheckpointError(f'{path} is not a checkpoint that can be read safely: {_reason(error)}') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path} holds a {type(checkpoint).__name__}, not a state dict.')
    return checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint)


def make_runners_load_safely() -> None:
    """Send every checkpoint that a Runner of this process reads through ``weights_only=True``.

    mmengine tries that and then falls back to unpickling anything. Local files (``load_from``, resuming, ``init_cfg``)
    go through :func:`load_checkpoint`; what is downloaded goes through torch, which is told to refuse the fallback.
    """
    CheckpointLoader.register_scheme('', _load_for_runner, force=True)
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'


def _load_for_runner(filename: str, map_location: str | torch.device | None) -> dict:
    checkpoint = load_checkpoint(Path(filename).expanduser(), map_location or 'cpu')
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)  # of old checkpoints: on resuming, mmengine would run it
    return checkpoint


def config_text(checkpoint: Mapping) -> str | None:
    """Return the config that a checkpoint carries, Python text for ``plain_config``. None when there is none."""
    meta = checkpoint.get('meta') or {}
    return meta.get('config_text') or meta.get('cfg')


def load_strictly(model: nn.Module, checkpoint: Mapping, weights: str, config: str) -> None:
    """Load a checkpoint's state dict; every key and shape must fit.

    Args:
        model: The model; float16 weights become its own dtype.
        checkpoint: What :func:`load_checkpoint` returned.
        weights: Name of the file, for the message.
        config: Name of the config, for the message.

    Raises:
        CheckpointError: names the first few keys that do not fit.
    """
    given, wanted = checkpoint['state_dict'], model.state_dict()
    bad_shapes = [
        f'{key} ({tuple(given[key].shape)}, not {tuple(wanted[key].shape)})'
        for key in wanted.keys() & given.keys()
        if given[key].shape != wanted[key].shape
    ]
    problems = [
        _few('missing', wanted.keys() - given.keys()),
        _few('unexpected', given.keys() - wanted.keys()),
        _few('of another shape', bad_shapes),
    ]
    if any(problems):
        raise CheckpointError(
            f'{weights} does not fit {config}: {"; ".join(filter(None, problems))}. '
            'Name the config that the weights were trained with (--config, model=).'
        )
    model.load_state_dict(given, strict=True)


def _few(what: str, keys: Iterable[str], shown: int = 3) -> str:
    keys = sorted(keys)
    more = ', …' if len(keys) > shown else ''
    return f'{len(keys)} {what} ({", ".join(keys[:shown])}{more})' if keys else ''


def _reason(error: Exception) -> str:
    """Return the line that says what is wrong: torch begins with how to load the file without protection."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line.strip() for line in lines if line.strip().startswith('WeightsUnpickler error')), lines[0])


def runners_own_allowed() -> AbstractContextManager:
    """Return a context in which ``weights_only=True`` lets through the log buffers of a Runner's checkpoints.

    torch 2.4 has no such context: there, only checkpoints of tensors and plain data can be read.
    """
    allow = getattr(torch.serialization, 'safe_globals', None)
    return allow(_RUNNER_GLOBALS) if allow else nullcontext()


def _log_buffer_method(owner: type, name: str):
    """Stand in for ``getattr`` in a pickled log buffer: its own statistics methods and nothing else's."""
    if owner is HistoryBuffer and name in {'min', 'max', 'mean', 'current', '_min', '_max', '_mean', '_current'}:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'{owner}.{name} may not be loaded')


_numpy_core = np._core if hasattr(np, '_core') else np.core
_RUNNER_GLOBALS = [
    HistoryBuffer,
    slice,
    np.ndarray,
    np.dtype,
    _numpy_core.multiarray._reconstruct,
    _numpy_core.multiarray.scalar,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.uint32)),
    (_log_buffer_method, 'builtins.getattr'),
]
