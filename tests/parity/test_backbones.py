"""All backbones of the official zoo: names and shapes, the official numbers, and independent ones."""

from functools import partial

import backbones
import official
import pytest
import torch


@pytest.mark.parametrize('backbone', official.BACKBONES)
def test_official_names_and_shapes_load_strictly(backbone, monkeypatch):
    """With tensors that take no memory; the model's own are on no device."""
    monkeypatch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))  # mmdet's Swin reads its values
    source = {name: torch.zeros(()).expand(shape) for name, shape, _ in official.keys_of(backbone)}
    converted, report = official.converter.convert(dict(model=source))
    assert report.keys() == source.keys()
    with torch.device('meta'):
        model = official.build(2, backbone)
    model.load_state_dict(converted, strict=True, assign=True)
    assert not [name for name, parameter in model.named_parameters() if parameter.is_meta]


@pytest.mark.slow
@pytest.mark.parametrize('backbone', ['swin_t', 'video_swin_t'])
def test_outputs_equal_the_official_ones(backbone):
    found = backbones.differences_to_official(official.load(2, backbone), backbone)
    tolerances = dict(pred_logits=1e-4, pred_boxes=2e-5, pred_masks=5e-3, reference_points=2e-5)
    assert {name: found[name] <= atol for name, atol in tolerances.items()} == dict.fromkeys(tolerances, True)


@pytest.mark.slow
@pytest.mark.parametrize('backbone', official.BACKBONES)
def test_maps_equal_recomputed_ones(backbone):
    assert backbones.difference_to_recomputed(official.load(2, backbone), backbone) < 1e-5
