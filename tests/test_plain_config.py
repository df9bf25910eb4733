"""The config inside a checkpoint is read, not run, and names nothing but what our own configs are made of."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from tool_scripts import load_tool
from yapf.yapflib.yapf_api import FormatCode

from ifirvos import config_types
from ifirvos.errors import CheckpointError
from ifirvos.plain_config import model_config, plain_config

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
MODEL = """
model = dict(type='IFIRVOS', backbone=dict(type='ResNet', depth=18), text_encoder=dict(name='roberta-base'), {})
test_dataloader = dict(dataset=dict(pipeline=[dict(type='TransformBroadcaster', transforms=[
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 48), keep_ratio=True)])]))
"""


def build_config_types():
    return load_tool('build_config_types.py')


@pytest.mark.parametrize(
    'name', ['ifirvos/r50_ytvos.py', 'referformer/r50_davis17.py', 'ifirvos/r18_synth_temporal.py']
)
def test_what_mmengine_writes_is_read_as_mmengine_reads_it(name, monkeypatch):
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', FormatCode)  # which the other tests go without
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
        "a = f'{1}'",
        'a = {[]: 1}',
        'a = \0',
        'a = (',
        "a = '",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(CheckpointError, match='not plain data'):
        plain_config(text)


@pytest.mark.parametrize(
    'text',
    [
        'a = ' + '[' * 100_000 + ']' * 100_000,
        'a = ' + '(' * 100_000,
        'a = ' + '-' * 100_000 + '1',
        'a = ' + 'not ' * 100_000 + '1',
        'a = dict' + '()' * 100_000,
        'a = b' + '[0]' * 100_000,
        'a = b' + '.c' * 100_000,
        'a = ' + '1 + ' * 100_000 + '1',
        'a = ' + '1 if 1 else ' * 50_000 + '1',
        'a = ' + 'dict(b=' * 100_000,
        'a = ' + '9' * 5_000,
        'a = 1\n' * 200_000,
    ],
    ids=range(12),
)
def test_what_would_exhaust_the_parser_is_refused(text):
    with pytest.raises(CheckpointError, match='not plain data'):
        plain_config(text)


@pytest.mark.parametrize('text', [None, 3, b'a = 1', ['a = 1']])
def test_a_config_that_is_no_text(text):
    with pytest.raises(CheckpointError, match='not text'):
        plain_config(text)


def test_nothing_is_imported(tmp_path, monkeypatch):
    (tmp_path / 'imported_by_config.py').write_text('raise SystemError')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match='asks to import'):
        model_config(MODEL.format('') + "custom_imports = dict(imports=['imported_by_config'])")
    with pytest.raises(CheckpointError, match='_scope_'):
        model_config(MODEL.format("neck=dict(_scope_='imported_by_config', type='ResNet')"))
    assert 'imported_by_config' not in sys.modules


def test_our_scope_and_dotted_names_of_our_classes_are_read():
    """As mmengine writes them for ``_base_ = 'ifirvos::…'``, and for configs in pure Python; nothing is imported."""
    dotted = "backbone=dict(_scope_='ifirvos', type='mmdet.models.backbones.resnet.ResNet', depth=18)"
    assert model_config(MODEL.format(dotted)).model.backbone.type == 'ResNet'
    for name in ('os.system', 'mmdet.os.system', 'ifirvos.files.write_whole', 'mmdetx.ResNet'):
        with pytest.raises(CheckpointError):
            model_config(MODEL.format(f"backbone=dict(type='{name}')"))


@pytest.fixture(scope='module')
def shipped():
    return {path: Config.fromfile(path).to_dict() for path in build_config_types().configs()}


def test_the_list_is_what_the_shipped_configs_name(shipped):
    tool = build_config_types()
    written = tool.source(tool.collect(shipped.values()))
    assert written == Path(config_types.__file__).read_text(), 'run tools/build_config_types.py'


def test_every_shipped_config_passes(shipped):
    assert len(shipped) > 30
    for config in shipped.values():
        # pretty_text would take seconds to format
        kept = model_config('\n'.join(f'{name} = {value!r}' for name, value in config.items())).to_dict()
        assert kept.keys() == {'model', 'test_dataloader'}
        assert {node['init_cfg'] for node in _dicts(kept['model']) if 'init_cfg' in node} <= {None}
        assert kept['model']['bbox_head'] == config['model']['bbox_head']
        assert len(kept['test_dataloader']['dataset']['pipeline']) == 1


def _dicts(node):
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _dicts(child)


@pytest.mark.parametrize(
    'part',
    [
        "teacher=dict(type='KnowledgeDistillationSingleStageDetector', teacher_ckpt='a.pth')",
        "neck=dict(type='ClassNamedNowhere')",
        "neck=dict(type=['ResNet'])",
        "teacher_config='evil.py', neck=dict(path='/tmp/evil')",
        "fusion='http://127.0.0.1/evil.pth'",
        "fusion='..\\\\\\\\evil'",
        'num_queries=1000000000',
        'num_queries=1e300',
        "neck=dict(type='ResNet', pretrained='evil')",
    ],
)
def test_what_none_of_our_models_has_is_refused(part):
    with pytest.raises(CheckpointError, match='none of ours') as caught:
        model_config(MODEL.format(part))
    assert '--config' in str(caught.value)


def test_the_text_encoder_is_not_fetched_from_elsewhere():
    for encoder in ("name='some-folder'", "name='org/repository'", 'config=dict(trust_remote_code=True)'):
        with pytest.raises(CheckpointError, match=r'text_encoder'):
            model_config(MODEL.replace("name='roberta-base'", encoder).format(''))
    config = model_config(MODEL.replace('roberta-base', '/data/roberta').format(''), text_encoder='mine')
    assert config.model.text_encoder.name == 'mine', 'what the user names may lie anywhere'


@pytest.mark.parametrize(
    'text',
    [
        'a = 1',
        'model = 3',
        "model = 'IFIRVOS'",
        "model = dict(type='IFIRVOS', text_encoder=3)",
        'model = dict()\ntest_dataloader = 3',
        'model = dict()\ntest_dataloader = dict(dataset=dict(pipeline=[3]))',
        'model = dict()\ntest_dataloader = dict(dataset=dict(datasets=[]))',
        'model = dict()\ntest_dataloader = dict(dataset=dict(pipeline=[dict(type="Resize", scale=(99999, 99999))]))',
        "model = dict()\ncustom_imports = 'os'",
    ],
)
def test_configs_of_another_shape(text):
    with pytest.raises(CheckpointError, match='none of ours'):
        model_config(text)
