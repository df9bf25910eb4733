"""IFIRVOS from ReferFormer's weights: behind gates that start at zero, its first forward is ReferFormer's."""

import re
from pathlib import Path

import pytest
import tiny
import torch
from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / 'configs'

REFERFORMER = dict(vli__lewv=None, decoder__layer_cfg__ifi_cfg=None)
CLIPS = ['the red circle', 'the small blue star that moves']


def outputs(model, inputs):
    model.eval()
    with torch.no_grad():
        return model(inputs, [tiny.clip(inputs, text) for text in CLIPS], mode='tensor')


@pytest.fixture
def both():
    torch.manual_seed(0)
    padding = dict(positional_encoding__padding_encoding='reference')
    referformer = tiny.tiny_model(**REFERFORMER, **padding)
    model = tiny.tiny_model(vli__lewv__gate=True, decoder__layer_cfg__ifi_cfg__gate=True, **padding)
    return referformer, model


@pytest.mark.parametrize('name', ['r50_ytvos_from_referformer', 'video_swin_t_ytvos_from_referformer'])
def test_the_configs_encode_positions_as_referformer_does(name):
    """Elsewhere padding has no positions; training pads most clips, and the first forward would be another."""
    ours, theirs = (
        Config.fromfile(CONFIGS / path).model.positional_encoding
        for path in (f'ifirvos/{name}.py', 'referformer/r50_ytvos.py')
    )
    assert ours == theirs


def test_the_first_forward_is_that_of_referformer(both):
    referformer, model = both
    missing, unexpected = model.load_state_dict(referformer.state_dict(), strict=False)
    assert not unexpected
    allowed = [r'vli[.]lewv[.]', r'decoder[.]layers[.]\d+[.]ifi[.]']  # the hand-over list of the configs
    assert missing
    assert all(any(re.match(pattern, key) for pattern in allowed) for key in missing)
    inputs = tiny.frames(2, 3)
    expected, found = outputs(referformer, inputs), outputs(model, inputs)
    for name in ('cls_logits', 'boxes', 'mask_logits', 'reference_points'):
        assert torch.equal(found[name], expected[name]), name


def test_open_gates_change_it(both):
    _, model = both
    inputs = tiny.frames(2, 3)
    closed = outputs(model, inputs)['cls_logits']
    for gate in (model.vli.lewv.gate, model.decoder.layers[0].ifi.gate):
        with torch.no_grad():
            gate.fill_(0.5)
        assert (outputs(model, inputs)['cls_logits'] - closed).abs().max() > 1e-4
        with torch.no_grad():
            gate.zero_()


def test_the_gates_learn(both):
    _, model = both
    inputs = tiny.frames(2, 3)
    model(inputs, [tiny.clip(inputs, text) for text in CLIPS], mode='tensor')['cls_logits'].square().sum().backward()
    assert model.vli.lewv.gate.grad.abs().max() > 0
    assert all(layer.ifi.gate.grad.abs().max() > 0 for layer in model.decoder.layers)
