"""A video through the model window by window, and what happens when memory runs out on the way."""

import json
import threading
from fractions import Fraction

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from threshold_rvos import ThresholdRVOS

from ifirvos.errors import LimitError
from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.inference.memory import BYTES_A_FEATURE_BYTE
from ifirvos.inference.results import MaskSequence
from ifirvos.video.writer import VideoWriter


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


@pytest.mark.parametrize(('link', 'lengths'), [('agreement', [3, 3]), ('independent', [3, 2])])
def test_the_last_window_is_full_where_windows_are_linked(inferencer, frames, link, lengths):
    """Independent ones are those of Ref-DAVIS17, whose last has what is left."""
    inferencer.clip_len, inferencer.overlap, inferencer.link = 3, 0, link
    list(inferencer.stream(frames, 'red'))
    assert [len(given) for given, _ in inferencer.model.calls] == lengths


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


# ---------------------------------------------------------------------- memory
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
    (window,) = inferencer.stream(frames, texts)
    for part, result in zip(window.results, results, strict=True):
        assert isinstance(part.masks, MaskSequence), 'the masks of all sentences take more than the memory'
        assert isinstance(result.masks, np.ndarray)
        np.testing.assert_array_equal(part.masks, result.masks)
    inferencer.memory = 1e-9
    inferencer.model.calls.clear()
    inferencer(frames, texts)
    assert [len(samples) for _, samples in inferencer.model.calls] == [1] * 5


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
    assert 'going on one sentence and a few frames at a time' in said[0]


def test_a_trial_of_precisions_may_run_out_of_memory_too(inferencer, frames, monkeypatch):
    trial = OutOfMemory(lambda *_: 'fp32', 1, OUT_OF_MEMORY[0])
    monkeypatch.setattr('ifirvos.inference.precision.faster_dtype', trial)
    monkeypatch.setattr('ifirvos.inference.precision.FEWEST_FRAMES', 5)
    inferencer.dtype = 'auto'
    inferencer(frames, ['red'])
    assert (trial.calls, inferencer.dtype, inferencer.smaller_parts.taken) == (2, 'fp32', True)


def test_what_auto_decides_is_in_the_results(inferencer, frames, monkeypatch, tmp_path):
    """And it may decide late: where the first window is empty, or there are few frames so far."""
    decisions = iter([None, 'bf16'])
    monkeypatch.setattr('ifirvos.inference.precision.faster_dtype', lambda *_: next(decisions))
    monkeypatch.setattr('ifirvos.inference.precision.FEWEST_FRAMES', 2)
    inferencer.dtype, inferencer.clip_len, inferencer.overlap = 'auto', 2, 0
    assert [window.dtype for window in inferencer.stream(iter(frames), ['red'])] == ['fp32', 'bf16', 'bf16']
    assert inferencer.dtype == 'bf16'
    decisions = iter([None, 'bf16'])
    inferencer.dtype = 'auto'
    inferencer(frames, 'red', out_dir=tmp_path, save=['csv', 'objects'])
    for folder in ('red', 'all_sentences'):
        assert json.loads((tmp_path / folder / 'result.json').read_text())['dtype'] == 'fp32, bf16'


def test_frames_that_were_kept_take_the_precision_that_auto_decided_on(inferencer, frames, monkeypatch):
    decisions = iter(['auto', 'bf16'])
    monkeypatch.setattr(inferencer.trials, 'decide', lambda *_: next(decisions))
    extract = inferencer.model.extract_feat
    inferencer.model.extract_feat = lambda inputs: [
        feat.bfloat16() if inferencer.dtype == 'bf16' else feat for feat in extract(inputs)
    ]
    inferencer.dtype, inferencer.clip_len, inferencer.overlap = 'auto', 3, 2
    list(inferencer.stream(iter(frames), ['red']))
    assert [given.dtype for given, _ in inferencer.model.calls] == [torch.float32, torch.bfloat16, torch.bfloat16]


def test_what_a_failed_attempt_remembered_is_forgotten(inferencer, frames, monkeypatch):
    known, forward = [], inferencer.forward

    def fail_once(feats, metas, texts, linkers, encoded):
        known.append([linker._masks for linker in linkers])
        if len(known) == 1:
            linkers[0].remember(torch.ones(5, 4, 4))
            raise OUT_OF_MEMORY[0]
        return forward(feats, metas, texts, linkers, encoded)

    monkeypatch.setattr(inferencer, 'forward', fail_once)
    inferencer(frames, ['red', 'dark'])
    assert known == [[None, None], [None], [None]]


def test_memory_that_runs_out_twice_ends_with_advice_and_other_errors_as_they_are(inferencer, frames, monkeypatch):
    forward = inferencer.forward
    monkeypatch.setattr(inferencer, 'forward', OutOfMemory(forward, 2, OUT_OF_MEMORY[1]))
    with pytest.raises(LimitError, match='even one sentence.*--clip-len'):
        inferencer(frames, ['red', 'dark'])
    monkeypatch.setattr(inferencer, 'forward', OutOfMemory(forward, 1, RuntimeError('shapes differ')))
    with pytest.raises(RuntimeError, match='shapes differ'):
        inferencer(frames, ['red'])
