"""RVOSInferencer around a model whose answer is known: 'red' is where the frame is red, 'dark' where it is dark."""

import json
from copy import copy, deepcopy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from threshold_rvos import CONFIG
from torch import nn

from ifirvos.errors import CheckpointError, InputError, OutputExistsError
from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.inference.loading import SHIPPED_CONFIG
from ifirvos.inference.model_index import ROOT
from ifirvos.inference.preprocessing import clip_sample
from ifirvos.inference.results import MaskSequence
from ifirvos.label_maps import read_palette_png
from ifirvos.video.writer import VideoWriter


@pytest.fixture(scope='module')
def built_once():
    torch.manual_seed(0)
    return RVOSInferencer(ROOT / SHIPPED_CONFIG, device='cpu', show_progress=False)


@pytest.fixture
def random_model(built_once):
    """The shipped config with random weights; a copy, so that a test may turn its knobs."""
    inferencer = copy(built_once)
    yield inferencer
    built_once.model.bbox_head.test_cfg = None


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


def test_a_bare_checkpoint_cannot_ask_for_all_of_the_memory(tmp_path):
    config = Config.fromfile(ROOT / SHIPPED_CONFIG)
    config.model.text_encoder.config.update(vocab_size=100_000, hidden_size=100_000, num_attention_heads=10)
    text = f'model = {config.model.to_dict()!r}\ntest_dataloader = {config.test_dataloader.to_dict()!r}'
    torch.save(dict(meta=dict(config_text=text), state_dict=dict(a=torch.ones(1))), tmp_path / 'w.pth')
    with pytest.raises(CheckpointError, match=r'w\.pth.*more than 67,108,8'):
        RVOSInferencer(None, tmp_path / 'w.pth', 'cpu', show_progress=False)


@pytest.mark.parametrize(
    'teacher', ["teacher_config='{}/evil.py'", "teacher_config=dict(), teacher_ckpt='{}/evil.pth'"]
)
def test_a_bare_checkpoint_names_no_config_and_no_checkpoint_to_open(tmp_path, teacher):
    """mmdet's distillation detectors run the one and unpickle the other while they are built."""
    (tmp_path / 'evil.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")\nmodel = dict()\n')
    torch.save(dict(state_dict={}, meta=dict(x=Touch(tmp_path / 'ran'))), tmp_path / 'evil.pth')
    backbone = "backbone=dict(type='ResNet', depth=18)"
    text = f"model = dict(type='KnowledgeDistillationSingleStageDetector', {backbone}, {teacher.format(tmp_path)})"
    torch.save(dict(meta=dict(config_text=text), state_dict={}), tmp_path / 'w.pth')
    with pytest.raises(CheckpointError, match=r'w\.pth.*none of ours'):
        RVOSInferencer(None, tmp_path / 'w.pth', 'cpu', show_progress=False)
    assert not (tmp_path / 'ran').exists()


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def test_missing_files_and_devices_are_named(config_path, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py'):
        RVOSInferencer(tmp_path / 'nowhere.py')
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        RVOSInferencer(config_path, tmp_path / 'nowhere.pth')
    monkeypatch.setattr('ifirvos.inference.model_index.ROOT', tmp_path)
    with pytest.raises(FileNotFoundError, match='install ifirvos again'):
        RVOSInferencer()
    with pytest.raises(InputError, match='not a device'):
        RVOSInferencer(config_path, device='gpu')
    with pytest.raises(InputError, match='holds no values'):
        RVOSInferencer(config_path, device='meta')
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


def test_a_backbone_of_ones_own_need_not_take_init_cfg(tmp_path):
    config = Config.fromfile(ROOT / SHIPPED_CONFIG)
    config.model.backbone = dict(type='PlainBackbone', inner=config.model.backbone)
    weights = MODELS.build(deepcopy(config.model)).state_dict()  # mmdet writes into what it builds from
    torch.save(dict(state_dict=weights), tmp_path / 'own.pth')
    loaded = RVOSInferencer(config, tmp_path / 'own.pth', device='cpu').model
    assert isinstance(loaded.backbone, PlainBackbone)
    name = 'query_embedding.weight'
    assert torch.equal(loaded.get_parameter(name), weights[name])


@MODELS.register_module()
class PlainBackbone(nn.Module):
    """Takes no more than it needs."""

    def __init__(self, inner):
        super().__init__()
        self.inner = MODELS.build(inner)

    def forward(self, x):
        return self.inner(x)


# ---------------------------------------------------------------------- what comes out, and how
def test_absent_frames_have_no_mask_where_a_threshold_is_given(inferencer, frames):
    frames[3:] = (0, 0, 255)  # nothing red: the stand-in's score is the share of red
    (off,) = inferencer(frames, 'red')
    assert off.present.all()
    (result,) = inferencer(frames, 'red', score_threshold=0.05)
    assert result.present.tolist() == [True, True, True, False, False]
    assert not result.masks[3:].any()
    assert (result.boxes[3:] == 0).all()
    (nothing,) = inferencer(frames, 'red', score_threshold=1.0)
    assert not nothing.masks.any()
    assert (nothing.scores == off.scores).all()


def test_coded_masks_and_painted_frames(inferencer, frames):
    (expected,) = inferencer(frames, 'red')
    (result,) = inferencer(frames, 'red', mask_format='rle', return_vis=True)
    assert isinstance(result.masks, MaskSequence)
    assert (np.asarray(result.masks) == expected.masks).all()
    assert result.vis.shape == frames.shape
    changed = (result.vis[0] != frames[0]).any(-1)
    assert changed[8:24, :16].all(), 'painted'
    assert expected.vis is None
    for wrong in ('0.9', True, float('nan'), 2):
        with pytest.raises(InputError, match='score_threshold is a score'):
            inferencer(frames, 'red', score_threshold=wrong)
        with pytest.raises(InputError, match='score_threshold is a score'):
            inferencer.stream(frames, 'red', score_threshold=wrong)
    with pytest.raises(InputError, match='list of sentences is needed, not None'):
        inferencer(frames, None)
    with pytest.raises(InputError, match='mask_format'):
        inferencer(frames, 'red', mask_format='png')


def test_results_are_written_as_they_come(inferencer, frames, tmp_path):
    (result,) = inferencer(frames, 'red', out_dir=tmp_path / 'out')
    masks = [read_palette_png(path) for path in sorted((tmp_path / 'out' / 'red' / 'masks').iterdir())]
    assert (np.stack(masks) == result.masks).all()
    with pytest.raises(OutputExistsError):
        inferencer(frames, 'red', out_dir=tmp_path / 'out')
    inferencer(frames, 'red', out_dir=tmp_path / 'out', overwrite=True, save=['csv'], score_threshold=np.float32(0.125))
    assert sorted(path.name for path in (tmp_path / 'out' / 'red').iterdir()) == ['frames.csv', 'result.json']
    record = json.loads((tmp_path / 'out' / 'red' / 'result.json').read_text())
    assert record['score_threshold'] == 0.125
    assert record['clip_score'] == pytest.approx(result.clip_score, abs=1e-6)
    about = [record[key] for key in ('model', 'absent_below', 'probably_absent')]
    assert about == [None, None, None], 'a model of our own'


def test_results_of_any_video_are_seen_before_the_first_is_segmented(inferencer, frames, tmp_path):
    (tmp_path / 'out/video-2/red').mkdir(parents=True)
    done = []
    with pytest.raises(OutputExistsError, match='video-2'):
        inferencer([frames, frames], 'red', out_dir=tmp_path / 'out', progress=lambda *numbers: done.append(numbers))
    assert not done
    assert not (tmp_path / 'out/video-1').exists()
    (tmp_path / 'both/video-2/all_sentences').mkdir(parents=True)
    with pytest.raises(OutputExistsError, match='all_sentences'):
        inferencer([frames, frames], 'red', out_dir=tmp_path / 'both', save='together')
    assert not (tmp_path / 'both/video-1').exists()


def test_several_videos(inferencer, frames, tmp_path):
    for name in ('a', 'b'):
        with VideoWriter(tmp_path / f'{name}.mp4', 10) as writer:
            for frame in frames[: 2 if name == 'a' else 5]:
                writer.write(frame)
    videos = [tmp_path / 'a.mp4', tmp_path / 'b.mp4']
    results = inferencer(videos, ['red', 'dark'], out_dir=tmp_path / 'out', save=['csv'])
    assert [[len(result.masks) for result in of_video] for of_video in results] == [[2, 2], [5, 5]]
    assert sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.glob('out/*/*/frames.csv')) == [
        'out/a/dark',
        'out/a/red',
        'out/b/dark',
        'out/b/red',
    ]
    own = inferencer([frames, frames[:3]], [['red'], ['dark', 'red']])
    assert [[result.text for result in of_video] for of_video in own] == [['red'], ['dark', 'red']]
    with pytest.raises(InputError, match='2 videos need 2 lists'):
        inferencer(videos, [['red']])


def test_progress_is_told_and_may_stop(inferencer, frames):
    inferencer.clip_len, inferencer.overlap = 2, 1
    told = []
    inferencer(frames, 'red', progress=lambda *done: told.append(done))
    assert told == [(2, 5), (3, 5), (4, 5), (5, 5)]
    told.clear()
    inferencer(iter(frames), 'red', progress=lambda *done: told.append(done))
    assert told[-1] == (5, None)

    def stop(done, expected):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inferencer(frames, 'red', progress=stop)


# ---------------------------------------------------------------------- how it is built
@pytest.mark.parametrize(
    ('option', 'says'),
    [
        (dict(dtype='int8'), 'dtype must be one of fp32, bf16, fp16, auto'),
        (dict(link='hope'), 'link must be one of agreement, independent'),
        (dict(clip_len=0), 'clip_len must be at least 1'),
        (dict(clip_len=4, overlap=4), 'can share 0 to 3'),
        (dict(memory=0), 'memory must be a number of GiB above 0'),
        (dict(memory=float('inf')), 'memory must be a number of GiB above 0'),
        (dict(memory=float('nan')), 'memory must be a number of GiB above 0'),
    ],
)
def test_options_are_checked(config_path, option, says):
    with pytest.raises(InputError, match=says):
        RVOSInferencer(config_path, device='cpu', **option)


def test_a_checkpoint_or_a_name_in_place_of_a_config(config_path, frames, tmp_path, monkeypatch):
    torch.save(dict(meta=dict(config_text=CONFIG), state_dict=dict(scale=torch.ones(3))), tmp_path / 'w.pth')
    inferencer = RVOSInferencer(tmp_path / 'w.pth', device='cpu', show_progress=False)
    assert inferencer(frames, 'red')[0].masks.any()
    with pytest.raises(InputError, match='weights are given too'):
        RVOSInferencer(tmp_path / 'w.pth', tmp_path / 'w.pth')
    index = {
        name: dict(Name=name, Config=str(config_path), Weights=weights, Metadata={})
        for name, weights in dict(named=str(tmp_path / 'w.pth'), bare=None).items()
    }
    for module in ('loading', 'model_index'):
        monkeypatch.setattr(f'ifirvos.inference.{module}.find_entry', index.__getitem__)
    assert RVOSInferencer('named', device='cpu').weights_name == str(tmp_path / 'w.pth')
    with pytest.raises(InputError, match='No weights of bare are published'):
        RVOSInferencer('bare')
    assert RVOSInferencer('bare', tmp_path / 'w.pth', 'cpu').config_name == str(config_path)
    with pytest.raises(InputError, match='neither a config file nor a model'):
        RVOSInferencer('yolo')
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        RVOSInferencer('none.pth')


@pytest.mark.skipif(not (ROOT / SHIPPED_CONFIG).is_file(), reason='the shipped config is not there')
@pytest.mark.parametrize('dtype', ['bf16', 'fp16'])
def test_half_precision_gives_nearly_the_same(random_model, frames, dtype):
    texts = ['the red square', 'the small blue circle that is moving to the left']
    expected = random_model(frames, texts)
    random_model.dtype = dtype
    for result, exact in zip(random_model(frames, texts), expected, strict=True):
        assert result.scores.dtype == np.float32
        assert np.abs(result.scores - exact.scores).max() < 0.02
        assert not (result.scores == exact.scores).all(), 'it was half precision'
        assert (result.masks != exact.masks).mean() < 0.05


@pytest.mark.skipif(not (ROOT / SHIPPED_CONFIG).is_file(), reason='the shipped config is not there')
def test_half_precision_converts_weights_once_a_window(random_model, frames):
    """Autocast keeps them outside of inference_mode alone; what a sentence passes once stays in fp32 on a CPU."""
    random_model.dtype, seen = 'bf16', []
    model = random_model.model
    parts = dict(text=model.text_projection, backbone=model.backbone.conv1, encoder=model.encoder.layers[0].ffn)
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: seen.append((name, out.dtype, out.is_inference())))
        for name, part in parts.items()
    ]
    random_model(frames, 'the red square')
    for hook in hooks:
        hook.remove()
    assert {name for name, _, _ in seen} == parts.keys()
    assert not any(inference for *_, inference in seen)
    assert {dtype for name, dtype, _ in seen if name == 'text'} == {torch.float32}
    assert {dtype for name, dtype, _ in seen if name == 'backbone'} == {torch.bfloat16}


@pytest.mark.skipif(not (ROOT / SHIPPED_CONFIG).is_file(), reason='the shipped config is not there')
@pytest.mark.parametrize('clip_len', [36, 4])
def test_sentences_together_equal_sentences_alone(random_model, frames, clip_len):
    """Of several lengths, so that the short ones are padded; masks are compared before they are made binary."""
    random_model.clip_len, random_model.overlap = clip_len, clip_len // 4
    random_model.model.bbox_head.test_cfg = dict(mask_probs=True)
    soft = []
    postprocess = random_model.postprocess

    def keep(samples, *args):
        soft.extend([torch.stack([frame.pred_track_instances.mask_probs for frame in sample]) for sample in samples])
        return postprocess(samples, *args)

    random_model.postprocess = keep
    texts = ['red', 'the small blue circle that is moving to the left of the large green star', 'a square']
    together = random_model(frames, texts)
    windows = len(soft) // len(texts)
    soft_together = [torch.cat(soft[index :: len(texts)]) for index in range(len(texts))]
    assert windows == (1 if clip_len == 36 else 2)
    for text, result, masks in zip(texts, together, soft_together, strict=True):
        soft.clear()
        (alone,) = random_model(frames, text)
        assert len(soft) == windows
        assert np.abs(result.scores - alone.scores).max() < 1e-5
        assert np.abs(result.boxes - alone.boxes).max() < 1e-5 * frames.shape[2]
        assert (masks - torch.cat(soft)).abs().max() < 1e-5
        assert (result.query_indices == alone.query_indices).all()
    assert np.abs(together[0].scores - together[1].scores).max() > 1e-3, 'the sentence matters'


@pytest.mark.skipif(not (ROOT / SHIPPED_CONFIG).is_file(), reason='the shipped config is not there')
def test_a_short_video_in_one_window_is_what_the_model_predicts(random_model, frames):
    """The way through features, windows and linkers changes nothing for a video that fits into a window."""
    (result,) = random_model(frames, 'the red square')
    clip = random_model.preprocess(list(frames))
    samples = [clip_sample([dict(clip['meta'], frame_id=t) for t in range(5)], 'the red square')]
    data = random_model.model.data_preprocessor(dict(inputs=[clip['inputs']], data_samples=samples), False)
    with torch.no_grad():
        (sample,) = random_model.model.predict(data['inputs'], data['data_samples'])
    for t, frame in enumerate(sample):
        assert (frame.pred_track_instances.masks[0].numpy() == result.masks[t]).all()
        assert float(frame.pred_track_instances.scores[0]) == pytest.approx(result.scores[t], abs=1e-6)


@pytest.mark.skipif(not (ROOT / SHIPPED_CONFIG).is_file(), reason='the shipped config is not there')
def test_the_shipped_model_from_a_float16_checkpoint_alone(frames, tmp_path):
    """Random weights: everything fits together, and sentences do not disturb one another."""
    config = Config.fromfile(ROOT / SHIPPED_CONFIG)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(deepcopy(config.model)).state_dict()
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
