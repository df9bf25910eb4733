"""Config files as every tool opens them."""

from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from ifirvos.config import config_file, load_config
from ifirvos.errors import InputError

ROOT = Path(__file__).parents[1]


def test_options_change_the_config_and_its_scope_is_set(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("default_scope = 'mmdet'\nmodel = dict(a=1, b=[dict(c=1), dict(c=2)])\n")
    config = load_config(path, {'model.a': 2, 'model.b.1.c': 5})
    assert config.model == dict(a=2, b=[dict(c=1), dict(c=5)])
    assert DefaultScope.get_current_instance().scope_name == 'mmdet'


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match='none.py does not exist'):
        load_config('none.py')


def test_a_config_of_a_package_is_found():
    assert config_file('ifirvos::ifirvos/r18_synth.py').resolve() == ROOT / 'configs/ifirvos/r18_synth.py'
    assert config_file('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').is_file()
    with pytest.raises(InputError, match='ifirvos::none.py does not exist'):
        config_file('ifirvos::none.py')
    with pytest.raises(InputError, match='no package nobody_has_it is installed'):
        config_file('nobody_has_it::a/b.py')
