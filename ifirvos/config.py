"""Config files as every tool opens them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import get_installed_path

from .errors import InputError


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


def load_config(path: str | os.PathLike, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file, apply the command line's changes and set its default scope.

    Args:
        path: The config, see :func:`config_file`. It is Python and runs.
        options: Changes by dotted key, as ``--cfg-options`` gives them.

    Raises:
        InputError: There is no such file.
    """
    config = Config.fromfile(config_file(path))
    config.merge_from_dict(dict(options or {}))
    init_default_scope(config.get('default_scope', 'mmdet'))
    return config
