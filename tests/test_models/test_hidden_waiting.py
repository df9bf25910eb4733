"""Nothing in a step asks a GPU for a number and waits: whole cores run on tensors that only say they are on one.

A fake tensor has no values, so whatever needs one raises. Sentences are encoded beforehand: transformers looks into
its attention masks, once a step.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink

CONFIGS = ['ifirvos/r50_ytvos.py', 'referformer/r50_ytvos.py', 'ifirvos/r18_synth.py']


@pytest.fixture(params=CONFIGS)
def on_fake_gpu(request):
    """A tiny model and a clip whose tensors are fake and on ``cuda``."""
    model = MODELS.build(shrink(f'configs/{request.param}').model)
    model.train()
    raw = demo_rvos_inputs(num_clips=2, num_frames=3, sizes=[(64, 96), (48, 64)])
    data = model.data_preprocessor(raw, True)
    with torch.no_grad():
        text = model.encode_text(data['data_samples'])
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    with fake:
        model.to('cuda')
        inputs = data['inputs'].to('cuda')
        text = {key: None if value is None else value.to('cuda') for key, value in text.items()}
        model.encode_text = lambda clips: text
        yield model, inputs, data['data_samples']
    torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def test_training(on_fake_gpu):
    model, inputs, clips = on_fake_gpu
    losses = model(inputs, clips, mode='loss')
    total = sum(losses.values())
    assert total.device.type == 'cuda'
    total.backward()
    assert model.bbox_head.controller.layers[0].weight.grad.device.type == 'cuda'
    with pytest.raises(Exception, match='item|data'):  # what the test is about does raise
        total.item()


def test_all_outputs(on_fake_gpu):
    model, inputs, clips = on_fake_gpu
    model.eval()
    with torch.no_grad():
        outputs = model(inputs, clips, mode='tensor')
    assert {value.device.type for value in outputs.values()} == {'cuda'}


def test_prediction(on_fake_gpu):
    """Up to the masks of the query that was chosen; then its number is written into the sample."""
    model, inputs, clips = on_fake_gpu
    model.eval()
    with torch.no_grad():
        outputs = model.forward_transformer(model.extract_feat(inputs), clips, lazily=True)
        found = model.bbox_head.choose_and_draw(**outputs, clips=clips)
    assert found['masks'].device.type == 'cuda'
    assert found['queries'].shape == (len(clips),)
