"""Models by name, from ``model-index.yml`` in MMDetection's format, with their configs and weights."""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import yaml

try:  # libyaml: ten times as fast, and every start of a tool reads the index
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without it
    from yaml import SafeLoader

INDEX = 'model-index.yml'
SHIPPED_MODEL = 'r18_synth_fine'
_MIM = Path(__file__).parents[1] / '.mim'
# Configs, index and weights are in the package's .mim, where mim and mmengine look for them. In a checkout it links to
# those at the top; a zip file of a checkout loses the links.
ROOT = (_MIM / INDEX).resolve().parent if (_MIM / 'configs').is_dir() else _MIM.parents[1]


def shipped(path: str | Path) -> Path:
    """Return a file that ships with the package, by its path in the repository.

    Raises:
        FileNotFoundError: it is not there.
    """
    if not (ROOT / path).is_file():
        raise FileNotFoundError(
            f'The shipped {path} is not under {ROOT}: install ifirvos again, or name a config and weights of your own.'
        )
    return ROOT / path


def list_models() -> dict[str, dict]:
    """Every model of the index by its name: its entry, with ``Config`` and ``Weights`` (None where there are none).

    Raises:
        FileNotFoundError: the index is not there.
    """
    models = {}
    for part in _read(INDEX)['Import']:
        for model in _read(part)['Models']:
            models[model['Name']] = model
    return models


def _read(path: str) -> dict:
    file = shipped(path)
    return deepcopy(_parse(file, file.stat().st_mtime_ns))


@lru_cache
def _parse(file: Path, changed: int) -> dict:
    content = yaml.load(file.read_text(encoding='utf-8'), Loader=SafeLoader)
    if not isinstance(content, dict):
        raise FileNotFoundError(
            f'{file} is no index of models. Zip files lose the links of a checkout: install from git clone or a tar.gz.'
        )
    return content


def find_entry(name: str) -> dict:
    """Return a model's entry.

    Args:
        name: As in the index, or one of its aliases; upper and lower case are the same.

    Raises:
        KeyError: no such model; the message has the most similar name, and all there are.
        FileNotFoundError: the index is not there.
    """
    models = list_models()
    for model in models.values():
        names = [model['Name'], *_as_list(model.get('Alias'))]
        if name.lower() in (known.lower() for known in names):
            return model
    similar = get_close_matches(name.lower(), models, 1)
    raise KeyError(f'no model {name!r}{f", perhaps {similar[0]}" if similar else ""}; there are {", ".join(models)}')


def metadata_of(name: str | None) -> dict:
    """Return a model's metadata, see :func:`find_entry`; none for a model of the user's own (None)."""
    return {} if name is None else find_entry(name).get('Metadata') or {}


def _as_list(value: str | list | None) -> list:
    return [] if value is None else value if isinstance(value, list) else [value]
