"""Many videos: each once, by several processes, whatever happens to one of them or to the run."""

import csv
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest

from ifirvos.errors import OutputExistsError, VideoError
from ifirvos.inference.manifest import Job, read_manifest
from ifirvos.inference.many_videos import SUMMARY, do_job, is_done, record_of, run_jobs, write_summary
from ifirvos.video.writer import VideoWriter

MADE_WITH = dict(weights='w.pth')


class Fake:
    """Stands for the model: writes down that it had a video, breaks on some, dies on others."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, number):
        return self.segment

    def segment(self, job, folder, overwrite):
        with self.log.open('a') as file:
            file.write(f'{job.name}\n')
        if 'broken' in job.video:
            raise VideoError(f'{job.video} is broken.')
        if 'deadly' in job.video:
            os.kill(os.getpid(), signal.SIGKILL)
        return dict(frames=3, mean_score=0.5, problem=None)


def job(name, *sentences, **options):
    return Job(name, f'{name}.mp4', sentences or ('a cat',), **options)


def test_what_is_done_stays_done_and_what_failed_is_tried_again(tmp_path):
    fake = Fake(tmp_path / 'log')
    jobs = [job('one'), job('broken'), job('two')]
    for _ in range(2):
        for one in jobs:
            do_job(fake.segment, one, tmp_path, MADE_WITH, False)
    assert fake.log.read_text().split() == ['one', 'broken', 'two', 'broken']
    assert record_of(tmp_path, jobs[0])['frames'] == 3
    assert record_of(tmp_path, jobs[1])['error'] == 'VideoError: broken.mp4 is broken.'
    do_job(fake.segment, jobs[0], tmp_path, MADE_WITH, True)
    assert fake.log.read_text().split()[-1] == 'one', '--overwrite'


@pytest.mark.parametrize('content', ['', '[]', '{"fps": 25}'])
def test_a_file_that_is_no_record_of_ours_is_left_alone(tmp_path, content):
    (tmp_path / 'one').mkdir()
    (tmp_path / 'one/video.json').write_text(content)
    for overwrite in (False, True):
        record = do_job(Fake(tmp_path / 'log').segment, job('one'), tmp_path, MADE_WITH, overwrite)
        assert record['status'] == 'failed'
        assert 'is not the record of a video' in record['error']
    assert (tmp_path / 'one/video.json').read_text() == content


def test_a_path_that_is_no_text_takes_no_other_video_with_it(tmp_path):
    do_job(Fake(tmp_path / 'log').segment, job('one'), tmp_path, dict(weights='mod\udce9le.pth'), False)
    assert record_of(tmp_path, job('one'))['settings']['weights'] == 'mod\udce9le.pth'


@pytest.mark.parametrize('changed', [(job('one', 'a dog'), MADE_WITH), (job('one'), dict(weights='other.pth'))])
def test_what_was_made_with_something_else_is_neither_taken_nor_replaced(changed, tmp_path):
    fake = Fake(tmp_path / 'log')
    do_job(fake.segment, job('one'), tmp_path, MADE_WITH, False)
    before = record_of(tmp_path, job('one'))
    with pytest.raises(OutputExistsError, match='was made with other settings .(sentences|weights).; pass --overwrite'):
        is_done(tmp_path, *changed)
    assert do_job(fake.segment, *changed[:1], tmp_path, changed[1], False)['status'] == 'failed'
    assert record_of(tmp_path, job('one')) == before
    (row,) = write_summary(tmp_path, changed[:1], changed[1])
    assert (row['status'], row['frames']) == ('failed', None), 'what is there is not what was asked for'
    assert 'was made with other settings' in row['note']


def test_a_killed_run_s_leftovers_go(tmp_path):
    (tmp_path / 'one' / '.unfinished-x' / 'a-cat').mkdir(parents=True)
    do_job(Fake(tmp_path / 'log').segment, job('one'), tmp_path, MADE_WITH, False)
    assert not (tmp_path / 'one' / '.unfinished-x').exists()


def test_a_video_that_another_process_has_is_left_to_it(tmp_path):
    from ifirvos.inference.many_videos import _claimed

    fake = Fake(tmp_path / 'log')
    with _claimed(tmp_path / 'one'):
        assert do_job(fake.segment, job('one'), tmp_path, MADE_WITH, False) is None
    assert not fake.log.exists()


def test_what_the_command_line_says_reaches_reader_and_writer(tmp_path, monkeypatch):
    """``--style``, and how videos are read; they are part of what a finished video was made with."""
    from ifirvos.inference import many_videos
    from ifirvos_cli.infer import inferencer_options, parse_args
    from ifirvos_cli.many_videos import run_manifest

    (tmp_path / 'videos.csv').write_text('video,sentences\na.mp4,a cat\n')
    line = ['--manifest', str(tmp_path / 'videos.csv'), '--out', str(tmp_path / 'out'), '--style', 'paint']
    args = parse_args([*line, '--deinterlace', '--timeout', '7', '--save', 'csv'])
    asked = {}
    monkeypatch.setattr(many_videos, 'run_jobs', lambda *given, **options: asked.update(given=given))
    run_manifest(args, inferencer_options(args))
    (one,), worker, _, made_with = asked['given']
    assert (made_with['style'], made_with['deinterlace']) == ('paint', True)

    class Stop(Exception):
        pass

    def stop_at_writer(*_, **options):
        asked.update(style=options['style'])
        raise Stop

    monkeypatch.setattr('ifirvos.video.reader.VideoReader', lambda video, **options: asked.update(options))
    monkeypatch.setattr('ifirvos.inference.writers.ResultWriter', stop_at_writer)
    worker.inferencer = SimpleNamespace(about=lambda threshold: {})
    with pytest.raises(Stop):
        worker.segment(one, tmp_path / 'one', False)
    assert (asked['style'], asked['deinterlace'], asked['timeout']) == ('paint', True, 7)


@pytest.mark.parametrize(('own', 'used'), [(None, 0.2), (0.7, 0.7), (0.0, 0.0)])
def test_options_of_a_row_count_before_those_of_the_command(own, used, tmp_path, monkeypatch):
    from ifirvos.inference.many_videos import ModelWorker

    thresholds, reading = [], {}

    def read(video, **options):
        reading.update(options)
        return MagicMock()

    monkeypatch.setattr('ifirvos.video.reader.VideoReader', read)
    monkeypatch.setattr('ifirvos.inference.writers.ResultWriter', MagicMock())
    worker = ModelWorker({}, ['csv'], score_threshold=0.2)
    worker.inferencer = SimpleNamespace(
        about=lambda threshold: thresholds.append(threshold) or {},
        stream=lambda *_, score_threshold: thresholds.append(score_threshold) or [],
    )
    worker.segment(job('one', fps=12.0, max_frames=7, score_threshold=own), tmp_path, True)
    assert thresholds == [used, used]
    assert reading == dict(fps=12.0, max_frames=7)


def test_where_there_are_no_locks_or_a_link_stands(tmp_path, monkeypatch):
    fake, linked = Fake(tmp_path / 'log'), tmp_path / 'elsewhere'
    linked.mkdir()
    (tmp_path / 'two').symlink_to(linked)
    monkeypatch.setattr(fcntl, 'flock', Mock(side_effect=OSError(errno.ENOSYS, 'no locks')))
    assert do_job(fake.segment, job('one'), tmp_path, MADE_WITH, False)['status'] == 'done'
    record = do_job(fake.segment, job('two'), tmp_path, MADE_WITH, True)
    assert (record['status'], 'two is a link' in record['error']) == ('failed', True)
    assert list(linked.iterdir()) == []


def test_the_limit_of_sentences_holds_for_manifests(tmp_path, monkeypatch):
    from ifirvos_cli import infer, many_videos

    (tmp_path / 'videos.csv').write_text('video,sentences\na.mp4,a cat\n')
    seen = []
    monkeypatch.setenv('IFIRVOS_MAX_SENTENCES', '5')  # so that it is as before afterwards
    monkeypatch.setattr(many_videos, 'run_manifest', lambda *_: seen.append(os.environ['IFIRVOS_MAX_SENTENCES']) or 0)
    assert infer.main(['--manifest', str(tmp_path / 'videos.csv'), '--out', 'out', '--max-sentences', '2']) == 0
    assert seen == ['2']


def test_passwords_are_in_no_file(tmp_path):
    address = 'rtsp://admin:secret@10.0.0.5:554/live'
    (tmp_path / 'videos.csv').write_text(f'video,sentences\n{address},a cat\nrtsp://admin:secret@10.0.0.5:554,a cat\n')
    jobs = read_manifest(tmp_path / 'videos.csv')
    assert jobs[0].video == address, 'it is needed to open it'
    for one in jobs:
        do_job(Fake(tmp_path / 'log').segment, one, tmp_path / 'out', MADE_WITH, False)
    write_summary(tmp_path / 'out', jobs, MADE_WITH)
    for path in (tmp_path / 'out').rglob('*'):
        assert 'secret' not in str(path)
        assert path.is_dir() or 'secret' not in path.read_text()


def test_a_run_goes_on_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / 'lists').mkdir()
    (tmp_path / 'lists/videos.csv').write_text('video,sentences\na.mp4,a cat\n')
    monkeypatch.chdir(tmp_path)
    (first,) = read_manifest('lists/videos.csv')
    do_job(Fake(tmp_path / 'log').segment, first, tmp_path / 'out', MADE_WITH, False)
    monkeypatch.chdir(tmp_path / 'lists')
    (again,) = read_manifest('videos.csv')
    assert is_done(tmp_path / 'out', again, MADE_WITH)


def test_results_of_sentences_that_the_manifest_no_longer_has_go(tmp_path, monkeypatch):
    """But nothing else in the folder of a video."""
    from ifirvos.inference.many_videos import ModelWorker

    with VideoWriter(tmp_path / 'one.mp4', 8) as writer:
        writer.write(np.zeros((32, 48, 3), np.uint8))
    folder = tmp_path / 'one'
    for name in ('a-cat', 'a-dog', 'own'):
        (folder / name).mkdir(parents=True)
    for name in ('a-cat', 'a-dog'):
        (folder / name / 'result.json').write_text('{}')
    worker = ModelWorker({}, ['csv'])
    worker.inferencer = SimpleNamespace(about=lambda threshold: {}, stream=lambda *_, **__: [])
    monkeypatch.setattr('ifirvos.inference.writers.ResultWriter', MagicMock())
    worker.segment(Job('one', str(tmp_path / 'one.mp4'), ('a cat',)), folder, True)
    assert sorted(path.name for path in folder.iterdir()) == ['a-cat', 'own']


def test_videos_that_are_not_there_are_said_before_the_first(tmp_path, monkeypatch, capsys):
    from ifirvos.inference import many_videos
    from ifirvos_cli.infer import inferencer_options, parse_args
    from ifirvos_cli.many_videos import run_manifest

    (tmp_path / 'here.mp4').touch()
    rows = ['here.mp4', 'gone.mp4', 'http://127.0.0.1:9/a.mp4', 'away.mp4']
    (tmp_path / 'videos.csv').write_text('\n'.join(['video,sentences', *(f'{row},a cat' for row in rows)]))
    monkeypatch.setattr(many_videos, 'run_jobs', lambda *_, **__: sys.stderr.write('begins'))
    args = parse_args(['--manifest', str(tmp_path / 'videos.csv'), '--out', str(tmp_path / 'out')])
    run_manifest(args, inferencer_options(args))
    said = capsys.readouterr().err.split('begins')[0]
    assert f'2 videos are not there, and will fail: {tmp_path}/gone.mp4 first' in said


def test_weights_that_were_trained_on_under_their_name_are_others(tmp_path, monkeypatch):
    from ifirvos.inference import many_videos
    from ifirvos_cli.infer import inferencer_options, parse_args
    from ifirvos_cli.many_videos import run_manifest

    (tmp_path / 'videos.csv').write_text('video,sentences\nhttp://127.0.0.1:9/a.mp4,a cat')
    made = []
    monkeypatch.setattr(many_videos, 'run_jobs', lambda *given, **_: made.append(given[3]))
    for content in (b'before', b'after'):
        (tmp_path / 'w.pth').write_bytes(content)
        line = ['--manifest', str(tmp_path / 'videos.csv'), '--out', str(tmp_path / 'out')]
        args = parse_args([*line, '--weights', str(tmp_path / 'w.pth')])
        run_manifest(args, inferencer_options(args))
    assert made[0]['weights'] == made[1]['weights']
    assert made[0] != made[1]


@pytest.mark.slow
def test_a_worker_that_dies_takes_one_video_with_it(tmp_path):
    names = ['a', 'b', 'deadly', 'c', 'broken', 'd', 'e']
    jobs, seen = [job(name) for name in names], {}
    run_jobs(
        jobs,
        Fake(tmp_path / 'log'),
        tmp_path,
        MADE_WITH,
        workers=2,
        finished=lambda one, record: seen.update({one.name: record['status']}),
    )
    assert sorted((tmp_path / 'log').read_text().split()) == sorted(names)
    assert seen == {name: 'failed' if name in ('deadly', 'broken') else 'done' for name in names}
    assert 'signal 9' in record_of(tmp_path, job('deadly'))['error']
    rows = write_summary(tmp_path, [*jobs, job('later')], MADE_WITH)
    assert [row['status'] for row in rows] == [*(seen[name] for name in names), 'not done']
    with (tmp_path / SUMMARY).open() as file:
        assert [row['name'] for row in csv.DictReader(file)] == [*names, 'later']


ROOT = Path(__file__).parents[2]


def write_clips(folder: Path, number: int) -> Path:
    """Small moving squares; one of the files is no video."""
    folder.mkdir()
    rows = []
    for clip in range(number):
        path = folder / f'clip{clip:02d}.mp4'
        rows.append([path.name, f'the square {clip % 3};a red thing'])
        if clip == 7:
            path.write_bytes(b'not a video' * 99)
            continue
        with VideoWriter(path, 8) as writer:
            for t in range(6):
                frame = np.full((64, 96, 3), 90, np.uint8)
                frame[10:30, 5 * t : 5 * t + 20] = 250, 20, 20
                writer.write(frame)
    with (folder / 'videos.csv').open('w', newline='') as file:
        csv.writer(file).writerows([['video', 'sentences'], *rows])
    return folder / 'videos.csv'


@pytest.mark.slow
def test_thirty_clips_two_processes_one_broken_one_killed_run(tmp_path):
    """The real command and the shipped weights; the run is killed with signal 9 when some videos are done."""
    manifest, out = write_clips(tmp_path / 'clips', 30), tmp_path / 'out'
    command = [sys.executable, '-m', 'ifirvos_cli', 'infer', '--manifest', str(manifest), '--out', str(out)]
    command += ['--workers', '2', '--save', 'csv,rle', '--device', 'cpu']
    env = {**os.environ, 'PYTHONPATH': f'{ROOT}:{os.environ.get("PYTHONPATH", "")}'}
    run = subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    began = time.monotonic()
    while len(list(out.glob('*/video.json'))) < 4:
        assert run.poll() is None, run.stderr.read()[-3000:]
        assert time.monotonic() - began < 500
        time.sleep(0.2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    time.sleep(3)  # the workers see that their parent is gone
    done = {path.parent.name: path.stat().st_mtime_ns for path in out.glob('*/video.json')}
    assert 4 <= len(done) < 30

    again = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 1, again.stderr[-3000:]
    assert again.stderr.count('failed: ') == 1
    assert 'clip07.mp4' in again.stderr
    for name, when in done.items():
        if name != 'clip07':
            assert (out / name / 'video.json').stat().st_mtime_ns == when, 'each video once'
    with (out / SUMMARY).open() as file:
        rows = list(csv.DictReader(file))
    assert [row['status'] for row in rows] == ['failed' if i == 7 else 'done' for i in range(30)]
    for row in rows:
        folders = sorted(path.name for path in (out / row['name']).iterdir() if path.is_dir())
        if row['status'] == 'done':
            number = int(row['name'][4:])
            assert folders == ['a-red-thing', f'the-square-{number % 3}']
            assert row['frames'] == '6'
            record = json.loads((out / row['name'] / 'a-red-thing' / 'result.json').read_text())
            assert len(record['frames']) == 6
        else:
            assert folders == []
    last = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert last.returncode == 1
    assert last.stdout.count('failed') >= 1
