"""A full disk and a folder that may not be written to: one line with the file, nothing lost, and a rerun finishes."""

import errno
import os
import resource
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from faults import error_in_child, open_folder, read_only, small_disk, without_rights
from writers_of_all import WORKS

from ifirvos_cli import synth

LEFT = dict(checkpoints=1024, submission=32, results=48, ablation_tables=0)  # KiB
names = pytest.mark.parametrize('make', WORKS, ids=lambda make: make.__name__)


def fill(disk: Path, left: int) -> Path:
    """Fill a disk but for so many KiB; returns the file that takes the room."""
    room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 1024 * left
    filler = disk / 'filler'
    filler.write_bytes(bytes(max(0, room)))
    return filler


@pytest.mark.slow
@names
def test_a_full_disk(make):
    with small_disk(16 * 1024) as disk:
        work = make(disk / 'work')
        (disk / 'work').mkdir()
        filler = fill(disk, LEFT[make.__name__])
        error = error_in_child(work.write)
        assert error.startswith('OutputError: '), error
        assert f'{disk}/work' in error
        assert error.endswith('.')
        work.check()
        filler.unlink()
        assert error_in_child(work.write) == ''
        work.check()
        assert work.is_done()
        filler = fill(disk, LEFT[make.__name__])
        before = {path: path.read_bytes() for path in (disk / 'work').rglob('*') if path.is_file()}
        error = error_in_child(work.write)
        assert error.startswith('OutputError: '), error
        work.check()
        assert before
        after = {path: path.read_bytes() for path in (disk / 'work').rglob('*') if path.is_file()}
        assert work.is_done() or make.__name__ == 'submission'
        assert {path: after.get(path) for path in before} == before, 'what was complete is still there'


@names
def test_a_file_that_may_not_grow(make, tmp_path):
    """The same without a disk of its own: a limit of the process on the size of its files."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    work = make(tmp_path / 'work')
    (tmp_path / 'work').mkdir()
    error = error_in_child(work.write, limit)
    assert error.startswith('OutputError: '), error
    assert f'{tmp_path}/work' in error
    assert os.strerror(errno.EFBIG) in error or 'the disk is full' in error
    work.check()
    assert error_in_child(work.write) == ''
    assert work.is_done()


@names
def test_a_read_only_folder(make):
    with open_folder() as folder:
        work = make(folder / 'work')
        (folder / 'work').mkdir()
        with read_only(folder / 'work'):
            error = error_in_child(work.write, without_rights)
        assert error.startswith('OutputError: '), error
        assert f'{folder}/work' in error
        assert os.strerror(errno.EACCES) in error
        assert list((folder / 'work').iterdir()) == []
        assert error_in_child(work.write) == ''
        before = {path: path.read_bytes() for path in (folder / 'work').rglob('*') if path.is_file()}
        with ExitStack() as stack:
            for path in [folder / 'work', *(folder / 'work').rglob('*')]:
                if path.is_dir():
                    stack.enter_context(read_only(path))
            assert 'OutputError: ' in error_in_child(work.write, without_rights)
        assert before == {path: path.read_bytes() for path in (folder / 'work').rglob('*') if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_a_data_set_that_does_not_fit(workers):
    with small_disk(512) as disk:
        arguments = ['--out', str(disk / 'data'), '--splits', 'train', '--train', '4', '--workers', str(workers)]
        error = error_in_child(lambda: synth.main(arguments))
        assert error.startswith('OutputError: '), error
        assert f'{disk}/' in error
        assert 'cannot be written: ' in error
