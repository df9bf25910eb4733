"""From what the user named to a model: what decides the shape of the text encoder."""

import pytest
import torch

from ifirvos.errors import InputError
from ifirvos.inference.loading import NamedModel, open_model, resolve_model
from ifirvos.inference.model_index import ROOT
from ifirvos.models.text_encoder import ROBERTA_BASE
from ifirvos.testing import write_tiny_roberta

# As a checkpoint of a run with `model.text_encoder.name=FOLDER` holds its config.
CONFIG = """
model = dict(
    type='IFIRVOS',
    backbone=dict(type='ResNet', depth=18),
    text_encoder=dict(type='RobertaTextEncoder', name='/gone/roberta', {}),
)
"""


@pytest.fixture
def weights(tmp_path):
    """-> a function: a checkpoint whose config has that of a text encoder."""

    def write(encoder: str = '') -> str:
        path = tmp_path / 'w.pth'
        torch.save(dict(meta=dict(config_text=CONFIG.format(encoder)), state_dict=dict(a=torch.ones(1))), path)
        return str(path)

    return write


def test_a_folder_with_a_tokenizer_alone_has_the_shape_of_roberta_base(weights, tmp_path):
    encoder = open_model(NamedModel(None, weights()), text_encoder=tmp_path).config.model.text_encoder
    assert encoder == dict(type='RobertaTextEncoder', name=str(tmp_path), pretrained=False, config=ROBERTA_BASE)


def test_a_folder_that_tells_its_shape_is_believed(weights, tmp_path):
    write_tiny_roberta(tmp_path / 'roberta')
    encoder = open_model(NamedModel(None, weights()), text_encoder=tmp_path / 'roberta').config.model.text_encoder
    assert encoder.name == str(tmp_path / 'roberta')
    assert encoder.pretrained is False
    assert encoder.config.hidden_size < ROBERTA_BASE['hidden_size']


def test_a_shape_in_the_config_comes_first(weights, tmp_path):
    write_tiny_roberta(tmp_path / 'roberta')
    own = 'pretrained=False, config=dict(hidden_size=48)'
    encoder = open_model(NamedModel(None, weights(own)), text_encoder=tmp_path / 'roberta').config.model.text_encoder
    assert encoder.config == dict(hidden_size=48)


@pytest.mark.parametrize(
    ('model', 'weights', 'name'),
    [
        ('r18_synth_fine', None, 'r18_synth_fine'),
        (None, 'R18_synth_fine', 'r18_synth_fine'),
        ('r18_synth', 'r18_synth_fine', 'r18_synth_fine'),
        ('r18_synth_fine', str(ROOT / 'weights/r18_synth.pth'), None),
        (None, str(ROOT / 'weights/r18_synth.pth'), None),
    ],
)
def test_the_name_is_that_of_the_weights(model, weights, name):
    """By it the index gives thresholds, which hold for these weights alone."""
    assert resolve_model(model, weights).name == name


@pytest.mark.parametrize('config', [None, 'configs/ifirvos/r18_synth_fine.py'])
def test_a_misspelt_option_is_an_error(config):
    """Of the weights' own config, and of a file."""
    weights = str(ROOT / 'weights/r18_synth_fine.pth')
    with pytest.raises(InputError, match=r"mdoel\.num_queries: the config has no 'mdoel'; is 'model' meant\?$"):
        open_model(resolve_model(config, weights), {'mdoel.num_queries': 3})
    assert open_model(resolve_model(config, weights), {'model.num_queries': 3}).config.model.num_queries == 3
