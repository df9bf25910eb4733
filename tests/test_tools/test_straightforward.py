"""The straightforward mode of benchmark.py gives what the product gives, so that it may be its measure."""

import sys
from copy import deepcopy
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmcv.cnn import is_norm
from mmcv.cnn.bricks.transformer import FFN
from torch import nn

from ifirvos.inference.preparation import prepare_for_inference
from ifirvos.models.feed_forward import TokenwiseFFN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tool(monkeypatch):
    """``step_model`` of benchmark.py, and the straightforward mode."""
    monkeypatch.syspath_prepend(ROOT / 'tools/analysis_tools')
    import benchmark
    import straightforward

    yield benchmark.step_model, straightforward
    for name in [name for name in sys.modules if name.partition('_')[0] in ('benchmark', 'straightforward')]:
        sys.modules.pop(name, None)


def predicted(model: nn.Module, inputs: torch.Tensor, clips: list) -> list[dict]:
    """What the product predicts of each sentence, with the mask logits that it drew."""
    prepare_for_inference(model)
    drawn, draw = [], model.bbox_head._draw

    def keep(*args, **kwargs):
        drawn.append(draw(*args, **kwargs)[:, 0])
        return drawn[-1]

    with torch.inference_mode(), patch.object(model.bbox_head, '_draw', lambda *a, **k: keep(*a, **k)[:, None]):
        feats = model.extract_feat(inputs)
        for clip in clips:
            model.predict_features(feats, [clip])
    return [
        dict(
            scores=torch.cat([frame.pred_track_instances.scores for frame in clip]),
            masks=torch.cat([frame.pred_track_instances.masks for frame in clip]),
            mask_logits=logits,
        )
        for clip, logits in zip(clips, drawn, strict=True)
    ]


def check_equal(tool, config: str, frames: int, size: tuple[int, int], shrunk: bool) -> None:
    step_model, straightforward = tool
    model, data = step_model(ROOT / config, frames, size, shrunk, torch.device('cpu'))
    torch.manual_seed(1)
    for module in model.modules():  # norms that do something
        if is_norm(module) and hasattr(module, 'running_mean') and module.running_mean is not None:
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    for branch in model.bbox_head.cls_branches:
        nn.init.normal_(branch.weight, std=0.1)
    model.eval()
    (clip,) = data['data_samples']
    clips = [deepcopy(clip) for _ in range(2)]
    other = dict(text='the small green star')
    if 'text_tokens' in clip:
        other['text_tokens'] = dict(input_ids=[0, *range(200, 206), 2], attention_mask=[1] * 8)
    clips[1].set_metainfo(other)
    expected = straightforward.predict(model, data['inputs'], deepcopy(clips))
    for ours, theirs in zip(predicted(model, data['inputs'], clips), expected, strict=True):
        torch.testing.assert_close(ours['scores'].logit(), theirs['scores'].logit(), rtol=0, atol=1e-4)
        torch.testing.assert_close(ours['mask_logits'], theirs['mask_logits'], rtol=0, atol=5e-3)
        assert (ours['masks'] != theirs['masks']).float().mean() < 1e-4
    assert not torch.equal(expected[0]['scores'], expected[1]['scores'])


@pytest.mark.parametrize('config', ['configs/ifirvos/r50_ytvos.py', 'configs/referformer/r50_ytvos.py'])
def test_predictions_are_equal(tool, config):
    check_equal(tool, config, frames=3, size=(64, 96), shrunk=True)


@pytest.mark.slow
@pytest.mark.parametrize('frames', [5, 18])
def test_predictions_of_the_full_model_are_equal(tool, frames):
    check_equal(tool, 'configs/ifirvos/r50_ytvos.py', frames, size=(360, 640), shrunk=False)


@pytest.mark.parametrize('dropout', [False, True])
def test_losses_are_equal_and_nothing_stays_changed(tool, dropout):
    step_model, straightforward = tool
    config = ROOT / 'configs/ifirvos/r50_ytvos.py'
    model, data = step_model(config, 2, (64, 96), True, torch.device('cpu'), dropout=dropout)

    def losses() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        return model(**data, mode='loss')

    ours = losses()
    with straightforward.straightforward(model):
        theirs = losses()
    again = losses()
    without = model(**data, mode='loss')
    assert dropout != torch.equal(ours['loss_mask'], without['loss_mask'])
    for name, loss in ours.items():
        torch.testing.assert_close(loss, theirs[name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loss, again[name], rtol=0, atol=0)


def test_the_mode_does_what_it_is_said_to(tool):
    """mmcv's sampling, weights kept, all masks: each is called, in the mode and not outside."""
    step_model, straightforward = tool
    model, data = step_model(ROOT / 'configs/ifirvos/r50_ytvos.py', 2, (64, 96), True, torch.device('cpu'))
    model.eval()
    kept = []
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            module.register_forward_hook(lambda _, __, output: kept.append(output[1] is not None))
    name = 'multi_scale_deformable_attn_pytorch'
    with patch.object(straightforward, name, wraps=getattr(straightforward, name)) as sampled:
        found = straightforward.predict(model, data['inputs'], data['data_samples'])
        assert sampled.call_count
        with straightforward.straightforward(model):
            assert TokenwiseFFN.forward is FFN.forward  # all tokens at once
        assert TokenwiseFFN.forward is not FFN.forward
        assert kept
        assert all(kept)
        kept.clear()
        with torch.inference_mode():
            model.predict(data['inputs'], data['data_samples'])
        assert kept.count(True) == len(model.decoder.layers)  # mmcv's own attention, among N queries
    assert found[0]['masks'].shape == (2, 64, 96)
