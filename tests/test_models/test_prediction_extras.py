"""Annotated frames, and what ``test_cfg`` adds: soft masks for Ref-DAVIS17, all queries for A2D-Sentences."""

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ifirvos.clip_score import clip_score


def predicted(key_frames: list[int] | None = None, size: tuple[int, int] | None = None, **test_cfg):
    torch.manual_seed(0)
    model = tiny.tiny_model()
    model.test_cfg = model.bbox_head.test_cfg = test_cfg
    inputs = tiny.frames()
    sample = tiny.clip(inputs, original_size=(50, 70), size=size)
    if key_frames is not None:
        sample.set_metainfo(dict(key_frames_inds=key_frames))
    outputs = tiny.outputs_of(model, inputs, [sample])
    with torch.no_grad():
        return model(inputs, [sample], mode='predict')[0], outputs


def chosen(sample) -> list:
    """The prediction of every frame that has one."""
    return [frame.pred_track_instances for frame in sample if 'pred_track_instances' in frame]


def test_nothing_is_added_unless_asked_for():
    sample, _ = predicted()
    assert 'mask_probs' not in sample[0].pred_track_instances
    assert 'pred_candidates' not in sample[0]


def test_soft_masks_are_what_the_masks_were_cut_from():
    sample, _ = predicted(mask_probs=True)
    for frame in sample:
        instance = frame.pred_track_instances
        assert instance.mask_probs.shape == (1, 50, 70)
        assert instance.mask_probs.min() > 0
        assert torch.equal(instance.mask_probs > 0.5, instance.masks)


def test_candidates_are_all_queries_of_the_key_frames_only():
    sample, outputs = predicted(key_frames=[1], size=(60, 80), candidates=True)
    assert ['pred_candidates' in frame for frame in sample] == [False, True, False]
    found = sample[1].pred_candidates
    logits = outputs['mask_logits'][-1, 0, 1]
    enlarged = F.interpolate(logits[None].float(), scale_factor=4, mode='bilinear')[0, :, :60, :80] > 0
    rows = (torch.arange(50) * 60 / 50).long()
    columns = (torch.arange(70) * 80 / 70).long()
    assert torch.equal(found.masks, enlarged[:, rows][:, :, columns])
    assert_close(found.scores, outputs['cls_logits'][-1, 0, 1, :, 0].sigmoid().float())
    cx, cy, w, h = outputs['boxes'][-1, 0, 1].unbind(-1)
    corners = torch.stack([(cx - w / 2) * 70, (cy - h / 2) * 50, (cx + w / 2) * 70, (cy + h / 2) * 50], -1)
    assert_close(found.bboxes, corners, check_dtype=False, rtol=1e-5, atol=1e-4)


def test_smooth_candidates_are_drawn_like_the_chosen_query():
    sample, _ = predicted(key_frames=[1], size=(60, 80), candidates='smooth')
    candidates, chosen = sample[1].pred_candidates, sample[1].pred_track_instances
    assert torch.equal(candidates.masks[sample.query_index], chosen.masks[0])
    assert_close(candidates.bboxes[sample.query_index], chosen.bboxes[0], check_dtype=False, rtol=1e-5, atol=1e-4)
    nearest = predicted(key_frames=[1], size=(60, 80), candidates=True)[0][1].pred_candidates
    assert not torch.equal(candidates.masks, nearest.masks)


@pytest.mark.parametrize('options', [{}, dict(window=2), dict(key_frames=[1])])
def test_a_clip_below_its_threshold_has_empty_masks_and_boxes(options):
    """As a whole, also where windows are predicted one by one, and where one frame alone is."""
    plain = chosen(predicted(**options)[0])
    score = clip_score([float(frame.scores) for frame in plain])
    kept = chosen(predicted(**options, clip_score_threshold=score)[0])
    refused = chosen(predicted(**options, clip_score_threshold=score + 1e-6, mask_probs=True)[0])
    assert len(plain) == len(kept) == len(refused) == (1 if 'key_frames' in options else 3)
    assert sum(int(frame.masks.sum()) for frame in plain) > 0
    for before, same, empty in zip(plain, kept, refused, strict=True):
        assert torch.equal(before.masks, same.masks)
        assert torch.equal(before.bboxes, same.bboxes)
        assert torch.equal(before.scores, empty.scores)
        assert not empty.masks.any()
        assert not empty.mask_probs.any()
        assert not empty.bboxes.any()


def test_without_key_frames_every_frame_has_candidates():
    sample, _ = predicted(candidates=True)
    assert all(len(frame.pred_candidates) == tiny.QUERIES for frame in sample)


def test_the_annotated_frame_alone_picks_the_query_and_is_predicted():
    sample, outputs = predicted(key_frames=[2])
    assert ['pred_track_instances' in frame for frame in sample] == [False, False, True]
    assert sample.query_index == int(outputs['cls_logits'][-1, 0, 2, :, 0].argmax())


def test_the_loss_looks_at_the_annotated_frame_alone():
    """The other frames have no annotation: they must not be taken for frames without the object."""
    torch.manual_seed(0)
    model, inputs = tiny.tiny_model().float(), tiny.frames().float()
    losses = []
    for present in ([False, True, False], [True, True, True]):
        sample = tiny.clip(inputs, present=present)
        sample.set_metainfo(dict(key_frames_inds=[1]))
        losses.append(model(inputs, [sample], mode='loss'))
    for name, loss in losses[0].items():
        assert_close(loss, losses[1][name])
    everywhere = model(inputs, [tiny.clip(inputs, present=[True] * 3)], mode='loss')
    assert abs(everywhere['loss_mask'] - losses[0]['loss_mask']) > 1e-6
