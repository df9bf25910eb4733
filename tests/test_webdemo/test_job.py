"""What the web page does with a request, without Gradio: limits, results, and nothing left of what fails."""

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifirvos import RVOSInferencer
from ifirvos.clip_score import clip_score
from ifirvos.errors import InputError, OutputError, VideoError
from ifirvos.synth import draw_frames, make_clip
from ifirvos.testing import shrink
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter, video_suffix
from ifirvos.webdemo.job import Limits, frame_at, open_video, read_sentences, run_job
from ifirvos_cli.web import parse_args

CONFIG = Path(__file__).parents[2] / 'configs/ifirvos/r18_synth.py'
LIMITS = Limits(megabytes=1, seconds=3, frames=20, pixels=100 * 100, sentences=2, characters=30)


@pytest.fixture(scope='module')
def inferencer():
    return RVOSInferencer(shrink(CONFIG), device='cpu', show_progress=False)


def write_video(path, num_frames=12, fps=8, size=(48, 72)):
    clip = make_clip(0, 'valid', 3, size, max(num_frames, 12))
    with VideoWriter(path, fps) as writer:
        for frame in list(draw_frames(clip.facts.scene))[:num_frames]:
            writer.write(frame[..., ::-1])
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('web') / f'clip{video_suffix()}')


def test_results_of_two_sentences(inferencer, video, tmp_path):
    done = []
    texts = ['the <b>red</b> star', 'the circle']
    job = run_job(inferencer, video, texts, tmp_path / 'job', LIMITS, lambda *args: done.append(args))
    assert done[0] == (0, 12)
    assert done[-1] == (12, 12)
    assert job.texts == tuple(texts)
    assert [len(list(VideoReader(path))) for path in job.overlays] == [12, 12]
    np.testing.assert_allclose(job.times, np.arange(12) / 8, atol=1e-3)
    assert [len(scores) for scores in job.scores] == [12, 12]
    assert job.note == ''
    with zipfile.ZipFile(job.archive) as archive:
        names = archive.namelist()
        assert sorted({name.split('/')[0] for name in names}) == ['sentences.txt', 'the-b-red-b-star', 'the-circle']
        assert sum(name.endswith('.png') for name in names) == 24
        mask = np.asarray(Image.open(io.BytesIO(archive.read('the-circle/masks/00011.png'))))
        assert mask.shape == (48, 72)
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open('the-circle/frames.csv'), 'utf-8')))
        np.testing.assert_allclose([float(row['score']) for row in rows], job.scores[1], atol=1e-5)
        everything = b''.join(map(archive.read, names))
    assert str(tmp_path).encode() not in everything
    assert video.name.encode() not in everything
    job.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_visitor_is_told_what_the_shipped_model_cannot_know(inferencer, video, tmp_path, monkeypatch):
    monkeypatch.setattr(inferencer, 'model_name', 'r18_synth')
    for text, says in {'the dog': "it has never read 'dog' in 'the dog'", 'the red star': ''}.items():
        note = run_job(inferencer, video, [text], tmp_path / text, LIMITS, lambda *_: None).note
        assert says in note
        assert bool(note) == bool(says)


def test_the_visitor_is_told_what_probably_fits_nothing(inferencer, video, tmp_path, monkeypatch):
    monkeypatch.setattr('ifirvos.inference.absence.clip_threshold_of', lambda model: 1.0)
    job = run_job(inferencer, video, ['the red star'], tmp_path / 'job', LIMITS, lambda *_: None)
    assert job.note == f"Probably nothing in the video fits 'the red star' (score {clip_score(job.scores[0]):.2f})."


def test_any_frame_of_an_overlay(tmp_path):
    """Also one behind the first key frame, and the last."""
    path, fps = tmp_path / f'v{video_suffix()}', 25
    with VideoWriter(path, fps) as writer:
        for t in range(60):
            writer.write(np.full((32, 32, 3), 4 * t, np.uint8))
    for t in (0, 1, 30, 59):
        assert abs(int(frame_at(path, t / fps).mean()) - 4 * t) <= 2


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'at least one sentence'),
        (' \n\t\n', 'at least one sentence'),
        ('a\nb\nc', 'These are 3 sentences; this page takes up to 2'),
        ('ok\n' + 'x' * 5000, 'Sentence 2 has 5000 characters; this page takes up to 30'),
    ],
)
def test_sentences_that_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_sentences(text, LIMITS)


def test_sentences_are_lines():
    assert read_sentences(' the  red star \n\n<img src=x>\r\n', LIMITS) == ['the red star', '<img src=x>']


def refused(path, limits=LIMITS):
    with pytest.raises((ValueError, VideoError)) as info:
        open_video(path, limits)
    return str(info.value)


def test_videos_that_are_refused(video, tmp_path):
    assert open_video(video, LIMITS)
    assert 'Choose a video' in refused(Path(''))
    assert 'Choose a video' in refused(tmp_path), 'a folder of frames is for the shell'
    assert 'Choose a video' in refused(Path('http://localhost/clip.mp4'))
    large = tmp_path / 'large.mp4'
    large.write_bytes(b'0' * 1_100_000)
    assert '1 MB; this page takes up to 1' in refused(large)
    assert 'The video has 12 frames' in refused(video, Limits(frames=11))
    slow = write_video(tmp_path / f'slow{video_suffix()}', 12, 1)
    assert 'is 12 seconds long; this page takes up to 3' in refused(slow)
    assert '72x48; this page takes up to 2000 pixels' in refused(video, Limits(pixels=2000))


def test_a_text_file_is_refused_without_naming_our_folder(inferencer, tmp_path):
    path = tmp_path / 'notes.mp4'
    path.write_text('This is not a video.\n' * 50)
    with pytest.raises(ValueError, match='The file') as info:
        run_job(inferencer, path, ['a star'], tmp_path / 'job', LIMITS, lambda *args: None)
    assert str(tmp_path) not in str(info.value)
    assert not (tmp_path / 'job').exists()


def test_a_full_disk_is_told_without_naming_our_folder(inferencer, video, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OutputError(f'{tmp_path}/jobs/x cannot be written: No space left on device.')

    monkeypatch.setattr('ifirvos.webdemo.job.ResultWriter', full)
    with pytest.raises(InputError, match='cannot write the result') as told:
        run_job(inferencer, video, ['a'], tmp_path / 'job', Limits(), lambda *_: None)
    assert str(tmp_path) not in str(told.value)


def test_a_file_that_hides_its_length_is_stopped_on_the_way(inferencer, video, tmp_path, monkeypatch):
    """As a stream without a header is."""
    from ifirvos.webdemo import job

    limits = Limits(frames=5)
    reader = VideoReader(video, max_frames=limits.frames + 1)
    reader.num_frames = None
    monkeypatch.setattr(job, 'open_video', lambda path, limits: reader)
    with pytest.raises(ValueError, match='longer than'):
        run_job(inferencer, video, ['a star'], tmp_path / 'job', limits, lambda *args: None)
    assert not (tmp_path / 'job').exists()


def test_a_user_who_leaves_leaves_nothing(inferencer, video, tmp_path):
    def leave(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(inferencer, video, ['a star'], tmp_path / 'job', LIMITS, leave)
    assert not (tmp_path / 'job').exists()


def test_a_damaged_tail_is_noted(inferencer, tmp_path, video):
    data = video.read_bytes()
    path = tmp_path / video.name
    path.write_bytes(data[: len(data) * 2 // 3])
    job = run_job(inferencer, path, ['a star'], tmp_path / 'job', LIMITS, lambda *args: None)
    assert 0 < len(job.times) < 12
    assert re.match(r'The file', job.note)
    assert str(tmp_path) not in job.note


def test_only_this_machine_unless_told_otherwise():
    args = parse_args([])
    assert (args.host, args.port, args.max_seconds) == ('127.0.0.1', None, 60)
    assert parse_args(['--host', '0.0.0.0']).host == '0.0.0.0'
    with pytest.raises(SystemExit):
        parse_args(['--max-frames', '0'])
