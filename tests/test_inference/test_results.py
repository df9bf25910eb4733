"""Coded masks read like arrays; parts of results put together again."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as rle_tools

from ifirvos.inference.results import MaskSequence, ResultCollector, SentenceResult, to_result

MASKS = arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 7)))


@given(MASKS)
def test_coded_masks_read_like_an_array(masks):
    coded = MaskSequence(masks)
    assert coded.shape == masks.shape
    assert coded.dtype == bool
    assert (np.asarray(coded) == masks).all()
    assert (coded[1:] == masks[1:]).all()
    assert (coded[-1] == masks[-1]).all()
    assert [mask.tolist() for mask in coded] == masks.tolist()


def test_rles_are_coco_and_json():
    masks = np.zeros((2, 4, 6), bool)
    masks[1, 1:3, 2:5] = True
    rles = json.loads(json.dumps(MaskSequence(masks).rles))
    assert [rle['size'] for rle in rles] == [[4, 6]] * 2
    assert rle_tools.area(rles).tolist() == [0, 6]
    assert rle_tools.toBbox(rles[1]).tolist() == [2, 1, 3, 2]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match='cannot follow'):
        MaskSequence([np.zeros((2, 3), bool)]).append(np.zeros((3, 2), bool))
    assert MaskSequence().shape == (0, 0, 0)


def make_result(num_frames=6, queries=None):
    rng = np.random.default_rng(0)
    masks = rng.random((num_frames, 5, 7)) > 0.5
    scores, boxes = rng.random(num_frames).astype(np.float32), rng.random((num_frames, 4)).astype(np.float32)
    return SentenceResult('a star', masks, scores, boxes, 3, scores > 0.5, queries)


@pytest.mark.parametrize('coded', [False, True])
def test_a_result_prints_in_a_line(coded):
    result = make_result()
    masks = MaskSequence(result.masks) if coded else result.masks
    whole = SentenceResult('a star', masks, np.full(6, 0.25, np.float32), result.boxes, 3)
    assert repr(whole) == "SentenceResult('a star': 6 frames of 7x5, score 0.25)"
    some = SentenceResult('a star', masks, np.full(6, 0.25), result.boxes, 3, np.arange(6) < 2)
    assert repr(some) == "SentenceResult('a star': 6 frames of 7x5, score 0.25, present in 2)"
    assert repr(whole.part(2, 2)) == "SentenceResult('a star': 0 frames of 7x5)"


@pytest.mark.parametrize('coded', [False, True])
@pytest.mark.parametrize('mask_format', ['bool', 'rle'])
def test_parts_put_together_are_the_whole(mask_format, coded):
    whole = make_result(queries=np.array([3, 3, 3, 1, 1, 4]))
    whole = whole.encoded() if coded else whole
    collector = ResultCollector('a star', mask_format)
    for first, stop in ((0, 3), (3, 4), (4, 6)):
        collector.add(whole.part(first, stop), np.full((stop - first, 5, 7, 3), first, np.uint8))
    again = collector.result()
    assert isinstance(again.masks, np.ndarray if mask_format == 'bool' else MaskSequence)
    for name in ('masks', 'scores', 'boxes', 'present', 'query_indices'):
        assert (np.asarray(getattr(again, name)) == np.asarray(getattr(whole, name))).all(), name
    assert (again.text, again.query_index) == ('a star', 3)
    assert again.vis[:, 0, 0, 0].tolist() == [0, 0, 0, 3, 4, 4]
    assert again.rles == whole.rles
    assert whole.part(3, 5).query_index == 1


def test_a_score_at_the_threshold_is_present():
    sample = TrackDataSample(metainfo=dict(query_index=0))
    sample.video_data_samples = [DetDataSample() for _ in range(2)]
    for frame, score in zip(sample, (0.5, 0.25), strict=True):
        masks = torch.ones(1, 4, 6, dtype=torch.bool)
        frame.pred_track_instances = InstanceData(masks=masks, scores=torch.tensor([score]))
    result = to_result(sample, 'red', 0.5)
    assert result.present.tolist() == [True, False]
    assert result.masks.any((1, 2)).tolist() == [True, False]


def test_what_is_not_said_is_filled_in():
    result = SentenceResult('a', np.zeros((3, 2, 2), bool), np.ones(3, np.float32), np.zeros((3, 4), np.float32), 2)
    assert result.present.tolist() == [True] * 3
    assert result.query_indices.tolist() == [2, 2, 2]
    assert result.vis is None
