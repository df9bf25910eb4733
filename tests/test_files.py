"""Files are whole or not there."""

import pytest

from ifirvos.files import csv_text, unfinished, write_whole, written_whole


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


def test_the_name_appears_at_the_end(tmp_path):
    with written_whole(tmp_path / 'a.txt') as part:
        part.write_text('whole')
        assert not (tmp_path / 'a.txt').exists()
    assert (tmp_path / 'a.txt').read_text() == 'whole'


def test_rows_as_csv():
    assert csv_text([dict(a=1, b='x,y'), dict(a=None, b='"')]) == 'a,b\n1,"x,y"\n,""""\n'
    assert csv_text([], ['a', 'b']) == 'a,b\n'
