"""model-index.yml: every name leads to files that are there, and every file of weights has a name."""

import os

import pytest
from mmengine.config import Config

from ifirvos.inference import model_index
from ifirvos.inference.model_index import ROOT, find_entry, list_models


def test_every_model_has_a_config_and_its_weights_are_there():
    for name, model in list_models().items():
        assert Config.fromfile(ROOT / model['Config']).model.type == 'IFIRVOS', name
        weights = model['Weights']
        assert weights is None or weights.startswith('https://') or (ROOT / weights).is_file(), name


def test_every_file_of_weights_has_a_name():
    named = {model['Weights'] for model in list_models().values()}
    assert {f'weights/{path.name}' for path in (ROOT / 'weights').glob('*.pth')} <= named


def test_names_are_found_whatever_their_case():
    assert find_entry('R18_Synth')['Weights'] == 'weights/r18_synth.pth'
    with pytest.raises(KeyError, match="no model 'yolo'; there are r18_synth, "):
        find_entry('yolo')
    with pytest.raises(KeyError, match="no model 'ReferFormer-r50-ytvos-jiont', perhaps referformer-r50-ytvos-joint; "):
        find_entry('ReferFormer-r50-ytvos-jiont')


def test_it_says_when_what_should_be_shipped_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr('ifirvos.inference.model_index.ROOT', tmp_path)
    with pytest.raises(FileNotFoundError, match='install ifirvos again'):
        find_entry('r18_synth')


def test_a_link_that_a_zip_file_has_made_a_text_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(model_index, 'ROOT', tmp_path)
    (tmp_path / 'model-index.yml').write_text('../../model-index.yml')
    with pytest.raises(FileNotFoundError, match='Zip files lose the links'):
        model_index.list_models()


def test_the_index_is_read_once_and_again_when_it_changes(monkeypatch, tmp_path):
    (tmp_path / 'model-index.yml').write_text('Import: [a.yml]')
    (tmp_path / 'a.yml').write_text('Models: [{Name: one}]')
    monkeypatch.setattr(model_index, 'ROOT', tmp_path)
    first = list_models()
    first['one']['Name'] = 'changed by the caller'
    misses = model_index._parse.cache_info().misses
    assert list_models() == {'one': {'Name': 'one'}}
    assert model_index._parse.cache_info().misses == misses
    (tmp_path / 'a.yml').write_text('Models: [{Name: two}]')
    os.utime(tmp_path / 'a.yml', ns=(1, 1))
    assert list(list_models()) == ['two']
