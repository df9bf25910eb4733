"""Config files as every tool opens them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from .errors import InputError


def load_config(path: str | os.PathLike, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file, apply the command line's changes and set its default scope.

    Args:
        path: The config file. It is Python and runs.
        options: Changes by dotted key, as ``--cfg-options`` gives them.

    Raises:
        InputError: There is no such file.
    """
    if not Path(path).is_file():
        raise InputError(f'The config {path} does not exist.')
    config = Config.fromfile(path)
    config.merge_from_dict(dict(options or {}))
    init_default_scope(config.get('default_scope', 'mmdet'))
    return config
