"""docs/extending.md: its classes in its configs, built, trained for a step and used, as in somebody else's project."""

import re
import sys
from pathlib import Path

import pytest
import tiny
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from ifirvos.errors import InputError
from ifirvos.testing import shrink
from ifirvos.training.ablation.plan import plan

PAGE = Path(__file__).parents[2] / 'docs/extending.md'
BLOCKS = dict(re.findall(r'```python\n# (\S+\.py)\n(.*?)```', PAGE.read_text(), re.DOTALL))
# Config of the page -> how its own module is found in the model.
PARTS = {
    'gru.py': lambda model: model.decoder.layers[0].ifi,
    'text.py': lambda model: model.text_encoder,
    'neck.py': lambda model: model.vli,
    'pixel_decoder.py': lambda model: model.pixel_decoder,
}


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """The page's files in a folder that is on the path."""
    folder = tmp_path_factory.mktemp('project')
    for name, text in BLOCKS.items():
        (folder / name).write_text(text)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def build(config: Path, **changes) -> nn.Module:
    cfg = shrink(config)
    cfg.merge_from_dict({'model.' + key.replace('__', '.'): value for key, value in changes.items()})
    model = MODELS.build(cfg.model)
    model.init_weights()
    tiny.randomise(model.bbox_head)
    return model


def step(model: nn.Module) -> dict[str, torch.Tensor]:
    """A step on two clips of three frames."""
    inputs = tiny.frames(2).float()
    clips = [tiny.clip(inputs, text, present=[True] * 3) for text in ('the red circle', 'a green star at the left')]
    losses = model(inputs, clips, mode='loss')
    sum(losses.values()).backward()
    return losses


@pytest.mark.parametrize('config', PARTS)
def test_a_part_is_replaced_by_a_config(project, config):
    torch.manual_seed(0)
    model = build(project / config)
    part = PARTS[config](model)
    assert type(part).__name__ in BLOCKS[config]
    assert all(torch.isfinite(loss) for loss in step(model.train()).values())
    without = [name for name, parameter in part.named_parameters() if parameter.grad is None]
    assert not without
    inputs = tiny.frames(1).float()
    (clip,) = model.eval()(inputs, [tiny.clip(inputs)], mode='predict')
    assert clip[0].pred_track_instances.masks.shape == (1, 64, 96)


def test_what_the_page_inherits_is_the_shipped_config(project):
    """All but the one part, and the scope, which says where a dict came from."""
    ours = Config.fromfile(PAGE.parents[1] / 'configs/ifirvos/r50_ytvos.py')
    theirs = Config.fromfile(project / 'last_layer.py')
    assert theirs.model.decoder.pop('ifi_layers') == [-1]

    def without_scopes(node):
        if isinstance(node, dict):
            return {key: without_scopes(value) for key, value in node.items() if key != '_scope_'}
        return [without_scopes(value) for value in node] if isinstance(node, list | tuple) else node

    assert without_scopes(theirs.to_dict()) == without_scopes(ours.to_dict())


def test_the_gru_knows_the_order_of_the_frames(project):
    torch.manual_seed(0)
    model = build(project / 'gru.py').eval()
    inputs = tiny.frames(1).float()
    clips = [tiny.clip(inputs)]
    forward, backward = tiny.queries_of(model, inputs, clips), tiny.queries_of(model, inputs.flip(1), clips)
    assert not torch.allclose(forward, backward.flip(1), atol=1e-4)


def test_a_temporal_module_that_changes_the_shape_is_named(project):
    model = build(project / 'gru.py').eval()
    for layer in model.decoder.layers:
        layer.ifi.register_forward_hook(lambda module, args, found: found[:1])
    inputs = tiny.frames(1).float()
    with pytest.raises(InputError, match=r'GRUOverTime \(decoder\.layer_cfg\.ifi_cfg\) returns \(1, \d+, \d+\)'):
        model(inputs, [tiny.clip(inputs)], mode='tensor')


def test_the_gru_is_a_row_of_an_ablation(project):
    configs = PAGE.parents[1] / 'configs/ifirvos'
    (run,) = plan([project / 'gru_small.py'], [configs / 'r18_synth_joint.py'], [42], project)
    assert run.stages[0].model.decoder.layer_cfg.ifi_cfg.type == 'GRUOverTime'
    model = MODELS.build(run.stages[0].model)
    assert all(layer.ifi.gru.hidden_size == 64 for layer in model.decoder.layers)


@MODELS.register_module()
class ZeroStart(BaseModule):
    """A temporal module that mmengine initialises."""

    def __init__(self, embed_dims=32, **kwargs):
        super().__init__(init_cfg=dict(type='Constant', layer='Linear', val=0.0))
        self.fc = nn.Linear(embed_dims, embed_dims)

    def forward(self, query, **kwargs):
        return query + self.fc(query)


def test_mmengines_initialisation_of_a_temporal_module_lasts(project):
    """mmdet's Xavier comes in between, and mmengine initialises a module once."""
    model = build(project / 'gru.py', decoder__layer_cfg__ifi_cfg=dict(_delete_=True, type='ZeroStart'))
    assert all(not layer.ifi.fc.weight.any() for layer in model.decoder.layers)


@MODELS.register_module()
class WordNeck(nn.Module):
    """A neck that returns words of its own."""

    def __init__(self, embed_dims=32):
        super().__init__()
        self.fc = nn.Linear(embed_dims, embed_dims)

    def forward(self, levels, text, *args, **kwargs):
        return levels, None, [text.words, self.fc(text.words)]


def test_a_neck_of_ones_own_may_give_the_words(project):
    cfg = shrink(project / 'neck.py').model
    model = MODELS.build({**cfg, 'vli': dict(type='WordNeck'), 'fpn_text': 'lewv'})
    assert (type(model.vli), model.fpn_text) == (WordNeck, 'lewv')


def test_ifi_in_the_last_layer_alone(project):
    model = build(project / 'last_layer.py')
    assert [layer.ifi is not None for layer in model.decoder.layers] == [False, True]
    with pytest.raises(ValueError, match='there is no layer 2, but 2 layers'):
        build(project / 'last_layer.py', decoder__ifi_layers=[2])


def test_an_encoder_is_told_of_the_pooler_only_if_it_asks(project):
    assert build(project / 'last_layer.py').text_encoder.model.pooler is None
    assert build(project / 'last_layer.py', vli__lewv=None).text_encoder.model.pooler is not None
    assert build(project / 'neck.py').text_encoder.model.pooler is None, 'FiLM makes the sentence'
    assert type(build(project / 'text.py', vli__lewv=None).text_encoder).__name__ == 'WordVectors'


def test_queries_without_a_sentence_say_so(project):
    model = build(project / 'last_layer.py', vli=None, text_encoder__with_pooler=False)
    inputs = tiny.frames(1).float()
    with pytest.raises(ValueError, match='Nothing gives the queries a sentence'):
        model(inputs, [tiny.clip(inputs)], mode='tensor')
