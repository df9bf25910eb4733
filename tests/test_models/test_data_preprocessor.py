"""The samples of a batch go to the model's device with its frames."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from ifirvos.models.data_preprocessor import RVOSDataPreprocessor


@pytest.fixture
def data() -> dict:
    """One clip of two frames of 6x8 pixels, one object in each."""
    frames = []
    for k in range(2):
        frame = DetDataSample(metainfo=dict(frame_id=k, img_shape=(6, 8)))
        masks = np.zeros((1, 6, 8), np.uint8)
        masks[0, k] = 1
        frame.gt_instances = InstanceData(
            labels=torch.tensor([k]), bboxes=HorizontalBoxes([[0, k, 8, k + 1]]), masks=BitmapMasks(masks, 6, 8)
        )
        frames.append(frame)
    clip = TrackDataSample(metainfo=dict(text='the bar'))
    clip.video_data_samples = frames
    return dict(inputs=[torch.zeros(2, 3, 6, 8, dtype=torch.uint8)], data_samples=[clip])


def test_tensors_and_boxes_move_and_all_else_stays(data):
    moved = RVOSDataPreprocessor(pad_size_divisor=4).to('meta')(data, True)
    assert moved['inputs'].device.type == 'meta'
    (clip,) = moved['data_samples']
    assert clip.text == 'the bar'
    for k, frame in enumerate(clip):
        assert frame.gt_instances.labels.device.type == frame.gt_instances.bboxes.device.type == 'meta'
        assert (frame.frame_id, frame.img_shape) == (k, (6, 8))
        assert frame.gt_instances.masks.masks[0, k].any()


def test_in_training_the_samples_are_those_of_the_batch(data):
    """Not copies: these took longer than all else that prepares a batch. Predictions are for the copies of a test."""
    (clip,) = data['data_samples']
    labels = clip[0].gt_instances.labels
    processor = RVOSDataPreprocessor()
    (same,) = processor(data, True)['data_samples']
    assert same is clip
    assert same[0].gt_instances.labels is labels
    (other,) = processor(data, False)['data_samples']
    assert other is not clip
    assert other[0] is not clip[0]
