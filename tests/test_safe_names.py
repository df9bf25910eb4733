"""Names from files stay in their folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifirvos.errors import AnnotationError
from ifirvos.safe_names import checked_name, checked_path, shown

REFUSED = [
    '../../x',
    '..',
    '.',
    '',
    ' ',
    '/etc',
    'a/b',
    'a\\b',
    'C:x',
    'a\0b',
    'a\nb',
    'x' * 300,
    'ü' * 101,
    '\ud800',
    'a\u202eb',
    'a\u200bb',
    'a\u2028b',
    None,
    1.5,
    True,
    -1,
    10**30,
    ['a'],
    {},
]


@pytest.mark.parametrize('name', REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(AnnotationError, match=r'file\.json: video .* cannot be the name of a file') as caught:
        checked_name(name, 'video', 'file.json')
    assert str(caught.value).isprintable(), 'one line, which a terminal can show'


@pytest.mark.parametrize('name', ['bear', '00001', '12:30:11', '-dash', '.hidden', 'a b', 'Größe', '日本語', 'a..b', 7])
def test_what_people_call_their_videos_is_not(name):
    assert checked_name(name, 'video', 'file.json') == str(name)


def test_paths_are_checked_part_by_part():
    assert checked_path('brush_hair/April_09', 'video', 'f') == 'brush_hair/April_09'
    for path in ('a/../b', '/a', 'a//b', 'a/', '', 'a/b\\c', None):
        with pytest.raises(AnnotationError, match='f: video'):
            checked_path(path, 'video', 'f')


@given(st.text(max_size=30))
def test_no_name_leaves_its_folder(name):
    folder = Path('/data/root')
    try:
        checked_name(name, 'frame', 'f')
    except AnnotationError:
        return
    path = folder / f'{name}.jpg'
    assert path.parent == folder
    assert path.resolve().parent == folder
    assert ''.join(name.split()).isprintable()


def test_values_are_shown_on_a_line():
    assert shown('a\nb\x1b[31m') == r"'a\nb\x1b[31m'"
    assert len(shown('x' * 999)) < 70
    assert shown(10**5000) == 'a int'
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert shown(deep) == 'a list'
