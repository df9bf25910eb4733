"""RVOSInferencer around a model whose answer is known: 'red' is where the frame is red, 'dark' where it is dark."""

import threading
from copy import copy, deepcopy
from fractions import Fraction

import numpy as np
import pytest
import torch
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from ifirvos import plain_config
from ifirvos.errors import CheckpointError, InputError, LimitError
from ifirvos.inference.inferencer import BYTES_A_FEATURE_BYTE, RVOSInferencer
from ifirvos.inference.loading import SHIPPED_CONFIG
from ifirvos.inference.model_index import ROOT
from ifirvos.inference.preprocessing import clip_sample
from ifirvos.inference.results import MaskSequence
from ifirvos.inference.writers import OutputExistsError
from ifirvos.label_maps import read_palette_png
from ifirvos.video.writer import VideoWriter

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

    takes_clips = False

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.data_preprocessor = TrackDataPreprocessor(
            mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True, pad_size_divisor=32
        )
        self.calls, self.encoded = [], []

    def encode_text(self, data_samples):
        self.encoded += [sample.text for sample in data_samples]
        return dict(words=[sample.text for sample in data_samples])

    def extract_feat(self, inputs):
        return [inputs[0]]

    def predict_features(self, feats, data_samples, linkers, text):
        assert text['words'] == [sample.text for sample in data_samples]
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


@pytest.fixture(autouse=True)
def _threshold_model_is_ours(monkeypatch):
    monkeypatch.setattr(plain_config, 'MODEL_TYPES', plain_config.MODEL_TYPES | {'ThresholdRVOS'})


@pytest.fixture
def inferencer(config_path):
    return RVOSInferencer(config_path, device='cpu', show_progress=False)


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


@pytest.fixture
def frames():
    """Five frames, 40 high and 80 wide, blue, with a red square at x = 10 t."""
    frames = np.zeros((5, 40, 80, 3), np.uint8)
    frames[..., 2] = 255
    for t, frame in enumerate(frames):
        frame[8:24, 10 * t : 10 * t + 16] = (255, 0, 0)
    return frames


class OutOfMemory:
    """Stands before a function and says that memory has run out, the first so many times."""

    def __init__(self, function, times, error):
        self.function, self.times, self.error, self.calls = function, times, error, 0

    def __call__(self, *args):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.function(*args)


OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB'),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    MemoryError(),
]


@pytest.mark.parametrize('error', OUT_OF_MEMORY)
@pytest.mark.parametrize('stage', ['extract', 'forward'])
def test_where_memory_runs_out_smaller_parts_are_taken_once(inferencer, frames, monkeypatch, stage, error):
    texts = ['red', 'dark', 'red again']
    expected = inferencer(frames, texts)
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lambda *args: said.append(args[0] % args[1:]))
    failing = OutOfMemory(getattr(inferencer, stage), 1, error)
    monkeypatch.setattr(inferencer, stage, failing)
    inferencer.model.calls.clear()
    for result, one in zip(inferencer(frames, texts), expected, strict=True):
        np.testing.assert_array_equal(result.masks, one.masks)
    assert [len(samples) for _, samples in inferencer.model.calls] == [1, 1, 1], 'a sentence at a time'
    assert len(said) == 1
    assert 'going on one sentence and 4 frames at a time' in said[0]


def test_memory_that_runs_out_twice_ends_with_advice_and_other_errors_as_they_are(inferencer, frames, monkeypatch):
    forward = inferencer.forward
    monkeypatch.setattr(inferencer, 'forward', OutOfMemory(forward, 2, OUT_OF_MEMORY[1]))
    with pytest.raises(LimitError, match='even one sentence.*--clip-len'):
        inferencer(frames, ['red', 'dark'])
    monkeypatch.setattr(inferencer, 'forward', OutOfMemory(forward, 1, RuntimeError('shapes differ')))
    with pytest.raises(RuntimeError, match='shapes differ'):
        inferencer(frames, ['red'])


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


# ---------------------------------------------------------------------- what comes out, and how
def test_absent_frames_have_no_mask_where_a_threshold_is_given(inferencer, frames):
    frames[3:] = (0, 0, 255)  # nothing red: the stand-in's score is the share of red
    (off,) = inferencer(frames, 'red')
    assert off.present.all()
    (result,) = inferencer(frames, 'red', score_threshold=0.05)
    assert result.present.tolist() == [True, True, True, False, False]
    assert not result.masks[3:].any()
    assert (result.boxes[3:] == 0).all()
    (nothing,) = inferencer(frames, 'red', score_threshold=1.01)
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
    with pytest.raises(InputError, match='mask_format'):
        inferencer(frames, 'red', mask_format='png')


def test_results_are_written_as_they_come(inferencer, frames, tmp_path):
    (result,) = inferencer(frames, 'red', out_dir=tmp_path / 'out')
    masks = [read_palette_png(path) for path in sorted((tmp_path / 'out' / 'red' / 'masks').iterdir())]
    assert (np.stack(masks) == result.masks).all()
    with pytest.raises(OutputExistsError):
        inferencer(frames, 'red', out_dir=tmp_path / 'out')
    inferencer(frames, 'red', out_dir=tmp_path / 'out', overwrite=True, save=['csv'])
    assert sorted(path.name for path in (tmp_path / 'out' / 'red').iterdir()) == ['frames.csv', 'result.json']


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


# ---------------------------------------------------------------------- windows
def test_windows_give_every_frame_once_and_the_backbone_sees_it_once(inferencer, frames):
    (whole,) = inferencer(frames, 'red')
    inferencer.clip_len, inferencer.overlap = 3, 2
    seen = []
    extract = inferencer.model.extract_feat
    inferencer.model.extract_feat = lambda inputs: seen.append(inputs.shape[1]) or extract(inputs)
    inferencer.model.calls.clear()
    windows = list(inferencer.stream(iter(frames), ['red', 'dark']))
    assert seen == [3, 1, 1]
    assert [len(given[0]) for given in inferencer.model.calls] == [3, 3, 3]
    assert [(window.start, len(window.frames)) for window in windows] == [(0, 2), (2, 1), (3, 2)]
    assert (np.concatenate([window.frames for window in windows]) == frames).all()
    assert [time for window in windows for time in window.times] == [Fraction(t, 10) for t in range(5)]
    assert (np.concatenate([window.results[0].masks for window in windows]) == whole.masks).all()


def test_a_sentence_is_encoded_once_whatever_the_windows(inferencer, frames):
    inferencer.clip_len, inferencer.overlap = 3, 2
    list(inferencer.stream(iter(frames), ['Red', 'dark']))
    assert len(inferencer.model.calls) == 3
    assert inferencer.model.encoded == ['red', 'dark']


def test_a_file_is_read_a_window_ahead_of_the_model(inferencer, frames, tmp_path, monkeypatch):
    with VideoWriter(tmp_path / 'video.mp4', 10) as video:
        for frame in frames:
            video.write(frame)
    inferencer.clip_len, inferencer.overlap = 3, 2
    done, preprocess, extract = [], inferencer.preprocess, inferencer.extract
    second = threading.Event()

    def prepare(part):
        assert threading.current_thread() is not threading.main_thread()
        done.append(len(part))
        if len(done) == 2:
            second.set()
        return preprocess(part)

    def look(clip):
        assert second.wait(10), 'the second window has not been prepared while the model had the first'
        return extract(clip)

    monkeypatch.setattr(inferencer, 'preprocess', prepare)
    monkeypatch.setattr(inferencer, 'extract', look)
    windows = list(inferencer.stream(tmp_path / 'video.mp4', 'red'))
    assert done == [3, 1, 1]
    assert sum(len(window.frames) for window in windows) == len(frames)


def test_a_backbone_that_takes_clips_sees_every_window_whole(inferencer, frames):
    inferencer.clip_len, inferencer.overlap = 3, 2
    inferencer.model.takes_clips = True
    seen = []
    extract = inferencer.model.extract_feat
    inferencer.model.extract_feat = lambda inputs: seen.append(inputs[0]) or extract(inputs)
    windows = list(inferencer.stream(iter(frames), ['red']))
    assert [len(clip) for clip in seen] == [3, 3, 3]
    assert all(torch.equal(seen[number + 1][:2], seen[number][1:]) for number in range(2)), (
        'one frame further each time'
    )
    assert [len(window.frames) for window in windows] == [2, 1, 2]


def test_a_stream_without_end(inferencer, frames):
    def forever():
        while True:
            yield from frames

    inferencer.clip_len, inferencer.overlap = 4, 2
    windows = inferencer.stream(forever(), 'red')
    assert [next(windows).start for _ in range(5)] == [0, 3, 5, 7, 9]


class TwoObjects(ThresholdRVOS):
    """A model with a query for the left half and one for the right; their numbers change with every window, and so does
    which of them scores a little better."""

    windows = 0

    def predict_features(self, feats, data_samples, linkers, text):
        swap = self.windows % 2
        self.windows += 1
        frames, (height, width) = len(feats[0]), data_samples[0][0].ori_shape
        halves = -torch.ones(2, height, width)
        halves[0, :, : width // 2] = halves[1, :, width // 2 :] = 1
        queries = halves.flip(0) if swap else halves
        scores = torch.tensor([0.6, 0.5]).expand(frames, 2)  # query 0: the left half first, then the right one
        for sample, linker in zip(data_samples, linkers, strict=True):
            query = linker.choose(scores, lambda n: queries.expand(n, -1, -1, -1))
            linker.remember(queries[query].expand(frames, -1, -1))
            for frame in sample:
                frame.pred_track_instances = InstanceData(
                    masks=queries[query][None] > 0, bboxes=torch.zeros(1, 4), scores=scores[0, query][None]
                )
            sample.set_metainfo(dict(query_index=query))
        return data_samples


@pytest.mark.parametrize(
    ('link', 'left', 'queries'),
    [('agreement', [True] * 5, {0, 1}), ('independent', [True, True, False, False, True], {0})],
)
def test_the_query_follows_its_object_over_windows(config_path, frames, link, left, queries):
    MODELS.register_module(name='TwoObjects', module=TwoObjects, force=True)
    config = Config.fromfile(config_path)
    config.model.type = 'TwoObjects'
    inferencer = RVOSInferencer(config, device='cpu', show_progress=False, clip_len=2, overlap=1, link=link)
    (result,) = inferencer(frames, 'red')
    assert result.masks[:, 0, 0].tolist() == left
    assert set(result.query_indices.tolist()) == queries


def test_sentences_go_through_in_batches_that_memory_allows(inferencer, frames, monkeypatch):
    texts = ['red', 'dark', 'red again', 'dark again', 'red']
    inferencer(frames, texts)
    assert [len(samples) for _, samples in inferencer.model.calls] == [5]
    a_sentence = BYTES_A_FEATURE_BYTE * 5 * 3 * 32 * 64 * 4 + 5 * 40 * 80
    inferencer.memory = 2.5 * a_sentence / 2**30
    inferencer.model.calls.clear()
    results = inferencer(frames, texts)
    assert [len(samples) for _, samples in inferencer.model.calls] == [2, 2, 1]
    assert [result.text for result in results] == texts
    inferencer.memory = 1e-9
    inferencer.model.calls.clear()
    inferencer(frames, texts)
    assert [len(samples) for _, samples in inferencer.model.calls] == [1] * 5


# ---------------------------------------------------------------------- how it is built
@pytest.mark.parametrize(
    ('option', 'says'),
    [
        (dict(dtype='int8'), 'dtype must be one of fp32, bf16, fp16, auto'),
        (dict(link='hope'), 'link must be one of agreement, independent'),
        (dict(clip_len=0), 'clip_len must be at least 1'),
        (dict(clip_len=4, overlap=4), 'can share 0 to 3'),
        (dict(memory=0), 'memory must be a number of GiB above 0'),
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
    for module in ('loading', 'domain'):
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
