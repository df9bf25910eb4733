"""Config files as every tool opens them."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ifirvos.config import config_file, load_config, merge_options, need, read_config, set_data_root
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


def roots(node):
    """Every data_root below a node."""
    if isinstance(node, dict):
        own = [node['data_root']] if isinstance(node.get('data_root'), str) else []
        return own + [root for value in node.values() for root in roots(value)]
    return [root for value in node for root in roots(value)] if isinstance(node, list | tuple) else []


@pytest.mark.parametrize(
    ('options', 'meant'),
    [({'modle.num_queries': 3}, 'model'), ({'load_form': 'a.pth'}, 'load_from'), ({'work_dirs': 'x'}, 'work_dir')],
)
def test_a_misspelt_option_is_an_error_unless_allowed(options, meant):
    path = ROOT / 'configs/ifirvos/r18_synth.py'
    with pytest.raises(InputError, match=f'is {meant!r} meant.*--allow-unknown'):
        load_config(path, options, allow_unknown=False)
    load_config(path, options)
    load_config(path, {'my_own': 3}, allow_unknown=False)


@pytest.mark.parametrize(
    ('option', 'says'),
    [
        ('test_evaluator.type', r'test_evaluator is a list of 2: .* as test_evaluator\.0\.type'),
        ('test_evaluator.2.type', 'test_evaluator is a list of 2, counted from 0'),
        ('train_dataloader.dataset.datasets.pipeline.0.x', r'as train_dataloader\.dataset\.datasets\.0\.pipeline'),
    ],
)
def test_an_option_that_goes_into_a_list_says_where(option, says):
    path = ROOT / 'configs/ifirvos/r18_synth_fine.py'
    with pytest.raises(InputError, match=says):
        load_config(path, {option: 'x'})


def test_an_option_reaches_an_entry_of_a_list():
    config = load_config(ROOT / 'configs/ifirvos/r18_synth_fine.py', {'test_evaluator.0.bootstrap': 7})
    assert [evaluator.get('bootstrap') for evaluator in config.test_evaluator] == [7, None]


def test_a_dataloader_without_workers_needs_no_other_option():
    """Torch refuses ``persistent_workers`` there, which the configs set."""
    config = load_config(ROOT / 'configs/ifirvos/r50_ytvos.py', {'val_dataloader.num_workers': 0})
    assert not config.val_dataloader.persistent_workers
    assert config.train_dataloader.persistent_workers


def test_a_config_that_inherits_from_the_package_can_collate(tmp_path):
    """mmengine adds a scope to its dicts, and hands that of ``collate_fn`` on to the function."""
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'ifirvos::ifirvos/r18_synth.py'\n")
    config = load_config(path)
    assert config.model._scope_ == 'ifirvos'
    assert config.train_dataloader.collate_fn == dict(type='pair_collate')


@pytest.mark.parametrize('name', ['r18_synth', 'r50_ytvos', 'r50_a2d', 'r50_refcoco_pretrain'])
def test_the_data_root_is_set_everywhere(name):
    config = load_config(ROOT / f'configs/ifirvos/{name}.py', data_root='/my/data')
    found = [root for phase in ('train', 'val', 'test') for root in roots(config[f'{phase}_dataloader'])]
    assert found
    assert set(found) == {'/my/data'}


def test_two_data_roots_are_an_error_and_none_too():
    config = load_config(ROOT / 'configs/ifirvos/r50_ytvos_joint.py')
    with pytest.raises(InputError, match='data/coco, data/ref_youtube_vos'):
        set_data_root(config, '/my/data')
    set_data_root(config, '/my/data', phases=('test',))
    assert set(roots(config.test_dataloader)) == {'/my/data'}
    with pytest.raises(InputError, match='names no data_root'):
        set_data_root(Config(dict(model=dict())), '/my/data')


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('model = dict(', 'a.py'),
        ('x = 1 / 0', 'ZeroDivisionError'),
        ('x = undefined', 'NameError'),
        ("custom_imports = dict(imports=['no_such_module'])", 'imports what is not there'),
        ('model = 3', 'model is 3, not a dict'),
        ('train_dataloader = [1]', r'train_dataloader is \[1\], not a dict'),
        ('test_dataloader = dict(batch_size=1)', 'test_dataloader has no dataset'),
        ("_base_ = './none.py'", 'a.py'),
    ],
)
def test_a_config_that_does_not_run_or_is_none_is_named(tmp_path, text, says):
    path = tmp_path / 'a.py'
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_config(path)
    assert 'a.py' in str(caught.value)


@pytest.mark.parametrize(
    'options', [{'model': 3}, {'model.b.x': 1}, {'model.b.7.c': 1}, {'test_dataloader.dataset': 1}, {'model.a.x': 1}]
)
def test_options_that_do_not_fit_are_one_error(options):
    config = Config(dict(model=dict(a=1, b=[dict(c=1)]), test_dataloader=dict(dataset=dict())))
    with pytest.raises(InputError, match='--cfg-options'):
        merge_options(config, options)


def test_what_a_command_needs_is_named():
    with pytest.raises(InputError, match=r'a\.py: the config has no optim_wrapper'):
        need(Config(dict(model=dict(), optim_wrapper=None)), ('model', 'optim_wrapper'), 'a.py')
