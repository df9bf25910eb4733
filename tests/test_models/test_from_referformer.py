"""IFIRVOS from ReferFormer's weights: behind gates that start at zero, its first forward is ReferFormer's."""

import re

import pytest
import tiny
import torch

REFERFORMER = dict(vli__lewv=None, decoder__layer_cfg__ifi_cfg=None)
CLIPS = ['the red circle', 'the small blue star that moves']


def outputs(model, inputs):
    model.eval()
    with torch.no_grad():
        return model(inputs, [tiny.clip(inputs, text) for text in CLIPS], mode='tensor')


@pytest.fixture
def both():
    torch.manual_seed(0)
    referformer = tiny.tiny_model(**REFERFORMER)
    model = tiny.tiny_model(vli__lewv__gate=True, decoder__layer_cfg__ifi_cfg__gate=True)
    return referformer, model


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
