"""Official ReferFormer checkpoints: recognised, read as plain data, converted whole or refused in a sentence."""

import argparse
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent / 'parity'))
import official
import official_files

from ifirvos.checkpoint import NO_KNOWLEDGE, load_checkpoint, load_strictly, with_own_buffers
from ifirvos.errors import CheckpointError
from ifirvos.inference.loading import describe_weights, official_config
from ifirvos.referformer_weights import (
    ConversionError,
    Origin,
    backbone_of,
    config_of,
    convert_checkpoint,
    is_official,
)


def shapes(backbone: str) -> dict[str, torch.Tensor]:
    """Names and shapes of an official state dict, without memory."""
    return {name: torch.empty(shape, device='meta') for name, shape, _ in official.keys_of(backbone)}


@pytest.fixture(scope='module')
def state() -> dict[str, torch.Tensor]:
    return official.state_dict(text_layers=2)


@pytest.mark.parametrize('backbone', official.BACKBONES)
def test_the_tensors_tell_the_backbone(backbone):
    names = shapes(backbone)
    assert is_official(dict(model=names))
    assert is_official({f'module.{name}': tensor for name, tensor in names.items()})
    assert backbone_of(names) == backbone


def test_ours_and_others_are_not_official():
    assert not is_official(
        dict(state_dict={'level_embed': torch.ones(4, 2), 'query_embedding.weight': torch.ones(5, 2)})
    )
    assert not is_official(dict(model=dict(weight=torch.ones(1))))
    assert not is_official(dict(model=3))


@pytest.mark.parametrize(
    ('backbone', 'args', 'config'),
    [
        ('r50', {}, 'r50_ytvos'),
        ('r50', dict(backbone='resnet50', dataset_file='joint'), 'r50_ytvos_joint'),
        ('video_swin_t', dict(dataset_file='a2d'), 'video_swin_t_a2d'),
        ('swin_l', dict(backbone='swin_l_p4w7', dataset_file='all'), 'swin_l_refcoco_pretrain'),
        ('r101', dict(dataset_file='a2d'), 'r101_ytvos'),  # there is no r101_a2d.py; the model is the same
    ],
)
def test_arguments_and_tensors_decide_which_config_fits(backbone, args, config):
    assert official_config(Origin(args, backbone, ''), 'f.pth').name == f'{config}.py'


@pytest.mark.parametrize(
    ('backbone', 'args', 'says', 'candidates'),
    [
        (None, dict(backbone='vit_b'), "its backbone 'vit_b' is none of the official", ['r50_ytvos', 'swin_l_ytvos']),
        ('r50', dict(backbone='resnet101'), 'its tensors are those of r50', ['r50_ytvos', 'r101_ytvos']),
        ('r50', dict(dataset_file='mevis'), "dataset_file='mevis', which is not known", ['r50_a2d', 'r50_ytvos_joint']),
    ],
)
def test_what_is_not_clear_lists_candidates_and_the_option(backbone, args, says, candidates):
    with pytest.raises(CheckpointError) as caught:
        config_of(Origin(args, backbone, ''), 'f.pth')
    assert says in str(caught.value)
    assert '--config FILE' in str(caught.value)
    assert all(f'configs/referformer/{name}.py' in str(caught.value) for name in candidates)


@pytest.mark.parametrize('ddp', [False, True])
def test_a_training_checkpoint_with_its_arguments_loads_strictly(state, ddp, tmp_path):
    torch.save(official_files.checkpoint(state, ddp), tmp_path / 'official.pth')
    checkpoint = load_checkpoint(tmp_path / 'official.pth')
    assert checkpoint.keys() == {'state_dict', 'meta', 'origin'}  # no optimizer
    assert checkpoint['origin'].args['dataset_file'] == 'ytvos'
    assert 'ReferFormer' in checkpoint['origin'].summary
    assert '\n' not in checkpoint['origin'].summary
    model = official.build(2)
    assert any(key.endswith('num_batches_tracked') for key in model.state_dict())  # which the official file has not
    load_strictly(model, checkpoint, 'official.pth', 'the model')
    assert torch.equal(model.query_embedding.weight, state['query_embed.weight'])
    if ddp:
        assert 'config: configs/referformer/r50_ytvos.py' in describe_weights(tmp_path / 'official.pth')


def test_a_model_without_box_refinement_is_another(state):
    """Its names and shapes are the same, but for aliases."""
    with pytest.raises(ConversionError, match='without --with_box_refine'):
        convert_checkpoint(dict(model=state, args=argparse.Namespace(with_box_refine=False)), 'old.pth')
    convert_checkpoint(dict(model=state, args=argparse.Namespace(with_box_refine=True)), 'new.pth')


def test_what_is_left_over_is_an_error_that_names_it(state, tmp_path):
    torch.save(official_files.checkpoint({**state, 'backbone.1.surprise': torch.ones(1)}), tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=r'odd\.pth has names of a ReferFormer.*backbone\.1\.surprise'):
        load_checkpoint(tmp_path / 'odd.pth')
    del state['query_embed.weight']
    torch.save(official_files.checkpoint(state), tmp_path / 'less.pth')
    fits = r'1 missing \(query_embedding\.weight\).* it is for the configs configs/referformer/r50_\*\.py'
    with pytest.raises(CheckpointError, match=fits):
        load_strictly(official.build(2), load_checkpoint(tmp_path / 'less.pth'), 'less.pth', 'the model')


class Evil:
    def __reduce__(self):
        return os.mkdir, ('made',)


def test_arguments_that_would_run_code_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(model={}, args=argparse.Namespace(backbone=Evil())), 'evil.pth')
    with pytest.raises(CheckpointError, match='it holds more than tensors and plain data'):
        load_checkpoint('evil.pth')
    assert not Path('made').exists()


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n', "Git LFS's pointer"),
        (b'\n<!DOCTYPE html><title>Quota</title>', 'a web page'),
    ],
)
def test_what_is_downloaded_in_place_of_weights_is_named(content, says, tmp_path):
    (tmp_path / 'w.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        load_checkpoint(tmp_path / 'w.pth')


class TestBuffersWithoutKnowledge:
    """One list of what may be absent or extra."""

    def test_the_list(self):
        yes = ['bn.num_batches_tracked', 'position_ids', 'a.b.relative_position_index', 'e.token_type_ids']
        no = ['bn.running_mean', 'relative_position_bias_table', 'position_ids.weight', 'xposition_ids']
        assert all(NO_KNOWLEDGE.fullmatch(key) for key in yes)
        assert not any(NO_KNOWLEDGE.fullmatch(key) for key in no)

    def test_absent_extra_and_other_shapes(self):
        model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
        given = {key: value + 1 for key, value in model.state_dict().items()}
        assert with_own_buffers(given, model.state_dict())['0.num_batches_tracked'] == 1  # it counts on
        del given['0.num_batches_tracked']
        given['1.position_ids'] = torch.arange(3)
        load_strictly(model, dict(state_dict=given), 'w', 'c')
        assert model[0].num_batches_tracked == 0
        assert torch.equal(model[1].weight, given['1.weight'])

    def test_everything_else_stays_strict(self):
        model = nn.BatchNorm1d(2)
        given = model.state_dict()
        del given['running_mean']
        with pytest.raises(CheckpointError, match=r'1 missing \(running_mean\)'):
            load_strictly(model, dict(state_dict=given), 'w', 'c')
