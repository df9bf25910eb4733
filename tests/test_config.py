"""Config files as every tool opens them."""

import pytest
from mmengine.registry import DefaultScope

from ifirvos.config import load_config
from ifirvos.errors import InputError


def test_options_change_the_config_and_its_scope_is_set(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("default_scope = 'mmdet'\nmodel = dict(a=1, b=[dict(c=1), dict(c=2)])\n")
    config = load_config(path, {'model.a': 2, 'model.b.1.c': 5})
    assert config.model == dict(a=2, b=[dict(c=1), dict(c=5)])
    assert DefaultScope.get_current_instance().scope_name == 'mmdet'


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match='none.py does not exist'):
        load_config('none.py')
