"""Chance levels and ceilings, against numbers that can be worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from ifirvos.synth import make_clip
from ifirvos.synth.statistics import chance_levels, clip_jaccard, mask_ceiling, mask_ceilings, mean_by_kind


def test_jaccard_counts_two_empty_frames_as_right():
    gt, pred = np.zeros((4, 2, 2), bool), np.zeros((4, 2, 2), bool)
    gt[0, 0], pred[0, :, 0] = True, True  # 1 of 3
    gt[1], pred[2] = True, True  # 0 and 0; the last frame is empty in both
    assert clip_jaccard(gt, pred) == pytest.approx((1 / 3 + 0 + 0 + 1) / 4)


@pytest.mark.parametrize('index', range(5))
def test_chance_is_what_guessing_scores_on_the_masks(index):
    clip = make_clip(0, 'train', index)
    masks = [clip.facts.labels == number + 1 for number in range(len(clip.facts.scene.objects))]
    for expression, level in zip(clip.expressions, chance_levels(clip)):
        scores = np.array([clip_jaccard(masks[expression.object_id - 1], mask) for mask in masks])
        assert level['kind'] == expression.kind
        assert level['J_object'] == pytest.approx(scores.mean())
        if 'S_pair' in level:
            assert level['J_pair'] == pytest.approx(scores[:2].mean())
            assert level['S_pair'] == 0.5
            assert level['S_first'] == (expression.object_id == 1)


def test_chance_counts_frames_without_both_objects_as_right():
    labels = np.zeros((4, 8, 8), np.uint8)
    labels[0, :2], labels[1, 4:] = 1, 2  # one frame each, two frames of nothing
    facts = SimpleNamespace(labels=labels, scene=SimpleNamespace(objects=(None, None)))
    clip = SimpleNamespace(facts=facts, expressions=[SimpleNamespace(kind='order', object_id=2)])
    (level,) = chance_levels(clip)
    assert level == {'kind': 'order', 'J_object': 0.75, 'S_object': 0.5, 'J_pair': 0.75, 'S_pair': 0.5, 'S_first': 0.0}


def test_a_mask_of_whole_cells_has_ceiling_one_and_thin_masks_need_softness():
    blocks = np.zeros((1, 64, 96), bool)
    blocks[0, 16:32, 32:64] = True
    assert mask_ceiling(blocks, (64, 96), soft=False) > 0.97  # but for the corners
    thin = np.zeros((1, 64, 96), bool)
    thin[0, 17:19] = True  # half of a cell's height
    assert mask_ceiling(thin, (64, 96), soft=False) == 0


def test_soft_masks_beat_binary_ones_and_large_inputs_small_ones():
    rows = mask_ceilings(make_clip(0, 'valid', 0))
    for row in rows:
        assert row['ceiling_binary_64x96'] < row['ceiling_soft_64x96'] < row['ceiling_soft_192x288'] < 1
        assert row['ceiling_binary_192x288'] < row['ceiling_soft_192x288']


def test_mean_by_kind():
    rows = [{'kind': 'a', 'J': 0.0}, {'kind': 'a', 'J': 1.0}, {'kind': 'b', 'J': 0.25}]
    assert mean_by_kind(rows) == {'a': {'count': 2, 'J': 0.5}, 'b': {'count': 1, 'J': 0.25}}
