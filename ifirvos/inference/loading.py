"""Builds the model from the config, weights and device that the user named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from ifirvos.allocation_limit import limit_of
from ifirvos.checkpoint import config_text, load_checkpoint, load_strictly, read_checkpoint
from ifirvos.config import check_options, config_file, load_config, merge_options, need
from ifirvos.errors import CheckpointError, InputError, MissingFileError
from ifirvos.models.text_encoder import load_tokenizers, without_weights
from ifirvos.plain_config import model_config
from ifirvos.referformer_weights import Origin, config_of, convert_checkpoint, is_official
from ifirvos.registry import MODELS

from .model_index import ROOT, SHIPPED_MODEL, find_entry, shipped
from .zoo import local_weights

SHIPPED_CONFIG = Path(f'configs/ifirvos/{SHIPPED_MODEL}.py')
CONFIG_SUFFIXES = {'.py', '.json', '.yaml', '.yml'}  # mmengine's


@dataclass
class NamedModel:
    """The model that the user named.

    Attributes:
        config: A config file or Config; None: the one in the weights, or the one that fits them.
        weights: A file; None: random weights.
        name: That of its weights in the index; None for files of the user's own.
    """

    config: str | Config | None
    weights: str | None
    name: str | None = None


def resolve_model(
    model: str | os.PathLike | Config | None,
    weights: str | os.PathLike | None,
    offline: bool | None = None,
    show_progress: bool = True,
) -> NamedModel:
    """Resolve files or a name of the index, whose weights are downloaded if necessary.

    Args:
        model: Config file or Config, a name, or a checkpoint.
        weights: Checkpoint, or name of a model whose weights are used.
        offline: Do not use the network; None: as set by ``IFIRVOS_OFFLINE``.
        show_progress: Show a bar of the download.

    Raises:
        FileNotFoundError: No such file.
        InputError: No such name, or a name without weights.
        DownloadError: The weights cannot be had.
    """
    if model is None and weights is None:
        model = SHIPPED_MODEL
    name = None
    if weights is not None:
        entry = _entry_of(weights)
        name = entry and entry['Name']
        weights = named_weights(weights, offline, show_progress)
    if model is None or not isinstance(model, str | os.PathLike):
        return NamedModel(model, weights, name)
    model = str(model)
    if '::' in model:  # a config of a package
        return NamedModel(str(config_file(model)), weights, name)
    if Path(model).is_file():
        if Path(model).suffix in CONFIG_SUFFIXES:
            return NamedModel(model, weights, name)
        if weights is not None:
            raise InputError(f'{model} is not a config, and weights are given too: {weights}.')
        return NamedModel(None, model)
    if Path(model).suffix or len(Path(model).parts) > 1:
        raise MissingFileError(f'No such config file: {model}')
    try:
        entry = find_entry(model)
    except KeyError as error:
        raise InputError(f'{model} is neither a config file nor a model: {error.args[0]}.') from error
    if weights is None:
        weights, name = local_weights(entry, offline, show_progress), entry['Name']
    return NamedModel(str(shipped(entry['Config'])), str(weights), name)


def named_weights(weights: str | os.PathLike, offline: bool | None = None, show_progress: bool = True) -> str:
    """Return the weights of a path or of a named model; a path that does not exist is returned unchanged.

    'weights/….pth' of the shipped configs is also found where they are not in the current folder.

    Raises:
        DownloadError: A model's weights cannot be had.
        InputError: A model has none.
    """
    entry = _entry_of(weights)
    if entry is not None:
        return str(local_weights(entry, offline, show_progress))
    is_shipped = not Path(weights).exists() and (ROOT / weights).is_file()
    return str(ROOT / weights if is_shipped else weights)


def _entry_of(weights: str | os.PathLike) -> dict | None:
    """Return the entry of a model whose weights are named; None for a path."""
    weights = str(weights)
    if Path(weights).exists() or len(Path(weights).parts) > 1:
        return None
    try:
        return find_entry(weights)
    except (KeyError, FileNotFoundError):
        return None


def official_config(origin: Origin, weights: str) -> Path:
    """Return the config file that fits an official ReferFormer checkpoint.

    Raises:
        CheckpointError: None fits, or several do; the message lists the candidates.
    """
    path = config_of(origin, weights)
    if not (ROOT / path).is_file():  # not every backbone was trained on every data set; the model is the same
        path = f'{path.rsplit("/", 1)[0]}/{origin.backbone}_ytvos.py'
    return shipped(path)


def describe_weights(weights: str | os.PathLike) -> str:
    """Describe a file of weights and the config that fits it.

    Raises:
        FileNotFoundError, CheckpointError: It cannot be read.
    """
    checkpoint = read_checkpoint(weights)
    if is_official(checkpoint):
        origin = convert_checkpoint(checkpoint, str(weights))['origin']
        try:
            fits = f'config: {official_config(origin, str(weights)).relative_to(ROOT)}'
        except CheckpointError as error:
            fits = str(error)
        return f'{origin.summary}\n{fits}'
    values = sum(tensor.numel() for tensor in checkpoint['state_dict'].values() if isinstance(tensor, torch.Tensor))
    text = config_text(checkpoint)
    if text is None:
        config = 'without its config: name one (--config)'
    else:
        backbone = model_config(text, where=str(weights)).model.get('backbone', {}).get('type', 'unknown')
        config = f'with its config inside (backbone {backbone})'
    return f'{weights}: weights of ifirvos, {len(checkpoint["state_dict"])} tensors of {values:,} values, {config}'


@dataclass
class OpenedModel:
    """A config and weights that were read, from which the model can be built."""

    config: Config
    checkpoint: dict | None
    budget: AbstractContextManager
    config_name: str
    weights_name: str | None

    def build(self, device: str) -> nn.Module:
        """Return the model with its weights, in evaluation mode; its tokenizer is loaded and checked.

        Raises:
            InputError: It cannot be built from this config, or the tokenizer cannot be had.
            CheckpointError: The weights do not fit.
        """
        # mmengine's BaseModel builds the data preprocessor in the default scope, which may not be set.
        with DefaultScope.overwrite_default_scope(MODELS.scope):
            try:
                with self.budget:
                    # mmdet's detectors modify their config.
                    model = MODELS.build(deepcopy(self.config.model))
            # A text encoder that cannot be loaded, or a class with other arguments than the config's
            except (RuntimeError, MemoryError, ValueError, TypeError, LookupError, AttributeError) as error:
                kind = CheckpointError if isinstance(error, CheckpointError) else InputError
                raise kind(
                    f'The model of {self.config_name} cannot be built: {unregistered(error) or error}'
                ) from error
        if self.checkpoint is None:
            MMLogger.get_current_instance().warning('No weights given: the model is random and so are its masks.')
        else:
            load_strictly(model, self.checkpoint, self.weights_name, self.config_name)
        load_tokenizers(model)
        return model.to(device).eval()


def open_model(
    named: NamedModel, cfg_options: Mapping[str, Any] | None = None, text_encoder: str | os.PathLike | None = None
) -> OpenedModel:
    """Read config and weights.

    Args:
        named: Output of :func:`resolve_model`.
        cfg_options: Changes of the config by dotted key.
        text_encoder: Folder (or Hub name) of the tokenizer, instead of the config's.

    Raises:
        InputError, FileNotFoundError, CheckpointError: They cannot be read, or do not fit.
    """
    checkpoint = None if named.weights is None else load_checkpoint(named.weights)
    budget, folder = nullcontext(), None if text_encoder is None else str(text_encoder)
    if isinstance(named.config, str):
        config, name = load_config(named.config), named.config
    elif named.config is not None:
        config, name = Config(named.config._cfg_dict.to_dict()), 'the given config'
    elif text := config_text(checkpoint):
        config, name = model_config(text, folder, named.weights), f'{named.weights} (its own config)'
        if folder is not None and not (Path(folder) / 'config.json').is_file():
            # The folder has only the tokenizer: the shape is the config's, or roberta-base's.
            config.model.text_encoder.name = 'roberta-base'
        budget = limit_of(checkpoint)
    elif 'origin' in checkpoint:
        name = str(official_config(checkpoint['origin'], named.weights))
        config = load_config(name)
    else:
        raise CheckpointError(f'{named.weights} does not hold its config; name the config file too (--config, model=).')
    check_options(cfg_options or {}, config.keys(), can_allow=False)
    merge_options(config, cfg_options)
    need(config, ('model', 'test_dataloader'), name)
    encoder = config.model.get('text_encoder')
    if encoder is not None and checkpoint is not None:
        config.model.text_encoder = without_weights(encoder, folder)
        if config.model.backbone.get('init_cfg') is not None:  # a module of one's own need not take it
            config.model.backbone.init_cfg = None  # those are in the checkpoint too
    elif encoder is not None and folder is not None:
        encoder.name = folder
    return OpenedModel(config, checkpoint, budget, name, named.weights)


def unregistered(error: BaseException) -> str | None:
    """Return a one-line message for an unregistered class, None for any other error."""
    text = str(error)
    if not isinstance(error, KeyError) or 'is not in the' not in text:
        return None
    name = text.strip('\'"').split(' ', 1)[0]
    return (
        f'no class {name!r} is registered. If it is your own, let the config import its module: '
        'custom_imports = dict(imports=["your_package"]), and name that config (--config).'
    )


def checked_device(name: str | None) -> str | None:
    """Return the device's name.

    Raises:
        InputError: There is no such device.
    """
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
