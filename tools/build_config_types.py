"""Writes ifirvos/config_types.py: the classes in the models of this repository's configs.

    python tools/build_config_types.py

Run it when a config uses a new class; tests/test_plain_config.py fails until then.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmengine.config import Config

HEADER = '''"""The classes in the models of the shipped configs. Written by tools/build_config_types.py; do not edit.

The config in a checkpoint may name no others (``plain_config.py``).
"""
'''

# In checkpoints of earlier configs.
EARLIER = ('GIoULoss',)


def configs() -> list[Path]:
    """Return the config files that a user names."""
    return sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


def dicts(node: Any) -> Iterator[dict]:
    """Yield the dicts in a config; those of ``init_cfg``, which nothing is built from, are left out."""
    if isinstance(node, dict):
        yield node
        node = [value for key, value in node.items() if key != 'init_cfg']
    if isinstance(node, list | tuple):
        for child in node:
            yield from dicts(child)


def collect(cfgs: Iterable[dict]) -> dict[str, tuple[str, ...]]:
    """Return the names of every list: types of models, types of resizes, text encoders."""
    models, resizes, encoders = set(EARLIER), {'Resize'}, set()  # of configs of one's own, mmdet's resize
    for cfg in cfgs:
        models |= {node['type'] for node in dicts(cfg['model']) if 'type' in node}
        encoders.add(cfg['model']['text_encoder']['name'])
        steps = {node.get('type') for node in dicts(cfg['test_dataloader'])}
        resizes |= {name for name in steps if isinstance(name, str) and 'Resize' in name}
    lists = dict(MODEL_TYPES=models, RESIZE_TYPES=resizes, TEXT_ENCODERS=encoders)
    return {name: tuple(sorted(found)) for name, found in lists.items()}


def source(lists: dict[str, tuple[str, ...]]) -> str:
    """Return the text of the module."""
    text = HEADER
    for name in ('MODEL_TYPES', 'RESIZE_TYPES'):
        items = ''.join(f'        {item!r},\n' for item in lists[name])
        text += f'\n{name} = frozenset(\n    {{\n{items}    }}\n)\n'
    items = ''.join(f'    {item!r},\n' for item in lists['TEXT_ENCODERS'])
    return text + f'TEXT_ENCODERS = (\n{items})\n'


if __name__ == '__main__':
    (ROOT / 'ifirvos' / 'config_types.py').write_text(
        source(collect(Config.fromfile(path).to_dict() for path in configs())), encoding='utf-8'
    )
