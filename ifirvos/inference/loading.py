"""From what the user named to a model: config, weights, device."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from mmengine.config import Config

from ifirvos.errors import InputError

from .model_index import find_model, shipped

SHIPPED_CONFIG = Path('configs/ifirvos/r18_synth.py')


SHIPPED_WEIGHTS = Path('weights/r18_synth.pth')


CONFIG_SUFFIXES = {'.py', '.json', '.yaml', '.yml'}  # mmengine's


def resolve_model(
    model: str | os.PathLike | Config | None, weights: str | os.PathLike | None
) -> tuple[object, str | None]:
    """Resolve what the user named to a config (file, Config, or None: the weights' own) and a weights file or None."""
    weights = None if weights is None else str(weights)
    if model is None and weights is None:
        return str(shipped(SHIPPED_CONFIG)), str(shipped(SHIPPED_WEIGHTS))
    if not isinstance(model, str | os.PathLike):
        return model, weights
    model = str(model)
    if Path(model).is_file():
        if Path(model).suffix in CONFIG_SUFFIXES:
            return model, weights
        if weights is not None:
            raise InputError(f'{model} is not a config, and weights are given too: {weights}.')
        return None, model
    if Path(model).suffix or len(Path(model).parts) > 1:
        raise FileNotFoundError(f'No such config file: {model}')
    try:
        config, named = find_model(model)
    except KeyError as error:
        raise InputError(f'{model} is neither a config file nor a model: {error.args[0]}.') from error
    if weights is None and named is None:
        raise InputError(
            f'No weights of {model} come with the repository: train them with {config}, or name a '
            'checkpoint (--weights, weights=).'
        )
    return str(config), weights or str(named)


def checked_device(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f'{name!r} is not a device; use cpu, cuda or cuda:1.') from error
    if device.type == 'meta':
        raise InputError("'meta' is a device that holds no values; use cpu, cuda or cuda:1.")
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f'{name}: PyTorch sees {torch.cuda.device_count()} CUDA devices here; use --device cpu.')
    if device.type not in ('cpu', 'cuda'):
        try:
            torch.zeros(1, device=device)
        except Exception as error:  # every kind of device has its own
            raise InputError(f'{name}: PyTorch has no such device here; use --device cpu.') from error
    return name
