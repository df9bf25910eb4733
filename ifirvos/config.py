"""Loading of config files, the same for all tools."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import get_installed_path

from .errors import InputError, UserError, one_line
from .safe_names import shown

PHASES = ('train', 'val', 'test')


def config_file(name: str | os.PathLike) -> Path:
    """Return the file of a config, which may be one of an installed package: ``ifirvos::ifirvos/r50_ytvos.py``.

    Raises:
        InputError: There is no such file or package.
    """
    package, separator, inside = str(name).partition('::')
    try:
        path = Path(get_installed_path(package), '.mim', 'configs', inside) if separator else Path(name)
    except PackageNotFoundError as error:
        raise InputError(f'{name}: no package {package} is installed.') from error
    if not path.is_file():
        raise InputError(f'The config {name} does not exist.')
    return path


def set_data_root(config: Config, root: str | os.PathLike, phases: Sequence[str] = PHASES) -> None:
    """Set where the data lie, however deep a config keeps it: ``--data-root`` of the tools.

    Args:
        config: It is changed.
        root: The folder.
        phases: Whose dataloaders must have one and the same root; other places that name that root follow.

    Raises:
        InputError: They have none, or different ones.
    """
    loaders = [config._cfg_dict.get(f'{phase}_dataloader') for phase in phases]
    old = sorted({os.path.normpath(node['data_root']) for node in with_data_root(loaders)})
    if not old:
        raise InputError(f'--data-root: the config names no data_root to {" or ".join(phases)}.')
    if len(old) > 1:
        raise InputError(
            f'--data-root: the config takes data from different folders, {", ".join(old)}: set each with '
            '--cfg-options, or name the data in a config of your own.'
        )
    for node in with_data_root(config._cfg_dict):
        if os.path.normpath(node['data_root']) in old:
            node['data_root'] = str(root)


def with_data_root(node: object) -> Iterator[dict]:
    """Yield every dict below a node with a data_root that is a path."""
    if isinstance(node, dict):
        if isinstance(node.get('data_root'), str) and node['data_root']:
            yield node
        for value in node.values():
            yield from with_data_root(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from with_data_root(value)


def check_options(
    options: Mapping[str, object], known: Iterable[str], allowed: bool = False, can_allow: bool = True
) -> None:
    """Refuse a key of ``--cfg-options`` that looks like a misspelt one of the config: it would have no effect.

    Args:
        options: The options; of a nested key, ``a.b.c``, the first part counts.
        known: Keys of the config.
        allowed: Say nothing.
        can_allow: The command has ``--allow-unknown``.

    Raises:
        InputError: names the key that was probably meant.
    """
    # What mmengine's Runner takes beside what our configs set.
    known = sorted({*known, 'load_from', 'resume', 'work_dir', 'launcher', 'experiment_name', 'randomness', 'env_cfg'})
    for option in () if allowed else options:
        key = str(option).split('.')[0]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        if key not in known and close:
            advice = ' With --allow-unknown it is set as it stands.' if can_allow else ''
            raise InputError(f'--cfg-options {option}: the config has no {key!r}; is {close[0]!r} meant?{advice}')


def merge_options(config: Config, options: Mapping[str, Any] | None) -> None:
    """Apply the command line's changes.

    Args:
        config: It is changed.
        options: Changes by dotted key; entries of a list by their number, ``test_evaluator.0.type``.

    Raises:
        InputError: A key does not fit the config, such as one that goes into a list without a number.
    """
    for option in options or {}:
        node, parts = config._cfg_dict, option.split('.')
        for depth, part in enumerate(parts):
            if isinstance(node, list | tuple):
                above, below = '.'.join(parts[:depth]), '.'.join(parts[depth:])
                if not part.isdecimal():
                    raise InputError(
                        f'--cfg-options {option}: {above} is a list of {len(node)}: name an entry by its number, as '
                        f'{above}.0.{below}, or replace the list.'
                    )
                if int(part) >= len(node):
                    raise InputError(f'--cfg-options {option}: {above} is a list of {len(node)}, counted from 0.')
                node = node[int(part)]
            elif isinstance(node, Mapping):
                node = node.get(part)
            else:
                break
    try:
        config.merge_from_dict(dict(options or {}))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f'--cfg-options {" ".join(options)}: not of this config ({error}).') from error
    _check_shape(config, '--cfg-options' if options else 'The config')
    mend_dataloaders(config)


def mend_dataloaders(config: Config) -> None:
    """Take out of dataloaders what torch and mmengine do not accept there.

    That is the options of worker processes with ``num_workers=0``, and in ``collate_fn`` the scope that mmengine adds
    if the config inherits from one of an installed package.

    Args:
        config: It is changed.
    """
    for phase in PHASES:
        loader = config.get(f'{phase}_dataloader') or {}
        if loader.get('num_workers') == 0:
            loader.persistent_workers = False
            loader.pop('prefetch_factor', None)
        if isinstance(loader.get('collate_fn'), Mapping):
            loader.collate_fn.pop('_scope_', None)


def read_config(path: str | os.PathLike) -> Config:
    """Return a config as its file says.

    Args:
        path: See :func:`config_file`. It is Python and runs.

    Raises:
        InputError: There is no such file, it imports a module that is not there, or it does not run.
    """
    try:
        config = Config.fromfile(config_file(path))
    except UserError:
        raise
    except ImportError as error:
        first = error  # mmengine wraps it twice, and says all of sys.path
        while first.__cause__ or first.__context__:
            first = first.__cause__ or first.__context__
        raise InputError(
            f'The config {path} imports what is not there ({first}). Install it, or put its folder on '
            'PYTHONPATH; custom_imports names it.'
        ) from error
    except OSError as error:  # a base that is not there
        raise InputError(f'The config {path} cannot be read: {one_line(error)}') from error
    except Exception as error:  # it is a program, and may raise anything
        raise InputError(f'The config {path} cannot be read: {type(error).__name__}: {error}.') from error
    _check_shape(config, f'The config {path}')
    return config


def _check_shape(config: Config, where: str) -> None:
    """Refuse other things than dicts where all code takes a dict for granted."""
    for key in ('model', *(f'{phase}_dataloader' for phase in PHASES), 'optim_wrapper', 'default_hooks', 'env_cfg'):
        value = config.get(key)
        if value is not None and not isinstance(value, dict):
            raise InputError(f'{where}: {key} is {shown(value)}, not a dict.')
        if key.endswith('loader') and value and not isinstance(value.get('dataset'), dict):
            raise InputError(f'{where}: {key} has no dataset, a dict.')


def need(config: Config, keys: Iterable[str], path: object) -> None:
    """Check that a config has what a command needs.

    Args:
        config: The config.
        keys: Top-level keys that must not be None.
        path: Its file, for the message.

    Raises:
        InputError: One is missing.
    """
    for key in keys:
        if config.get(key) is None:
            raise InputError(f'{path}: the config has no {key}: name another config, or add it.')


def load_config(
    path: str | os.PathLike,
    options: Mapping[str, Any] | None = None,
    data_root: str | os.PathLike | None = None,
    phases: Sequence[str] = PHASES,
    allow_unknown: bool = True,
) -> Config:
    """Read a config file, apply the command line's changes and set its default scope.

    Args:
        path: The config, see :func:`config_file`. It is Python and runs.
        options: Changes by dotted key, as ``--cfg-options`` gives them.
        data_root: Where the data lie, see :func:`set_data_root`; None: where the config says.
        phases: Whose data are used.
        allow_unknown: Let ``options`` set a key that the config does not have, see :func:`check_options`.

    Raises:
        InputError: There is no such file, or no module that it imports, or no single data root to be set, or an option
            is probably misspelt or does not fit the config.
    """
    config = read_config(path)
    check_options(options or {}, config.keys(), allow_unknown)
    merge_options(config, options)
    if data_root is not None:
        set_data_root(config, data_root, phases)
    init_default_scope(config.get('default_scope', 'mmdet'))
    return config
