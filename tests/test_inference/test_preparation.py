"""A model made ready for prediction gives the same, and says what it cannot be used for."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from ifirvos.inference.preparation import prepare_for_inference
from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink

CONFIG = Path(__file__).parents[2] / 'configs/ifirvos/r50_ytvos.py'


@pytest.fixture
def model() -> nn.Module:
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(shrink(Config.fromfile(CONFIG)).model)
    for module in model.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    model.eval()
    return model


@torch.no_grad()
def test_outputs_are_the_same_but_for_rounding(model):
    data = model.data_preprocessor(demo_rvos_inputs(num_clips=1, num_frames=2), False)
    before = model(**data, mode='tensor')
    prepared = prepare_for_inference(model)
    assert prepared is model
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.backbone.modules())
    after = model(**data, mode='tensor')
    for name in ('cls_logits', 'boxes', 'mask_logits'):
        torch.testing.assert_close(after[name], before[name], rtol=1e-4, atol=1e-4)


def test_autocast_converts_frozen_weights_once(model):
    model.text_encoder.requires_grad_(False)
    prepare_for_inference(model)
    linear = next(module for module in model.text_encoder.modules() if isinstance(module, nn.Linear))
    x = torch.randn(2, linear.in_features)

    def conversions(times: int) -> int:
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16), torch.profiler.profile() as profile:
            for _ in range(times):
                linear(x)
        return sum(event.count for event in profile.key_averages() if event.key == 'aten::_to_copy')

    assert conversions(3) - conversions(1) == 2, 'x alone'


def test_a_model_in_training_is_refused(model):
    model.train()
    with pytest.raises(ValueError, match='evaluation mode'):
        prepare_for_inference(model)
