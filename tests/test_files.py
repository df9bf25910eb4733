"""Files are whole or not there."""

import errno
import os

import pytest

from ifirvos.errors import OutputError
from ifirvos.files import check_file, check_folder, csv_text, make_folder, unfinished, write_whole, written_whole


def test_text_and_bytes_make_their_folder(tmp_path):
    write_whole(tmp_path / 'a/b.txt', 'ü\r\n')
    assert (tmp_path / 'a/b.txt').read_bytes() == 'ü\r\n'.encode()
    write_whole(tmp_path / 'a/b.txt', b'\0')
    assert (tmp_path / 'a/b.txt').read_bytes() == b'\0'
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['b.txt']


@pytest.mark.parametrize('sync', [True, False])
def test_what_was_there_stays_when_writing_fails(tmp_path, sync):
    path = tmp_path / 'a.txt'
    path.write_text('before')

    def stopped_half_way():
        with written_whole(path, sync) as part:
            assert part == unfinished(path)
            part.write_text('half')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_half_way()
    assert path.read_text() == 'before'
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_at_the_place_of_the_unfinished_file_is_not_followed(tmp_path):
    (tmp_path / 'mine').write_text('mine')
    unfinished(tmp_path / 'a').symlink_to(tmp_path / 'mine')
    write_whole(tmp_path / 'a', 'new')
    assert (tmp_path / 'mine').read_text() == 'mine'
    assert (tmp_path / 'a').read_text() == 'new'
    assert not (tmp_path / 'a').is_symlink()


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_the_system_refuses_names_the_file(tmp_path, code):
    with (
        pytest.raises(OutputError, match=f'{tmp_path}/a cannot be written: {os.strerror(code)}'),
        written_whole(tmp_path / 'a'),
    ):
        raise OSError(code, 'no')
    assert list(tmp_path.iterdir()) == []


def test_only_torchs_own_error_of_writing_is_one(tmp_path):
    with pytest.raises(OutputError, match='the disk is full'), written_whole(tmp_path / 'a'):
        raise RuntimeError('[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/0')
    with pytest.raises(RuntimeError, match='another'), written_whole(tmp_path / 'a'):
        raise RuntimeError('another')


def test_the_name_appears_at_the_end(tmp_path):
    with written_whole(tmp_path / 'a.txt') as part:
        part.write_text('whole')
        assert not (tmp_path / 'a.txt').exists()
    assert (tmp_path / 'a.txt').read_text() == 'whole'


def obstacles(tmp_path):
    (tmp_path / 'file').touch()
    return [
        (tmp_path / 'file/a', 'file is no folder'),
        (tmp_path / 'file/a/b', 'file is no folder'),
        (tmp_path / ('x' * 300), 'too long'),
        (tmp_path / 'new' / ('ü' * 130), 'too long'),
        (tmp_path / 'a\0b', 'NUL'),
        (tmp_path / '\ud800', 'not text'),
    ]


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    for path, says in obstacles(tmp_path):
        for attempt in (check_folder, make_folder, check_file, lambda path: write_whole(path, 'a')):
            with pytest.raises(OutputError, match=rf'cannot be written: .*{says}.*Name another') as caught:
                attempt(path)
            assert 'Errno' not in str(caught.value)
    for attempt in (check_file, lambda path: write_whole(path, 'a')):
        with pytest.raises(OutputError, match='it is a folder'):
            attempt(tmp_path)
        with pytest.raises(OutputError, match='it is a folder'):
            attempt('')
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    """Root, as in a container, would replace /dev/null for all of the machine."""
    os.mkfifo(tmp_path / 'pipe')
    for attempt in (check_file, lambda path: write_whole(path, 'a')):
        with pytest.raises(OutputError, match='it is a device or a pipe'):
            attempt(tmp_path / 'pipe')
    assert (tmp_path / 'pipe').is_fifo()


def test_checking_a_place_makes_nothing(tmp_path):
    check_folder(tmp_path / 'a/b')
    check_file(tmp_path / 'a/b.txt')
    assert not list(tmp_path.iterdir())
    assert make_folder(tmp_path / 'a/b').is_dir()
    assert make_folder(tmp_path / 'a/b').is_dir()


def test_rows_as_csv():
    assert csv_text([dict(a=1, b='x,y'), dict(a=None, b='"')]) == 'a,b\n1,"x,y"\n,""""\n'
    assert csv_text([], ['a', 'b']) == 'a,b\n'
