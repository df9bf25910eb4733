"""Long videos in windows (Ref-DAVIS17), and clips cut to their annotated frames (ReferFormer on A2D-Sentences)."""

import pytest
import tiny
import torch
from mmengine.config import Config
from torch.testing import assert_close

from ifirvos.models.query_linker import QueryLinker


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny.tiny_model()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return tiny.frames(num_clips=2, num_frames=5)


@torch.no_grad()
def predict(model, inputs, test_cfg=None, key_frames=None, text='the red circle'):
    """The clips with predictions; as a user sets ``test_cfg``, detector and head share it."""
    model.test_cfg = model.bbox_head.test_cfg = dict(mask_probs=True, **(test_cfg or {}))
    clips = [tiny.clip(inputs, text) for _ in inputs]
    for clip, frames in zip(clips, key_frames or ()):
        clip.set_metainfo(dict(key_frames_inds=frames))
    return model(inputs, clips, mode='predict')


def soft_masks(clip) -> torch.Tensor:
    return torch.cat([frame.pred_track_instances.mask_probs for frame in clip])


def test_a_window_is_predicted_as_if_it_were_the_video(model, inputs):
    """Two clips of five frames in windows of two: the last is shorter."""
    clips = predict(model, inputs, dict(window=2))
    alone = [predict(model, inputs[:, first : first + 2]) for first in (0, 2, 4)]
    for number, clip in enumerate(clips):
        assert_close(soft_masks(clip), torch.cat([soft_masks(part[number]) for part in alone]), rtol=0, atol=1e-6)
        assert clip.query_index == [part[number].query_index for part in alone]
    whole = predict(model, inputs)
    assert (soft_masks(clips[0])[:2] - soft_masks(whole[0])[:2]).abs().max() > 1e-6


@pytest.mark.parametrize('window', [None, 5, 36])
def test_a_video_that_fits_is_one_clip(model, inputs, window):
    clips, whole = predict(model, inputs, dict(window=window)), predict(model, inputs)
    for clip, expected in zip(clips, whole, strict=True):
        assert torch.equal(soft_masks(clip), soft_masks(expected))
        assert clip.query_index == expected.query_index
        assert isinstance(clip.query_index, int)


def test_windows_do_not_see_one_another(model, inputs):
    changed = inputs.clone()
    changed[:, 4] = 0
    before, after = (soft_masks(predict(model, x, dict(window=2))[0]) for x in (inputs, changed))
    assert torch.equal(before[:4], after[:4])
    assert not torch.equal(before[4], after[4])


def test_sentences_of_one_video_in_windows(model, inputs):
    texts = ['the red circle', 'the small star on the left']
    expected = [predict(model, inputs[:1], dict(window=2), text=text)[0] for text in texts]
    samples = [tiny.clip(inputs[:1], text) for text in texts]
    feats = model.extract_windows(inputs[:1])
    for clip, other in zip(model.predict_features(feats, samples), expected, strict=True):
        assert_close(soft_masks(clip), soft_masks(other), rtol=0, atol=1e-6)
        assert clip.query_index == other.query_index


class Noting(QueryLinker):
    """Draws always, and keeps what was drawn and what was chosen."""

    def choose(self, scores, draw):
        self.drawn = draw(2)
        return super().choose(scores, draw)

    def remember(self, masks):
        self.kept = masks
        super().remember(masks)


@torch.no_grad()
def test_linked_sentences_are_compared_by_masks_of_their_own(model, inputs):
    feats = model.extract_feat(inputs[:1])

    def linked(*texts):
        linkers = [Noting() for _ in texts]
        model.predict_features(feats, [tiny.clip(inputs[:1], text) for text in texts], linkers)
        return linkers

    texts = ['the red circle', 'the small star on the left']
    together = linked(*texts)
    for text, linker in zip(texts, together, strict=True):
        (alone,) = linked(text)
        assert_close(linker.drawn, alone.drawn, rtol=0, atol=1e-6)
        assert_close(linker.kept, alone.kept, rtol=0, atol=1e-6)
    assert not torch.allclose(together[0].drawn, together[1].drawn, atol=1e-4)
    assert not torch.allclose(together[0].kept, together[1].kept, atol=1e-4)


def test_clips_with_annotated_frames_are_left_whole(model, inputs):
    clips = predict(model, inputs, dict(window=2), key_frames=[[2], [2]])
    expected = predict(model, inputs, key_frames=[[2], [2]])
    for clip, other in zip(clips, expected, strict=True):
        key, other_key = (sample[2].pred_track_instances.mask_probs for sample in (clip, other))
        assert torch.equal(key, other_key)


# ---- cut to the annotated frames ----
KEYS = [[3], [0]]


def test_cut_clips_are_predicted_from_their_annotated_frame_alone(inputs):
    torch.manual_seed(0)
    model = tiny.tiny_model(cut_to_key_frames=True)
    clips = predict(model, inputs, key_frames=KEYS)
    alone = predict(model, torch.stack([inputs[0, 3:4], inputs[1, 0:1]]))
    for clip, (key,), expected in zip(clips, KEYS, alone, strict=True):
        assert ['pred_track_instances' in frame for frame in clip] == [t == key for t in range(5)]
        found = clip[key].pred_track_instances.mask_probs
        assert_close(found, expected[0].pred_track_instances.mask_probs, rtol=0, atol=1e-6)
        assert clip.query_index == expected.query_index
        assert clip.key_frames_inds == [key]
    model.cut_to_key_frames = False
    uncut = predict(model, inputs, key_frames=KEYS)
    difference = uncut[0][3].pred_track_instances.mask_probs - clips[0][3].pred_track_instances.mask_probs
    assert difference.abs().max() > 1e-6


def test_cut_clips_are_trained_on_their_annotated_frame_alone(inputs):
    torch.manual_seed(0)
    model = tiny.tiny_model(cut_to_key_frames=True).float()

    def losses(frames, keys):
        clips = [tiny.clip(inputs, present=[True] * 5) for _ in KEYS]
        parts = [tiny.clip(frames, present=[True] * frames.shape[1]) for _ in KEYS]
        for part, clip, mine, theirs in zip(parts, clips, keys, KEYS, strict=True):
            part[mine[0]].gt_instances = clip[theirs[0]].gt_instances
            part.set_metainfo(dict(key_frames_inds=mine))
        return model(frames.float(), parts, mode='loss')

    found = losses(inputs, KEYS)
    alone = losses(torch.stack([inputs[0, 3:4], inputs[1, 0:1]]), [[0], [0]])
    assert found.keys() == alone.keys()
    for name, loss in found.items():
        assert_close(loss, alone[name], msg=name)


def test_clips_without_annotated_frames_are_never_cut(model, inputs):
    whole = predict(model, inputs)
    model.cut_to_key_frames = True
    cut = predict(model, inputs)
    model.cut_to_key_frames = False
    assert torch.equal(soft_masks(cut[0]), soft_masks(whole[0]))


def test_ref_davis17_is_evaluated_in_windows_of_36_frames():
    config = Config.fromfile(tiny.BASE.parents[2] / 'ifirvos/r50_davis17.py')
    assert (config.model.test_cfg.window, config.model.test_cfg.mask_probs) == (36, True)
