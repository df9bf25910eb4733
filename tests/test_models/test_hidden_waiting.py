"""Nothing in a step asks a GPU for a number and waits: whole cores run on tensors without values.

A tensor on PyTorch's meta device has a shape and a type alone, so whatever needs a value raises. Giving a GPU a number
by ``torch.tensor`` or ``new_tensor`` waits too: they raise here.
"""

import pytest
import torch

from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink

CONFIGS = ['ifirvos/r50_ytvos.py', 'referformer/r50_ytvos.py', 'ifirvos/r18_synth.py']


def as_of_the_cpu(function):
    """The same function, with the CPU in place of the meta device."""

    def call(*args, **kwargs):
        args = ['cpu' if value == 'meta' else value for value in args]
        return function(*args, **{key: 'cpu' if value == 'meta' else value for key, value in kwargs.items()})

    return call


def without_copies_to_meta(function):
    """The same function, which raises where its result would be on the meta device."""

    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        given = args[1:] if function.__name__ == 'new_tensor' else args
        there = any(isinstance(value, torch.Tensor) for value in given)
        assert there or result.device.type != 'meta', f'{function.__name__} waits for a GPU'
        return result

    return call


@pytest.fixture(params=CONFIGS)
def without_values(request, monkeypatch):
    """A tiny model and a clip on the meta device, which knows no autocast."""
    for name in ('autocast', 'get_autocast_dtype', 'is_autocast_enabled'):
        monkeypatch.setattr(torch, name, as_of_the_cpu(getattr(torch, name)))
    for owner, name in ((torch, 'tensor'), (torch, 'as_tensor'), (torch.Tensor, 'new_tensor')):
        monkeypatch.setattr(owner, name, without_copies_to_meta(getattr(owner, name)))
    model = MODELS.build(shrink(f'configs/{request.param}').model)
    if not model.text_encoder.leaves_masks_unread:
        pytest.skip('transformers 4 reads every mask')
    model.train()
    raw = demo_rvos_inputs(num_clips=2, num_frames=3, sizes=[(64, 96), (48, 64)])
    data = model.data_preprocessor(raw, True)
    model.to('meta')
    return model, data['inputs'].to('meta'), [clip.to('meta') for clip in data['data_samples']]


def test_training(without_values):
    model, inputs, clips = without_values
    losses = model(inputs, clips, mode='loss')
    total = sum(losses.values())
    assert total.device.type == 'meta'
    total.backward()
    assert model.bbox_head.controller.layers[0].weight.grad.device.type == 'meta'
    with pytest.raises(Exception, match='item|data'):  # what the test is about does raise
        total.item()


def test_all_outputs(without_values):
    model, inputs, clips = without_values
    model.eval()
    with torch.no_grad():
        outputs = model(inputs, clips, mode='tensor')
    assert {value.device.type for value in outputs.values()} == {'meta'}


def test_prediction(without_values):
    """Up to the masks of the query that was chosen; then its number is written into the sample."""
    model, inputs, clips = without_values
    model.eval()
    with torch.no_grad():
        outputs = model.forward_transformer(model.extract_feat(inputs), clips, lazily=True)
        found = model.bbox_head.choose_and_draw(**outputs, clips=clips)
    assert found['masks'].device.type == 'meta'
    assert found['queries'].shape == (len(clips),)
