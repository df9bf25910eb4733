"""Result folders: safe names, nothing overwritten unasked, nothing half-written."""

import csv
import errno
import gc
import json
import os
import signal
import time

import av
import numpy as np
import pytest
from pycocotools import mask as rle_tools

from ifirvos.errors import InputError, LimitError, OutputError, OutputExistsError, VideoError
from ifirvos.inference.folders import check_free, staged_folders
from ifirvos.inference.results import SentenceResult, WindowResult
from ifirvos.inference.sentence_files import CSV_COLUMNS, cut_out
from ifirvos.inference.writers import (
    SAVES,
    ResultWriter,
    check_saves,
    draw_window,
    write_results,
)
from ifirvos.label_maps import read_palette_png
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter


def make_video(tmp_path, num_frames=4, height=24, width=32):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 8) as writer:
        for t in range(num_frames):
            writer.write(np.full((height, width, 3), 40 * t, np.uint8))
    return VideoReader(path)


def make_result(text, num_frames=4, height=24, width=32):
    masks = np.zeros((num_frames, height, width), bool)
    for t, mask in enumerate(masks):
        mask[5:9, t : t + 6] = True
    scores = np.linspace(0.1, 0.9, num_frames, dtype=np.float32)
    return SentenceResult(text, masks, scores, np.tile(np.float32([0, 5, 6, 9]), (num_frames, 1)), query_index=2)


def test_many_sentences_raise_the_limit_of_open_files(tmp_path, monkeypatch):
    resource = pytest.importorskip('resource')
    texts = [f'thing {number}' for number in range(100)]
    folders = [tmp_path / text for text in texts]
    hard, set_to = 1000, []
    monkeypatch.setattr(resource, 'getrlimit', lambda _: (300, hard))
    monkeypatch.setattr(resource, 'setrlimit', lambda _, limits: set_to.append(limits))
    with ResultWriter(folders[:10], texts[:10], save=('rle', 'csv')):
        assert not set_to
    with ResultWriter(folders[10:], texts[10:], save=('rle', 'csv')):
        ((soft, _),) = set_to
        assert 2 * 90 < soft <= 1000
    hard = 400
    with pytest.raises(LimitError, match='allows 400'):
        ResultWriter([tmp_path / f'again {text}' for text in texts], texts, save=('rle', 'csv')).__enter__()
    assert not list(tmp_path.glob('again*'))


def test_everything_of_a_result_is_written(tmp_path):
    reader, results = make_video(tmp_path), [make_result('the star'), make_result('größer')]
    folders = [tmp_path / 'out' / name for name in ('the-star', 'grosser')]
    overlays = write_results(reader, results, folders, info=dict(weights='w.pth'))
    assert overlays == [folder / 'overlay.mp4' for folder in folders]
    assert all(len(list(VideoReader(overlay))) == 4 and VideoReader(overlay).fps == 8 for overlay in overlays)
    masks = np.stack([read_palette_png(path) for path in sorted((folders[0] / 'masks').iterdir())])
    assert (masks == results[0].masks).all()
    record = json.loads((folders[1] / 'result.json').read_text(encoding='utf-8'))
    assert record['sentence'] == 'größer'
    assert (record['width'], record['height'], record['fps'], record['num_frames']) == (32, 24, 8.0, 4)
    assert (record['weights'], record['query_index'], record['problem']) == ('w.pth', 2, None)
    assert (record['clip_score'], record['probably_absent']) == (0.9, None), 'the model is not known'
    assert [frame['score'] for frame in record['frames']] == pytest.approx(results[1].scores.tolist(), abs=1e-6)
    assert record['frames'][3]['box'] == [0, 5, 6, 9]
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['grosser', 'the-star']


def test_the_record_says_whether_the_sentence_probably_fits_nothing(tmp_path):
    results = [make_result('there'), make_result('not there')]
    results[0].scores[:], results[1].scores[:] = 0.31, 0.29
    folders = [tmp_path / 'out' / name for name in 'ab']
    write_results(make_video(tmp_path), results, folders, info=dict(absent_below=0.3))
    records = [json.loads((folder / 'result.json').read_text()) for folder in folders]
    assert [record['probably_absent'] for record in records] == [False, True]
    assert [record['clip_score'] for record in records] == pytest.approx([0.31, 0.29])


def test_a_frame_is_a_line_of_the_record(tmp_path):
    folder = tmp_path / 'out' / 'a'
    write_results(make_video(tmp_path), [make_result('a')], [folder])
    text = (folder / 'result.json').read_text(encoding='utf-8')
    frames = json.loads(text)['frames']
    assert [f'  {json.dumps(frame)}' for frame in frames] == [line.rstrip(',') for line in text.splitlines()[-6:-2]]
    assert frames[3] == dict(frame=3, time=0.375, score=0.9, present=True, box=[0, 5, 6, 9], query=2)


def test_nothing_is_overwritten_unasked(tmp_path):
    reader, folders = make_video(tmp_path), [tmp_path / 'out' / 'a']
    write_results(reader, [make_result('old')], folders)
    with pytest.raises(OutputExistsError, match='--overwrite'):
        write_results(reader, [make_result('new')], folders)
    assert json.loads((folders[0] / 'result.json').read_text())['sentence'] == 'old'
    write_results(reader, [make_result('new')], folders, overwrite=True)
    assert json.loads((folders[0] / 'result.json').read_text())['sentence'] == 'new'


def test_overwrite_replaces_only_results(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'cat.jpg').touch()
    (tmp_path / 'link').symlink_to(tmp_path / 'photos')
    for name in ('photos', 'link'):
        with pytest.raises(OutputExistsError, match='not written by this tool'):
            check_free([tmp_path / name], overwrite=True)


def test_a_stopped_run_leaves_nothing(tmp_path):
    reader = make_video(tmp_path)

    def stop_after_two(frames):
        for t, frame in enumerate(frames):
            if t == 2:
                raise KeyboardInterrupt
            yield frame

    with pytest.raises(KeyboardInterrupt):
        write_results(reader, [make_result('a')], [tmp_path / 'out' / 'a'], progress=stop_after_two)
    assert not (tmp_path / 'out').exists()


def test_a_full_disk_is_named_and_leaves_no_folder(tmp_path):
    out = tmp_path / 'new' / 'out'
    with (
        pytest.raises(OutputError, match='new/out/a cannot be written: No space left on device'),
        staged_folders([out / 'a']),
    ):
        raise OSError(errno.ENOSPC, 'No space left on device')
    assert list(tmp_path.iterdir()) == []


def test_folders_get_their_names_only_at_the_end(tmp_path):
    final = tmp_path / 'a'
    with staged_folders([final]) as (folder,):
        (folder / 'file').touch()
        assert not final.exists()
    assert [path.name for path in tmp_path.rglob('*')] == ['a', 'file']


def test_a_video_that_shrank_meanwhile(tmp_path):
    with pytest.raises(VideoError, match='changed meanwhile'):
        write_results(make_video(tmp_path), [make_result('a', num_frames=5)], [tmp_path / 'out' / 'a'])
    assert not (tmp_path / 'out').exists()


# ---------------------------------------------------------------------- streamed, and every kind of file
def windows_of(reader, results, size=3):
    """The results as the inferencer streams them."""
    frames, times = zip(*reader.timed(), strict=True)
    for start in range(0, len(frames), size):
        part = slice(start, start + size)
        parts = [result.part(start, min(start + size, len(frames))) for result in results]
        yield WindowResult(start, list(frames[part]), list(times[part]), parts)


def write_streamed(tmp_path, results, **options):
    reader, folders = make_video(tmp_path), [tmp_path / 'out' / result.text for result in results]
    with ResultWriter(folders, [result.text for result in results], reader, **options) as writer:
        for window in windows_of(reader, results):
            writer.write(window)
    return folders


def test_streamed_and_written_at_once_are_the_same_files(tmp_path):
    results = [make_result('a'), make_result('b')]
    streamed = write_streamed(tmp_path, results)
    at_once = [tmp_path / 'again' / name for name in 'ab']
    write_results(make_video(tmp_path), results, at_once)
    for one, other in zip(streamed, at_once, strict=True):
        files = sorted(path.relative_to(one) for path in one.rglob('*') if path.is_file())
        assert files == sorted(path.relative_to(other) for path in other.rglob('*') if path.is_file())
        differing = [file for file in files if (one / file).read_bytes() != (other / file).read_bytes()]
        assert [file for file in differing if file.suffix != '.mp4'] == []
        assert len(list(VideoReader(one / 'overlay.mp4'))) == 4


def test_only_what_is_asked_for_is_written(tmp_path):
    (folder,) = write_streamed(tmp_path, [make_result('a')], save=('csv', 'cutout'))
    assert sorted(path.name for path in folder.iterdir()) == ['cutout.webm', 'frames.csv', 'result.json']
    record = json.loads((folder / 'result.json').read_text())
    assert (record['overlay'], record['masks']) == (None, None)
    assert check_saves('csv') == ('csv',)
    with pytest.raises(InputError, match=f"'mask'; choose of {', '.join(SAVES)}"):
        ResultWriter([tmp_path / 'a'], ['a'], save=('mask',))


def test_rles_and_table_hold_the_result(tmp_path):
    result = make_result('a "quoted" star')
    present = np.array([True, True, False, True])
    result.masks[2] = False
    result = SentenceResult(result.text, result.masks, result.scores, result.boxes, 2, present)
    reader, folder = make_video(tmp_path), tmp_path / 'out' / 'a'
    write_results(reader, [result], [folder])
    (entry,) = json.loads((folder / 'masks.json').read_text(encoding='utf-8'))
    assert entry['sentence'] == result.text
    assert entry['score'] == pytest.approx(result.scores.mean(), abs=1e-6)
    assert entry['segmentations'][2] is None
    for t in (0, 1, 3):
        assert (rle_tools.decode(entry['segmentations'][t]) == result.masks[t]).all()
    with (folder / 'frames.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [int(row['frame']) for row in rows] == [0, 1, 2, 3]
    assert [float(row['time']) for row in rows] == [0, 0.125, 0.25, 0.375]
    assert [float(row['score']) for row in rows] == pytest.approx(result.scores.tolist(), abs=1e-6)
    assert [int(row['present']) for row in rows] == [1, 1, 0, 1]
    assert [int(row['area']) for row in rows] == [24, 24, 0, 24]
    assert [float(rows[1][key]) for key in ('x1', 'y1', 'x2', 'y2')] == [0, 5, 6, 9]
    frames = json.loads((folder / 'result.json').read_text())['frames']
    assert [frame['present'] for frame in frames] == present.tolist()


def test_a_cut_out_is_the_object_on_transparency(tmp_path):
    frame, mask = np.full((24, 32, 3), 200, np.uint8), np.zeros((24, 32), bool)
    mask[8:16, 8:16] = True
    picture = cut_out(frame, mask)
    assert (picture[mask] == (200, 200, 200, 255)).all()
    assert (picture[~mask][:, 3] == 0).all()
    assert (picture[0] == 0).all(), 'what is hidden is not in the file either'
    (folder,) = write_streamed(tmp_path, [make_result('a')], save=('cutout',))
    decoder = av.CodecContext.create('libvpx-vp9', 'r')
    with av.open(str(folder / 'cutout.webm')) as container:
        back = [f.to_ndarray(format='rgba') for p in container.demux(video=0) for f in decoder.decode(p)]
    opaque = np.stack(back)[..., 3] > 127
    assert (opaque == make_result('a').masks).mean() > 0.97


def test_without_an_encoder_a_cut_out_is_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr('ifirvos.inference.sentence_files.has_encoder', lambda name: False)
    (folder,) = write_streamed(tmp_path, [make_result('a')], save=('cutout',))
    assert sorted(path.name for path in (folder / 'cutout').iterdir()) == [f'{t:05d}.png' for t in range(4)]


def test_the_overlay_keeps_variable_times_and_draws_what_draw_window_draws(tmp_path):
    times = [0, 0.1, 0.5, 1.5]
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for t, moment in enumerate(times):
            writer.write(np.full((48, 64, 3), 40 * t, np.uint8), moment)
    reader, result = VideoReader(tmp_path / 'clip.mp4'), make_result('a', height=48, width=64)
    write_results(reader, [result], [tmp_path / 'out' / 'a'], save=['overlay'])
    overlay = VideoReader(tmp_path / 'out' / 'a' / 'overlay.mp4')
    assert [float(moment) for _, moment in overlay.timed()] == pytest.approx(times, abs=1e-3)
    (window,) = windows_of(reader, [result], size=4)
    (drawn,) = draw_window(window)
    assert drawn.shape == (4, 48, 64, 3)
    assert np.abs(drawn.astype(int) - np.stack(list(overlay))).mean() < 6


def test_a_killed_run_leaves_nothing_under_a_final_name(tmp_path):
    """SIGKILL, which no code of ours sees, in the middle of writing; then the same run again."""
    reader, result = make_video(tmp_path), make_result('a')
    out = tmp_path / 'out'
    child = os.fork()
    if child == 0:
        gc.disable()  # decoders of other tests would wait for threads that a fork leaves behind
        with ResultWriter([out / 'a'], ['a'], reader, save=SAVES) as writer:
            window = next(windows_of(reader, [result]))
            writer.write(window)
            (tmp_path / 'halfway').touch()
            time.sleep(60)
        os._exit(1)
    deadline = time.monotonic() + 30
    while not (tmp_path / 'halfway').exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = out.iterdir()
    assert left.name.startswith('.unfinished-')
    assert (left / 'a' / 'masks' / '00002.png').is_file(), 'it was in the middle'
    write_results(reader, [result], [out / 'a'])
    assert (out / 'a' / 'result.json').is_file()


@pytest.mark.parametrize('failing', ['a', 'b'])
def test_results_that_cannot_be_replaced_are_still_there(tmp_path, monkeypatch, failing):
    finals = [tmp_path / name for name in 'abc']
    for final in finals[:2]:
        final.mkdir()
        (final / 'result.json').write_text('old')
    replace = os.replace

    def fail(source, target):
        if target == tmp_path / failing and not str(source).endswith('.old'):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, 'replace', fail)
    replacing = staged_folders(finals, overwrite=True)
    for folder in replacing.__enter__():
        (folder / 'result.json').write_text('new')
    with pytest.raises(KeyboardInterrupt):
        replacing.__exit__(None, None, None)
    assert {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob('*.json')} == {
        'a/result.json': 'old',
        'b/result.json': 'old',
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a', 'b']
