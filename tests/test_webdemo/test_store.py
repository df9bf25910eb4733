"""Results of the page: one a session, gone when it is closed, the oldest first where a budget is reached."""

import os
import shutil
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from ifirvos.errors import InputError
from ifirvos.webdemo.job import Job
from ifirvos.webdemo.store import Store


def made(folder: Path, size: int = 1000) -> Job:
    (folder / 'masks.zip').write_bytes(bytes(size))
    return Job(folder, ('a',), (), folder / 'masks.zip', np.zeros(1), (np.zeros(1),), '')


@pytest.fixture
def folders(tmp_path):
    for name in ('jobs', 'uploads'):
        (tmp_path / name).mkdir()
    return tmp_path / 'jobs', tmp_path / 'uploads'


def test_a_session_has_its_last_result_and_none_when_it_is_closed(folders):
    store = Store(*folders, most=5, megabytes=1)
    first = store.run('s', lambda folder, check: made(folder))
    second = store.run('s', lambda folder, check: made(folder))
    assert store.get('s') is second
    assert not first.folder.exists()
    store.close('s')
    assert store.get('s') is None
    assert store.get(None) is None
    assert list(folders[0].iterdir()) == []


def test_the_oldest_go_where_there_are_too_many(folders):
    store = Store(*folders, most=3, megabytes=1)
    for number in range(10):
        store.run(str(number), lambda folder, check: made(folder))
    assert [store.get(str(number)) is not None for number in range(10)] == [False] * 7 + [True] * 3
    assert len(list(folders[0].iterdir())) == len(store) == 3


def test_the_oldest_go_where_they_are_too_large_and_uploads_after_them(folders):
    jobs, uploads = folders
    (uploads / 'example').mkdir()
    (uploads / 'example/a.mp4').write_bytes(bytes(100))
    store = Store(jobs, uploads, most=50, megabytes=1)
    for number, age in ((1, 500), (2, 400), (3, 0)):
        folder = uploads / str(number)
        folder.mkdir()
        (folder / 'clip.mp4').write_bytes(bytes(400_000))
        stamp = os.stat(jobs).st_mtime - age
        os.utime(folder, (stamp, stamp))
    for session in 'ab':
        store.run(session, lambda folder, check: made(folder, 300_000))
    assert store.get('a') is None
    assert store.get('b') is not None, 'the newest stays whatever its size'
    assert sorted(path.name for path in uploads.iterdir()) == ['3', 'example'], 'what was sent last is being used'


def test_a_request_that_is_stopped_leaves_nothing(folders):
    store = Store(*folders, most=5, megabytes=1)
    old = store.run('s', lambda folder, check: made(folder))

    def stopped(folder, check):
        (folder / 'half').touch()
        check()
        store.stop('s')
        check()

    with pytest.raises(InputError, match='Stopped'):
        store.run('s', stopped)
    assert store.get('s') is old, 'the result before it is still shown'
    assert list(folders[0].iterdir()) == [old.folder]

    def closed(folder, check):
        store.close('s')
        return made(folder)

    with pytest.raises(InputError, match='Stopped'):
        store.run('s', closed)
    assert list(folders[0].iterdir()) == []


def test_a_session_runs_one_request_at_a_time(folders):
    store = Store(*folders, most=5, megabytes=1)
    begun, go = threading.Event(), threading.Event()

    def slow(folder, check):
        begun.set()
        go.wait(20)
        return made(folder)

    thread = threading.Thread(target=store.run, args=('s', slow))
    thread.start()
    begun.wait(20)
    with pytest.raises(InputError, match='running already'):
        store.run('s', lambda folder, check: made(folder))
    go.set()
    thread.join()
    assert store.get('s') is not None


def test_what_fails_leaves_no_folder(folders):
    store = Store(*folders, most=5, megabytes=1)

    def fail(folder, check):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.run('s', fail)
    assert list(folders[0].iterdir()) == []
    store.run('s', lambda folder, check: made(folder))


def test_what_is_refused_keeps_no_uploads_beyond_the_limit(folders):
    store = Store(*folders, most=5, megabytes=1)

    def refuse(folder, check):
        raise InputError('too long')

    for number in range(4):
        upload = folders[1] / f'{number}'
        upload.mkdir()
        (upload / 'a.mp4').write_bytes(bytes(400_000))
        os.utime(upload, (number, number))  # long ago
        with pytest.raises(InputError, match='too long'):
            store.run('s', refuse)
    assert sorted(path.name for path in folders[1].iterdir()) == ['2', '3']


def test_a_folder_that_cannot_be_made_locks_nobody_out(folders, monkeypatch):
    store = Store(*folders, most=5, megabytes=1)
    folders[0].rmdir()  # a cleaner of /tmp
    store.run('s', lambda folder, check: made(folder))
    with monkeypatch.context() as patch:
        patch.setattr('tempfile.mkdtemp', Mock(side_effect=OSError(28, 'No space left on device')))
        with pytest.raises(InputError, match='cannot write the result'):
            store.run('s', lambda folder, check: made(folder))
    store.run('s', lambda folder, check: made(folder))


def test_uploads_by_hand_are_trimmed(folders):
    """Nothing tells the store of them; those of the last minute may stay, up to twice the limit."""
    store = Store(*folders, most=5, megabytes=1)
    for number in range(5):
        (folders[1] / str(number)).mkdir()
        (folders[1] / str(number) / 'a.mp4').write_bytes(bytes(900_000))
    store.trim_regularly(0.05)
    for _ in range(200):
        if len(list(folders[1].iterdir())) == 2:
            break
        time.sleep(0.05)
    assert len(list(folders[1].iterdir())) == 2
    shutil.rmtree(folders[1])  # ends the thread


def test_nothing_that_runs_is_not_stopped(folders):
    store = Store(*folders, most=5, megabytes=1)
    assert not store.stop('s')
    assert store.run('s', lambda folder, check: (check(), made(folder))[1]), 'the next request was stopped'
