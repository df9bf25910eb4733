"""Safe reading and strict loading of checkpoints."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from .errors import CheckpointError, MissingFileError
from .referformer_weights import NO_KNOWLEDGE, config_of, convert_checkpoint, is_official


def load_checkpoint(path: str | Path, map_location: str | torch.device = 'cpu') -> dict:
    """Read a checkpoint with ``weights_only=True``, or a safetensors file; ReferFormer's own are converted in memory.

    A Runner's own checkpoints hold log buffers too, and those of ReferFormer's code their arguments, an
    ``argparse.Namespace``; these are let through as plain data, nothing else that could run code.

    Args:
        path: The file.
        map_location: Where its tensors go.

    Returns:
        dict with ``state_dict`` (and ``meta``, ``message_hub`` where the file has them). A bare state dict is wrapped.
        Of an official ReferFormer checkpoint: as :func:`~ifirvos.referformer_weights.convert_checkpoint`.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: not a checkpoint, or one that holds more than tensors and plain data.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path, map_location)
    if is_official(checkpoint):
        checkpoint = convert_checkpoint(checkpoint, str(path))
        MMLogger.get_current_instance().info(checkpoint['origin'].summary)
    return checkpoint


def read_checkpoint(path: str | Path, map_location: str | torch.device = 'cpu') -> dict:
    """Read a checkpoint as :func:`load_checkpoint`, and convert nothing.

    Args:
        path: The file.
        map_location: Where its tensors go.

    Returns:
        dict: The file's content, with a ``state_dict``, in which a bare one is wrapped; that of a ReferFormer, its
        ``model``.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: not a checkpoint, or one that holds more than tensors and plain data.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise CheckpointError(f'{path} holds no weights: it is a folder, a pipe or a device; name a file.')
    if not path.is_file():
        raise MissingFileError(f'No such weights file: {path}')
    if instead := no_weights(path):
        raise CheckpointError(f'{path} holds no weights: it is {instead}.')
    try:
        checkpoint = _read_safetensors(path, map_location) if path.suffix == '.safetensors' else None
        if checkpoint is None:
            _check_archive(path)
            with runners_own_allowed():
                checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        raise CheckpointError(f'{path} is not a checkpoint that can be read safely: {_reason(error)}.') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path} holds a {type(checkpoint).__name__}, not a state dict.')
    if 'state_dict' not in checkpoint and isinstance(checkpoint.get('model'), Mapping) and is_official(checkpoint):
        # Of the rest, optimizer and schedule, nothing is needed, and they take twice the memory of the weights.
        checkpoint = {key: checkpoint[key] for key in ('args', 'epoch') if key in checkpoint} | dict(
            state_dict=checkpoint['model']
        )
    checkpoint = checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint)
    _check_contents(path, checkpoint)
    return checkpoint


def _read_safetensors(path: Path, map_location: str | torch.device) -> dict:
    """Return the tensors of a safetensors file and, as ``meta``, the texts of its header."""
    from safetensors import safe_open

    with safe_open(path, framework='pt', device=str(map_location)) as file:
        return dict(state_dict={key: file.get_tensor(key) for key in file.keys()}, meta=dict(file.metadata() or {}))  # noqa: SIM118


def no_weights(path: Path) -> str | None:
    """Return what a file is that was downloaded in place of weights, in words; None for anything else."""
    with open(path, 'rb') as file:
        head = file.read(512).lstrip().lower()
    if head.startswith(b'version https://git-lfs'):
        return "Git LFS's pointer to them: fetch the file itself (git lfs pull), or download it again"
    if head.startswith((b'<!doctype html', b'<html', b'<?xml')):
        return 'a web page, such as a login or a quota notice: download the file again in a browser'
    return None


def _check_archive(path: Path) -> None:
    """Refuse a zip that would unpack to more than it holds: torch stores tensors as they are."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size:
            raise ValueError(f'its parts are compressed, and unpack to {unpacked:,} bytes')


def _check_contents(path: Path, checkpoint: Mapping) -> None:
    """Raise for anything but a state dict, and for tensors that claim more values than they hold."""
    state, meta = checkpoint['state_dict'], checkpoint.get('meta')
    if not isinstance(state, Mapping):
        raise CheckpointError(f'{path}: its state_dict is a {type(state).__name__}, not a dict of tensors.')
    if meta is not None and not isinstance(meta, Mapping):
        raise CheckpointError(f'{path}: its meta is a {type(meta).__name__}, not a dict.')
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise CheckpointError(f'{path}: its state_dict has the key {name!r}, which is no name of a parameter.')
        if not isinstance(tensor, torch.Tensor):
            continue  # what else a state dict holds, no model takes: loading strictly says so
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_complex():
            raise CheckpointError(
                f'{path}: {name} is no ordinary tensor ({tensor.layout}, {tensor.dtype}, {tensor.device}).'
            )
        claimed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if claimed > max(held, 2**20):
            raise CheckpointError(f'{path}: {name} claims {claimed:,} bytes, but the file holds {held:,} of it.')


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
    meta = checkpoint.get('meta')
    return (meta.get('config_text') or meta.get('cfg')) if isinstance(meta, Mapping) else None


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
    wanted = model.state_dict()
    given = with_own_buffers(checkpoint['state_dict'], wanted)
    others = [key for key in wanted.keys() & given.keys() if not isinstance(given[key], torch.Tensor)]
    if others:
        raise CheckpointError(f'{weights} does not fit {config}: {_few("of no tensor", others)}.')
    bad_shapes = [
        f'{key} ({tuple(given[key].shape)}, not {tuple(wanted[key].shape)})'
        for key in wanted.keys() & given.keys()
        if given[key].shape != wanted[key].shape
    ]
    bad_kinds = of_another_kind(given, wanted)
    problems = [
        _few('missing', wanted.keys() - given.keys()),
        _few('unexpected', given.keys() - wanted.keys()),
        _few('of another shape', bad_shapes),
        _few('of another kind of number', bad_kinds),
    ]
    if any(problems):
        raise CheckpointError(
            f'{weights} does not fit {config}: {"; ".join(filter(None, problems))}. {_fitting(checkpoint, weights)}'
        )
    broken = [key for key, value in given.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        MMLogger.get_current_instance().warning(
            'The weights of %s hold NaN or infinite values, so results mean little: %s.',
            weights,
            _few('tensors', broken),
        )
    model.load_state_dict(given, strict=True)


def of_another_kind(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Name tensors whose numbers are of another kind than the model's: integers or bools where it has real numbers.

    Torch would convert them without a word: weights that were quantized to int8 become whole numbers up to 127. Half
    precision is no other kind, nor is another width of integers.

    Args:
        given: The weights.
        wanted: The model's state dict.

    Returns:
        Keys, each with both types.
    """
    return [
        f'{key} ({str(given[key].dtype).removeprefix("torch.")}, not {str(value.dtype).removeprefix("torch.")})'
        for key, value in wanted.items()
        if key in given and not NO_KNOWLEDGE.fullmatch(key) and _kind(given[key]) != _kind(value)
    ]


def _kind(tensor: Tensor) -> str:
    if tensor.dtype is torch.bool:
        return 'bool'
    return 'complex' if tensor.is_complex() else 'real' if tensor.is_floating_point() else 'integer'


def _fitting(checkpoint: Mapping, weights: str) -> str:
    """Return what to do about weights that do not fit: of an official file it is known which config does."""
    try:
        folder = config_of(checkpoint['origin'], weights).rpartition('/')[0]
        return f'By its tensors, it is for the configs {folder}/{checkpoint["origin"].backbone}_*.py.'
    except (KeyError, CheckpointError):
        return 'Name the config that the weights were trained with (--config, model=).'


def with_own_buffers(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose buffers without knowledge (``NO_KNOWLEDGE``) are those of a model.

    Args:
        given: The weights.
        wanted: The model's state dict. Counters of BatchNorms, which go on counting, are its own only where the weights
            have none of that shape.

    Returns:
        dict: The weights, without buffers that the model lacks, with those that they lack.
    """
    state = {key: value for key, value in given.items() if not NO_KNOWLEDGE.fullmatch(key)}
    for key, value in wanted.items():
        if NO_KNOWLEDGE.fullmatch(key):
            counter = given.get(key) if key.endswith('num_batches_tracked') else None
            fits = isinstance(counter, Tensor) and counter.shape == value.shape
            state[key] = counter if fits else value
    return state


def _few(what: str, keys: Iterable[str], shown: int = 3) -> str:
    keys = sorted(keys)
    more = ', …' if len(keys) > shown else ''
    return f'{len(keys)} {what} ({", ".join(keys[:shown])}{more})' if keys else ''


def _reason(error: Exception) -> str:
    """Return what is wrong with a file in our words: torch's begin with how to load it without protection."""
    text = str(error)
    if refused := re.search(
        r'Unsupported global: GLOBAL (\S+)|(\S+) was not an allowed global|(\S+) may not be loaded', text
    ):
        name = next(filter(None, refused.groups()))
        return f'it asks for {name}, and a checkpoint may ask for nothing but tensors and plain data'
    if isinstance(error, EOFError):
        return 'it is empty or ends too soon'
    if 'WeightsUnpickler' in text or 'Weights only load' in text or isinstance(error, pickle.UnpicklingError):
        return 'it holds more than tensors and plain data, or is no checkpoint at all'
    if (
        'PytorchStreamReader' in text
        or 'inline_container' in text
        or 'hasRecord' in text
        or isinstance(error, zipfile.BadZipFile)
    ):
        return 'it is damaged or not complete'
    if isinstance(error, RecursionError | MemoryError):
        return 'it is nested too deeply, or asks for too much memory'
    if not isinstance(error, OSError | RuntimeError | ValueError):
        return 'it is no checkpoint, or damaged'
    return (text.strip().splitlines() or [type(error).__name__])[0].rstrip('.')[:200]


_ALLOWING = threading.RLock()


@contextmanager
def runners_own_allowed() -> Iterator[None]:
    """Return a context in which ``weights_only=True`` lets through a Runner's log buffers, and arguments.

    One thread at a time: torch has one list for the process, and whoever leaves first would take it from the others.
    torch 2.4 has no such context: there, only checkpoints of tensors and plain data can be read.
    """
    allow = getattr(torch.serialization, 'safe_globals', None)
    with _ALLOWING, allow(_RUNNER_GLOBALS) if allow else nullcontext():
        yield


def _log_buffer_method(owner: type, name: str):
    """Replace ``getattr`` in a pickled log buffer; only its own statistics methods are allowed."""
    if owner is HistoryBuffer and name in {'min', 'max', 'mean', 'current', '_min', '_max', '_mean', '_current'}:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'{owner}.{name} may not be loaded')


_numpy_core = np._core if hasattr(np, '_core') else np.core
_RUNNER_GLOBALS = [
    argparse.Namespace,  # the arguments in ReferFormer's checkpoints: attributes, no methods
    HistoryBuffer,
    slice,
    np.ndarray,
    np.dtype,
    _numpy_core.multiarray._reconstruct,
    _numpy_core.multiarray.scalar,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.uint32)),
    (_log_buffer_method, 'builtins.getattr'),
]
