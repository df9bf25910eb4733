"""Our options of the small model: each starts as the model without it, and does something once it has moved."""

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from torch.testing import assert_close

from ifirvos.models.ifi_decoder import InterFrameInteraction
from ifirvos.models.pixel_decoder import CrossModalFPN

NO_IFI = dict(decoder__layer_cfg__ifi_cfg=None)
IFI_GATE = dict(decoder__layer_cfg__ifi_cfg__gate=True)
TEXT_GATE = dict(vli__lewv__text_gate=True)
FINER = dict(pixel_decoder__mask_stride=2, bbox_head__mask_head__stride=2)


def with_weights_of(model: nn.Module, plain: nn.Module, new: str) -> nn.Module:
    """``model`` with the weights of ``plain``; nothing but what is ``new`` may be missing."""
    keys = model.load_state_dict(plain.state_dict(), strict=False)
    assert keys.missing_keys
    assert all(new in key for key in keys.missing_keys)
    assert not keys.unexpected_keys
    return model


def outputs(model: nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    return tiny.outputs_of(model, inputs, [tiny.clip(inputs)])


def test_gated_ifi_starts_as_the_model_without_ifi():
    plain = tiny.tiny_model(**NO_IFI)
    gated, inputs = with_weights_of(tiny.tiny_model(**IFI_GATE), plain, '.ifi.'), tiny.frames()
    before, after = outputs(plain, inputs), outputs(gated, inputs)
    assert all(torch.equal(before[name], after[name]) for name in before)
    for layer in gated.decoder.layers:
        nn.init.ones_(layer.ifi.gate)
    assert not torch.allclose(before['cls_logits'], outputs(gated, inputs)['cls_logits'], atol=1e-4)


def test_an_open_gate_is_the_papers_ifi():
    plain = tiny.tiny_model()
    gated, inputs = with_weights_of(tiny.tiny_model(**IFI_GATE), plain, '.ifi.gate'), tiny.frames()
    for layer in gated.decoder.layers:
        nn.init.ones_(layer.ifi.gate)
    before, after = outputs(plain, inputs), outputs(gated, inputs)
    for name in before:
        assert_close(after[name], before[name], rtol=1e-9, atol=1e-9)


def test_the_time_of_a_frame_is_its_place_in_the_clip():
    """So that the few frames of a training clip and the many of a video span the same encodings."""
    ifi, like = InterFrameInteraction(16, 4, 24, temporal_pos='sine'), torch.empty(())
    assert_close(ifi._time(5, like), ifi.time_encoding.encode(torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])))
    assert_close(ifi._time(3, like)[1], ifi._time(9, like)[4])


@pytest.mark.parametrize('overrides', [IFI_GATE, TEXT_GATE, FINER], ids=['ifi', 'text', 'finer'])
def test_what_starts_at_zero_learns_from_the_first_step(overrides):
    model, inputs = tiny.tiny_model(**overrides).float(), tiny.frames().float()
    losses = model(inputs, [tiny.clip(inputs, present=[True] * 3)], mode='loss')
    sum(losses.values()).backward()
    new = [p for name, p in model.named_parameters() if name.endswith('gate') or 'finer.weight' in name]
    assert new
    assert all(p.detach().abs().max() == 0 and p.grad.abs().max() > 0 for p in new)


def test_the_gated_text_starts_as_lewv_alone_and_then_adds_what_the_words_say():
    plain = tiny.tiny_model()
    gated, inputs = with_weights_of(tiny.tiny_model(**TEXT_GATE), plain, 'text_gate'), tiny.frames()
    before = outputs(plain, inputs)
    assert all(torch.equal(before[name], value) for name, value in outputs(gated, inputs).items())
    lewv = gated.vli.lewv
    words = torch.randn(2, 5, tiny.C, dtype=torch.float64)
    level = torch.randn(2, 12, tiny.C, dtype=torch.float64)
    texts, sentence = lewv(words, [level], [level * 0], [None])
    nn.init.constant_(lewv.text_gate, 0.5)
    _, opened = lewv(words, [level], [level * 0], [None])
    assert_close(opened - sentence, 0.5 * lewv.pool(words[:, 0]).tanh())


def test_finer_masks_start_as_the_coarse_features_enlarged():
    plain = tiny.tiny_model()
    finer, inputs = with_weights_of(tiny.tiny_model(**FINER), plain, 'finer'), tiny.frames()
    with torch.no_grad():
        clips = [tiny.clip(inputs)]
        coarse = plain.forward_transformer(plain.extract_feat(inputs), clips)['mask_features']
        fine = finer.forward_transformer(finer.extract_feat(inputs), clips)['mask_features']
    assert fine.shape == (3, tiny.C, 32, 48)
    assert coarse.shape == (3, tiny.C, 16, 24)
    assert_close(fine, nn.functional.interpolate(coarse, scale_factor=2, mode='bilinear', align_corners=False))


def test_each_quarter_of_a_pixel_gets_channels_of_its_own():
    fpn = CrossModalFPN([8, 8], embed_dims=8, num_heads=2, feedforward_channels=8, mask_stride=2, reductions=(2, 1))
    fpn.init_weights()
    out = torch.randn(1, 8, 3, 4)
    nn.init.normal_(fpn.finer.weight)
    added = fpn.draw(out) - nn.functional.interpolate(fpn.mask_features(out), scale_factor=2, mode='bilinear')
    expected = fpn.finer(out).view(8, 4, 3, 4)
    for part, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert_close(added[0, :, row::2, column::2], expected[:, part])


def test_finer_masks_keep_their_place():
    """A loss target and a prediction of the same rectangle lie on one another at stride 2 as at stride 4."""
    model, inputs = tiny.tiny_model(**FINER), tiny.frames()
    assert outputs(model, inputs)['mask_logits'].shape[-2:] == (32, 48)
    (clip,) = model.predict(inputs.float().double(), [tiny.clip(inputs, original_size=(64, 96))])
    assert clip[0].pred_track_instances.masks.shape == (1, 64, 96)


def test_an_unknown_stride_is_refused():
    with pytest.raises(ValueError, match='4 or 2'):
        CrossModalFPN([8], mask_stride=1)


def test_clips_without_the_object_enter_the_mask_losses_only_if_asked():
    inputs = tiny.frames(2).float()
    clips = [tiny.clip(inputs, present=[True] * 3), tiny.clip(inputs, present=[False] * 3)]
    torch.manual_seed(0)
    asked = tiny.tiny_model().float()
    silent = tiny.tiny_model(bbox_head__mask_loss_on_absent=False).float()
    silent.load_state_dict(asked.state_dict())
    with torch.no_grad():
        both, one = (model(inputs, clips, mode='loss') for model in (asked, silent))
        alone = silent(inputs[:1], clips[:1], mode='loss')
    for name in ('loss_mask', 'loss_dice', 'd0.loss_mask', 'd0.loss_dice'):
        assert one[name] < both[name]
    for name in ('loss_mask', 'loss_dice'):  # divided by the frames with the object: the same three in both batches
        assert_close(one[name], alone[name], rtol=1e-4, atol=1e-5)
    assert one['loss_cls'] == both['loss_cls']
    assert np.isfinite(float(sum(one.values())))
