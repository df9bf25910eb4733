"""RVOSInferencer around a model whose answer is known: 'red' is where the frame is red, 'dark' where it is dark."""

import numpy as np
import pytest
import torch
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import nn

from ifirvos.checkpoint import CheckpointError
from ifirvos.inferencer import ROOT, SHIPPED_CONFIG, InputError, RVOSInferencer
from ifirvos.video import VideoWriter

CONFIG = """
model = dict(type='ThresholdRVOS', channels=3)
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(40, 20), keep_ratio=True)],
            ),
            dict(type='PackTrackInputs', meta_keys=('text',)),
        ]
    )
)
"""


@MODELS.register_module(force=True)
class ThresholdRVOS(nn.Module):
    """Keeps what it was given, for tests to look at."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.data_preprocessor = TrackDataPreprocessor(
            mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True, pad_size_divisor=32
        )
        self.calls = []

    def extract_feat(self, inputs):
        return [inputs[0]]

    def predict_features(self, feats, data_samples, linkers):
        frames = feats[0]
        self.calls.append((frames, data_samples))
        for sample in data_samples:
            for image, frame in zip(frames * self.scale[:, None, None], sample, strict=True):
                height, width = frame.img_shape
                image = image[:, :height, :width]
                wanted = image[0] > 0.6 if 'red' in sample.text else image.sum(0) < 0.6
                mask = nn.functional.interpolate(wanted[None, None].float(), frame.ori_shape)[0] > 0.5
                rows, columns = (mask[0].any(axis).nonzero().flatten() for axis in (1, 0))
                box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if mask.any() else [0] * 4
                frame.pred_track_instances = InstanceData(
                    masks=mask, bboxes=torch.tensor([box]).float(), scores=wanted.float().mean()[None]
                )
            sample.set_metainfo(dict(query_index=1))
        return data_samples


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / 'threshold.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture
def inferencer(config_path):
    return RVOSInferencer(config_path, device='cpu', show_progress=False)


@pytest.fixture
def frames():
    """Five frames, 40 high and 80 wide, blue, with a red square at x = 10 t."""
    frames = np.zeros((5, 40, 80, 3), np.uint8)
    frames[..., 2] = 255
    for t, frame in enumerate(frames):
        frame[8:24, 10 * t : 10 * t + 16] = (255, 0, 0)
    return frames


def red(frames):
    return frames[..., 0] > 150


def test_results_in_pixels_of_the_video(inferencer, frames):
    first, second = inferencer(frames, ['the red square', 'dark'])
    assert (first.text, second.text) == ('the red square', 'dark')
    assert (first.masks == red(frames)).mean() > 0.99
    assert first.masks.shape == frames.shape[:3]
    assert first.masks.dtype == bool
    assert first.boxes.tolist() == [[10 * t, 8, 10 * t + 16, 24] for t in range(5)]
    assert first.scores.shape == (5,)
    assert first.query_index == 1
    assert not second.masks.any()


def test_the_configs_resize_and_preprocessor_are_used_once_for_all_sentences(inferencer, frames):
    inferencer(frames, ['red', 'dark', 'red again'])
    ((given, samples),) = inferencer.model.calls
    assert given.shape == (5, 3, 32, 64), 'Resize to 20x40, padded to multiples of 32'
    assert given[0, :, 6, 2].tolist() == [1, 0, 0], 'RGB, normalised'
    assert [sample.text for sample in samples] == ['red', 'dark', 'red again']
    for sample in samples:
        assert [frame.frame_id for frame in sample] == list(range(5))
        assert {tuple(frame.img_shape) for frame in sample} == {(20, 40)}
        assert {tuple(frame.ori_shape) for frame in sample} == {(40, 80)}
        assert {tuple(frame.batch_input_shape) for frame in sample} == {(32, 64)}


def test_every_kind_of_input_gives_the_same(inferencer, frames, tmp_path):
    import cv2

    (tmp_path / 'frames').mkdir()
    for t, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / 'frames' / f'{t}.png'), frame[..., ::-1])
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for frame in frames:
            writer.write(frame)
    (expected,) = inferencer(frames, 'red')
    assert (inferencer(list(frames), ['red'])[0].masks == expected.masks).all()
    assert (inferencer(iter(frames), ['red'])[0].masks == expected.masks).all()
    assert (inferencer(frames[..., ::-1], 'red', channel_order='bgr')[0].masks == expected.masks).all()
    assert (inferencer(tmp_path / 'frames', 'red')[0].masks == expected.masks).all()
    assert (inferencer(str(tmp_path / 'clip.mp4'), 'red')[0].masks == expected.masks).mean() > 0.98


def test_one_frame(inferencer, frames):
    assert inferencer(frames[:1], 'red')[0].masks.shape == (1, 40, 80)


@pytest.mark.parametrize('texts', [[], '', '  ', ['red', '\n'], ['red', None]])
def test_sentences_are_checked_before_the_video(inferencer, texts):
    with pytest.raises(InputError, match='entence'):
        inferencer('no such video', texts)


def test_bad_frames_are_named(inferencer, frames):
    with pytest.raises(InputError, match='no frames'):
        inferencer([], 'red')
    with pytest.raises(InputError, match='Frame 1 is float64'):
        inferencer([frames[0], frames[1] / 255], 'red')
    with pytest.raises(InputError, match='one size'):
        inferencer([frames[0], frames[1][:10]], 'red')
    with pytest.raises(InputError, match='channel_order'):
        inferencer(frames, 'red', channel_order='rbg')


def test_weights_load_strictly_and_bring_their_config(config_path, frames, tmp_path):
    state = dict(scale=torch.tensor([0.5, 1, 1]).half())
    torch.save(dict(meta=dict(config_text=CONFIG), state_dict=state), tmp_path / 'w.pth')
    for model in (config_path, None, Config.fromfile(config_path)):
        inferencer = RVOSInferencer(model, tmp_path / 'w.pth', 'cpu', show_progress=False)
        assert not inferencer(frames, 'red')[0].masks.any(), 'red counts half with these weights'
    torch.save(dict(state_dict=dict(scales=torch.ones(3))), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r'missing \(scale\); 1 unexpected \(scales\)'):
        RVOSInferencer(config_path, tmp_path / 'other.pth', 'cpu')
    with pytest.raises(CheckpointError, match='does not hold its config'):
        RVOSInferencer(None, tmp_path / 'other.pth', 'cpu')


def test_missing_files_and_devices_are_named(config_path, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py'):
        RVOSInferencer(tmp_path / 'nowhere.py')
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        RVOSInferencer(config_path, tmp_path / 'nowhere.pth')
    monkeypatch.setattr('ifirvos.model_index.ROOT', tmp_path)
    with pytest.raises(FileNotFoundError, match='full clone'):
        RVOSInferencer()
    with pytest.raises(InputError, match='not a device'):
        RVOSInferencer(config_path, device='gpu')
    with pytest.raises(InputError, match='cuda:99'):
        RVOSInferencer(config_path, device='cuda:99')


def test_the_resize_is_found_inside_wrapped_data_sets(config_path, frames):
    config = Config.fromfile(config_path)
    inner = config.test_dataloader.dataset
    config.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, inner])
    inferencer = RVOSInferencer(config, device='cpu', show_progress=False)
    assert inferencer(frames, 'red')[0].masks.any()
    inner.pipeline = inner.pipeline[1:]
    config.test_dataloader.dataset = inner
    with pytest.raises(ValueError, match='no Resize'):
        RVOSInferencer(config, device='cpu')


def test_a_model_that_cannot_be_built_says_why(config_path):
    config = Config.fromfile(config_path)
    config.model.channels = -1
    with pytest.raises(InputError, match=r'cannot be built: .*-1'):
        RVOSInferencer(config, device='cpu')


@pytest.mark.skipif(not (ROOT / SHIPPED_CONFIG).is_file(), reason='the shipped config is not there')
def test_the_shipped_model_from_a_float16_checkpoint_alone(frames, tmp_path):
    """Random weights: everything fits together, and sentences do not disturb one another."""
    config = Config.fromfile(ROOT / SHIPPED_CONFIG)
    torch.manual_seed(0)
    built = RVOSInferencer(config, device='cpu', show_progress=False).model.state_dict()
    half = {key: value.half() if value.is_floating_point() else value for key, value in built.items()}
    torch.save(dict(meta=dict(config_text=config.pretty_text), state_dict=half), tmp_path / 'w.pth')
    inferencer = RVOSInferencer(weights=tmp_path / 'w.pth', device='cpu', show_progress=False)
    texts = ['the red square', 'the small blue circle that is moving to the left']
    together = inferencer(frames, texts)
    for text, result in zip(texts, together):
        (alone,) = inferencer(frames, text)
        assert result.masks.shape == (5, 40, 80)
        assert ((result.scores > 0) & (result.scores < 1)).all()
        assert np.allclose(result.scores, alone.scores, atol=1e-5)
        assert (result.masks == alone.masks).all()
    assert not np.allclose(together[0].scores, together[1].scores), 'the sentence matters'
