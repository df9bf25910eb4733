"""The helpers that other tests stand on."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ifirvos.datasets import RefYouTubeVOSDataset
from ifirvos.testing import SIZES, WIDTH, demo_rvos_inputs, shrink, write_demo_dataset

MODEL = Path(__file__).parents[1] / 'configs/_base_/models/ifirvos_r50.py'


def test_shrink_changes_sizes_and_nothing_else():
    whole = Config.fromfile(MODEL)
    whole.model.decoder.layer_cfg.ifi_cfg.temporal_pos = 'sine'
    whole.model.vli.fusion = 'ffn'
    before = whole.pretty_text
    small = shrink(whole)
    assert whole.pretty_text == before, 'the given config is left alone'
    model = small.model
    assert model.decoder.layer_cfg.ifi_cfg == dict(
        embed_dims=WIDTH,
        num_heads=4,
        feedforward_channels=64,
        dropout=0.1,
        temporal_pos='sine',
        box_pos=False,
        query_pos=False,
        place='before',
    )
    assert (model.vli.fusion, model.vli.text, model.num_queries) == ('ffn', 'fixed', 5)
    assert model.vli.feedforward_channels == SIZES['feedforward_channels']
    assert model.backbone.frozen_stages == 1
    assert model.text_encoder.frozen
    assert not model.text_encoder.pretrained
    assert model.bbox_head == {**whole.model.bbox_head, 'embed_dims': WIDTH, 'mask_head': model.bbox_head.mask_head}
    assert model.train_cfg == whole.model.train_cfg


def test_what_is_off_stays_off():
    cfg = Config.fromfile(MODEL)
    cfg.model.vli = None
    cfg.model.decoder.layer_cfg.ifi_cfg = None
    model = shrink(cfg).model
    assert model.vli is None
    assert model.decoder.layer_cfg.ifi_cfg is None


def test_without_dropout_the_output_is_no_matter_of_chance():
    def rates(node) -> list[float]:
        if not isinstance(node, dict | list):
            return []
        own = [value for key, value in node.items() if 'drop' in key] if isinstance(node, dict) else []
        children = node.values() if isinstance(node, dict) else node
        return own + [rate for child in children for rate in rates(child)]

    assert any(rates(shrink(MODEL).model))
    found = rates(shrink(MODEL, dropout=False).model)
    assert len(found) > 5
    assert not any(found)


def test_an_unknown_backbone_is_named():
    cfg = Config.fromfile(MODEL)
    cfg.model.backbone = dict(type='Novel')
    with pytest.raises(KeyError, match='Novel'):
        shrink(cfg)


def test_demo_inputs():
    batch = demo_rvos_inputs(2, 3, sizes=[(40, 60), (32, 64)], original_scale=2, absent=[(1, 0), (1, 2)])
    assert [tuple(clip.shape) for clip in batch['inputs']] == [(3, 3, 40, 60), (3, 3, 32, 64)]
    assert all(clip.dtype == torch.uint8 for clip in batch['inputs'])
    first, second = batch['data_samples']
    assert first.text != second.text
    assert first.video_id != second.video_id
    assert (first[0].img_shape, first[0].ori_shape) == ((40, 60), (80, 120))
    assert [len(frame.gt_instances) for frame in first] == [1, 1, 1]
    assert [len(frame.gt_instances) for frame in second] == [0, 1, 0]
    assert [frame.gt_instances.masks.masks.shape for frame in second] == [(0, 32, 64), (1, 32, 64), (0, 32, 64)]
    for t, frame in enumerate(first):
        x1, y1, x2, y2 = frame.gt_instances.bboxes[0].int().tolist()
        mask = frame.gt_instances.masks.masks[0]
        assert (x1, y1, x2, y2) == (10 * t, 10, 10 * t + 20, 30)
        assert mask[y1:y2, x1:x2].all()
        assert mask.sum() == 20 * 20


def test_demo_dataset(tmp_path):
    write_demo_dataset(tmp_path, num_clips=1, size=(48, 72))
    data = RefYouTubeVOSDataset(str(tmp_path), split='comp', pipeline=[])
    assert len(data[0]['images']) == 12
