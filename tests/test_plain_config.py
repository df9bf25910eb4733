"""The config inside a checkpoint is read, not run."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from ifirvos.errors import CheckpointError
from ifirvos.plain_config import plain_config

CONFIGS = Path(__file__).parents[1] / 'configs'


@pytest.mark.parametrize(
    'name', ['ifirvos/r50_ytvos.py', 'referformer/r50_davis17.py', 'ifirvos/r18_synth_temporal.py']
)
def test_what_mmengine_writes_is_read_as_mmengine_reads_it(name):
    text = Config.fromfile(CONFIGS / name).pretty_text
    assert plain_config(text).to_dict() == Config.fromstring(text, '.py').to_dict()


def test_every_kind_of_value():
    text = "a = dict({'b-c': [1, -2.5, (True, None)]}, d={1: 'e'}, f=set(), g=float('inf'))\nh = {3}\n"
    assert plain_config(text).to_dict() == {
        'a': {'b-c': [1, -2.5, (True, None)], 'd': {1: 'e'}, 'f': set(), 'g': float('inf')},
        'h': {3},
    }


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        "a = __import__('os').system('true')",
        'a = [b for b in ()]',
        'a = print(1)',
        'a = dict(**dict(b=1))',
        'a = b = 1',
        'a.b = 1',
        'a = (lambda: 1)()',
        "model = dict(type='subprocess.Popen', args=['true'])",  # a registry would import it
        "model = dict(parts=[dict(type='os.system')])",
        'a = ',
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(CheckpointError, match='not plain data'):
        plain_config(text)


def test_nothing_is_imported(tmp_path, monkeypatch):
    (tmp_path / 'imported_by_config.py').write_text('raise SystemError')
    monkeypatch.syspath_prepend(tmp_path)
    config = plain_config("custom_imports = dict(imports=['imported_by_config'])")
    assert config.custom_imports.imports == ['imported_by_config']
    assert 'imported_by_config' not in sys.modules
