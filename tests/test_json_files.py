"""JSON is read with limits, and every refusal names the file."""

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifirvos.errors import AnnotationError, LimitError, MissingFileError, UserError
from ifirvos.json_files import parse_json, read_json


def test_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / 'a.json').write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xbc"}')
    assert read_json(tmp_path / 'a.json') == {'a': 'ü'}


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        (b'\xff\xfe{\0}\0', 'UTF-16'),
        (b'{"a": "\xfc"}', 'not UTF-8 .byte 7 is 0xfc'),
        (b'[' * 100_000 + b']' * 100_000, 'nested too deeply'),
        (b'{"a":' * 100_000, 'nested too deeply'),
        (b'9' * 5_000, '5,000 digits'),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'{"a": [1, 2', 'is not json: .* line 1, column 12; is it complete'),
        (b'', 'is not json'),
        (b'<html>', 'is not json'),
    ],
)
def test_what_is_wrong_is_said_on_a_line(content, problem, tmp_path):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(AnnotationError, match=rf'a\.json.*{problem}') as caught:
        read_json(tmp_path / 'a.json')
    assert '\n' not in str(caught.value)


def test_only_regular_files_of_a_sane_size_are_opened(tmp_path):
    os.mkfifo(tmp_path / 'pipe.json')
    for name in ('pipe.json', '.'):
        with pytest.raises(AnnotationError, match='no file but a folder, a pipe or a device'):
            read_json(tmp_path / name)
    with pytest.raises(MissingFileError, match=r'Expression file .*none\.json is missing'):
        read_json(tmp_path / 'none.json', 'expression file')
    with pytest.raises(MissingFileError):
        read_json('a\0b')
    (tmp_path / 'large.json').write_bytes(b' ' * 100)
    with pytest.raises(LimitError, match=r'large\.json has 100 bytes.*IFIRVOS_MAX_JSON_BYTES'):
        read_json(tmp_path / 'large.json', max_bytes=99)


def test_the_environment_sets_the_limit(tmp_path, monkeypatch):
    (tmp_path / 'a.json').write_text('[1, 2]')
    monkeypatch.setenv('IFIRVOS_MAX_JSON_BYTES', '6')
    assert read_json(tmp_path / 'a.json') == [1, 2]
    monkeypatch.setenv('IFIRVOS_MAX_JSON_BYTES', '5')
    with pytest.raises(LimitError, match='--max-json-bytes'):
        read_json(tmp_path / 'a.json')
    monkeypatch.setenv('IFIRVOS_MAX_JSON_BYTES', 'much')
    with pytest.raises(LimitError, match="IFIRVOS_MAX_JSON_BYTES is 'much'"):
        read_json(tmp_path / 'a.json')


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_refused(content):
    with suppress(UserError):
        parse_json(content, 'f')
