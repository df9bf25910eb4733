"""Several sentences about the same frames: the backbone sees them once, and nothing else changes."""

import pytest
import tiny
import torch

from ifirvos.errors import InputError
from ifirvos.models.data_preprocessor import RVOSDataPreprocessor
from ifirvos.structures import features_of, inputs_indices

INDICES = [0, 0, 1, 2, 2]
TEXTS = ['the red circle', 'the blue square', 'left', 'the square', 'right']


def batch(inputs: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Three clips' frames and five sentences about them."""
    clips = [tiny.clip(inputs, text, present=[True, k % 2 == 0, True]) for k, text in enumerate(TEXTS)]
    for clip, index in zip(clips, INDICES, strict=True):
        clip.set_metainfo(dict(inputs_index=index))
    return inputs, clips


@pytest.mark.parametrize('part', ['losses', 'gradients'])
def test_the_losses_and_gradients_are_those_of_frames_repeated(part):
    torch.manual_seed(0)
    model = tiny.tiny_model().float()
    inputs, clips = batch(tiny.frames(3).float())
    repeated = inputs[INDICES]
    alone = [clip.clone() for clip in clips]
    for number, clip in enumerate(alone):
        clip.set_metainfo(dict(inputs_index=number))

    def step(frames: torch.Tensor, samples: list) -> dict[str, torch.Tensor]:
        model.zero_grad()
        losses = model(frames, samples, mode='loss')
        sum(losses.values()).backward()
        if part == 'losses':
            return losses
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    shared, expected = step(inputs, clips), step(repeated, alone)
    assert shared.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(shared[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_the_backbone_sees_shared_frames_once():
    model = tiny.tiny_model().float()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    inputs, clips = batch(tiny.frames(3).float())
    model(inputs, clips, mode='loss')
    assert seen == [3 * inputs.shape[1]]


def test_features_of_clips_with_frames_of_their_own_are_not_copied():
    feats, clips = [torch.rand(6, 2, 4, 4)], [tiny.clip(tiny.frames()), tiny.clip(tiny.frames())]
    assert features_of(feats, clips, 2) is feats


def test_clips_of_different_lengths_make_no_batch():
    data = dict(inputs=[torch.zeros(2, 3, 8, 8), torch.zeros(3, 3, 8, 8)], data_samples=None)
    with pytest.raises(InputError, match='have 2 to 3 frames.*batch_size=1'):
        RVOSDataPreprocessor()(data)


def test_every_clip_learns_the_padding_of_its_frames():
    """Two sentences about a small clip, one about a larger one; without the index the third would get no sizes."""
    frames = [torch.rand(2, 3, 40, 60), torch.rand(2, 3, 64, 96)]
    clips = [tiny.clip(frames[k][None], present=[True, True]) for k in (0, 0, 1)]
    for clip, index in zip(clips, (0, 0, 1), strict=True):
        clip.set_metainfo(dict(inputs_index=index))
    preprocess = RVOSDataPreprocessor(pad_size_divisor=32, test_pad_size_divisor=1)
    data = preprocess(dict(inputs=frames, data_samples=clips), training=True)
    assert data['inputs'].shape == (2, 2, 3, 64, 96)
    assert [clip[1].pad_shape for clip in data['data_samples']] == [(64, 64), (64, 64), (64, 96)]
    assert {clip[0].batch_input_shape for clip in data['data_samples']} == {(64, 96)}


def test_prediction_of_shared_frames_is_that_of_frames_repeated():
    torch.manual_seed(0)
    model = tiny.tiny_model().float()
    inputs, clips = batch(tiny.frames(3).float())
    shared = model(inputs, clips, mode='predict')
    alone = model(inputs[INDICES], [clip.clone() for clip in clips], mode='predict')
    for ours, theirs in zip(shared, alone, strict=True):
        assert ours.query_index == theirs.query_index
        assert torch.equal(ours[0].pred_track_instances.masks, theirs[0].pred_track_instances.masks)


def test_a_part_of_a_batch_says_what_is_wrong():
    inputs, clips = batch(tiny.frames(3))
    with pytest.raises(InputError, match='3 inputs for 2 clips'):
        features_of([inputs.flatten(0, 1)], clips[:2], 3)
    assert inputs_indices(clips[3:4], 1) == [0]  # one clip of it with its own frames
