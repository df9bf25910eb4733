"""What tools/analysis_tools/benchmark.py long-video and synth-video measure with."""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ifirvos.label_maps import write_palette_png
from ifirvos.video.reader import VideoReader

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)  # as for a script: its own folder comes first
    import benchmark_video

    yield benchmark_video
    sys.modules.pop('benchmark_video', None)


def test_a_clip_is_played_forwards_and_backwards(benchmark):
    assert benchmark.back_and_forth(4, 9).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_masks_are_compared_with_the_frame_that_was_shown(benchmark, tmp_path):
    truth = np.zeros((3, 20, 30), bool)
    for t, mask in enumerate(truth):
        mask[5:15, 8 * t : 8 * t + 10] = True
    order = benchmark.back_and_forth(3, 6)
    paths = [tmp_path / f'{number}.png' for number in range(6)]
    for path, t in zip(paths, order, strict=True):
        write_palette_png(path, truth[t])
    assert benchmark.j_and_f(truth, order, paths) == (100, 100)
    write_palette_png(paths[0], np.zeros((20, 30), bool))
    assert benchmark.j_and_f(truth, order, paths) == pytest.approx((500 / 6, 500 / 6))


def test_the_square_moves_and_never_ends(benchmark, tmp_path):
    frames = list(islice(benchmark.moving_square(500, 16, 24), 30))
    columns = [int((frame[5, :, 0] > 190).argmax()) for frame in frames]
    assert columns[:3] == [0, 1, 2]
    assert max(columns) == 24 - 4 - 1
    video = benchmark.write_video(tmp_path / 'video', frames)
    assert len(list(VideoReader(video))) == 30


def test_the_clip_has_a_sentence_of_every_kind(benchmark):
    clip = benchmark.clip_with_all_kinds(0)
    assert {expression.kind for expression in clip.expressions} >= set(benchmark.KINDS)
    assert int(clip.video_id.split('_')[1]) >= benchmark.FIRST_INDEX


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_video(benchmark, tmp_path):
    """tools/infer.py on 200 and on 10,000 frames, each in a process of its own: at most 1.2 times the memory."""
    peaks = []
    for number in (200, 10_000):
        video = benchmark.write_video(tmp_path / f'{number}', benchmark.moving_square(number, 48, 72))
        peak, _ = benchmark.infer_peak(video, ['the red square'], tmp_path / f'out{number}', ['--save=rle,csv'])
        peaks.append(peak)
        assert len((tmp_path / f'out{number}' / 'the-red-square' / 'frames.csv').read_text().splitlines()) == number + 1
    assert peaks[1] < 1.2 * peaks[0], peaks
