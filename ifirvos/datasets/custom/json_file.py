"""Reading of exported json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ifirvos.errors import InputError


def load_json(path: Path) -> Any:
    """Read a json file.

    Raises:
        InputError: It is not json.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f'{path} is not json: {error}.') from error
