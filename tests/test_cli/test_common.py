"""Values of options: what is no such number, or one that nothing can be computed with, is refused by the parser."""

import argparse
import ast
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ifirvos_cli.common import (
    DictAction,
    finite_number,
    output_path,
    positive_int,
    positive_number,
    seed_number,
    split_name,
    uncollected,
    whole_number,
)

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    positive_number: (['1', '0.5', '1e-9', '1e12'], ['0', '-0', '-1', '1e-320', '1e308']),
    finite_number: (['0', '-1.5', '1e308'], []),
    positive_int: (['1', '999999999999999999'], ['0', '-1', '1.0', '1e3', '1' * 20]),
    whole_number: (['0', '7'], ['-1', '1.0', '1' * 20]),
    seed_number: (['0', '4294967295'], ['-1', '4294967296']),
}


@pytest.mark.parametrize('kind', KINDS)
def test_numbers_of_options(kind):
    good, bad = KINDS[kind]
    for text in good:
        assert str(kind(text)) == text or kind(text) == float(text)
    for text in [*bad, 'nan', 'inf', '-inf', '', ' ', 'abc', '1e999', '0x10', '1,5', '½']:
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


@pytest.mark.parametrize('option', ['=3', ' = 3', '.=1', 'a', 'a=[1,'])
def test_config_options_that_are_none(option, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(['--cfg-options', option])
    assert stop.value.code == 2
    assert '--cfg-options' in capsys.readouterr().err.splitlines()[-1]


def test_every_number_of_every_command_is_checked():
    """Plain int and float let through nan, inf, -5 and numbers of 20 digits; one is passed on by torch as it likes."""
    plain = []
    for part in ('ifirvos_cli', 'tools'):
        for path in (ROOT / part).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'add_argument':
                    kinds = [word.value for word in node.keywords if word.arg == 'type']
                    if any(isinstance(kind, ast.Name) and kind.id in ('int', 'float') for kind in kinds):
                        plain.append((path.name, node.args[0].value))
    assert sorted(plain) == [('test.py', '--local_rank'), ('train.py', '--local_rank')]


def test_every_place_that_is_written_to_has_a_name(tmp_path):
    """``--out "$NOT_SET"`` would write into the current folder."""
    assert output_path(str(tmp_path)) == tmp_path
    for text in ('', ' '):
        with pytest.raises(argparse.ArgumentTypeError, match='empty'):
            output_path(text)
    places = {'--out', '--work-dir', '--output-dir', '--report', 'dst', 'target'}
    unchecked, checked = [], 0
    for part in ('ifirvos_cli', 'tools'):
        for path in (ROOT / part).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'add_argument':
                    if not places & {getattr(name, 'value', None) for name in node.args}:
                        continue
                    kinds = [getattr(word.value, 'id', '') for word in node.keywords if word.arg == 'type']
                    checked += kinds == ['output_path']
                    unchecked += [] if kinds == ['output_path'] else [path.name]
    assert sorted(unchecked) == ['draw_figures.py', 'list_messages.py'], 'those of maintainers, with a default'
    assert checked > 15


@pytest.mark.parametrize('before', [True, False])
def test_garbage_is_collected_again_after_a_start(before):
    @uncollected()
    def start_that_fails() -> None:
        assert not gc.isenabled()
        raise ValueError('wrong')

    was = gc.isenabled()
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ValueError, match='wrong'):
            start_that_fails()
        assert gc.isenabled() is before
    finally:
        (gc.enable if was else gc.disable)()


def test_a_path_that_cannot_be_printed_is_escaped_and_a_closed_pipe_is_no_error():
    code = 'from ifirvos_cli.common import print_line; print_line("q\\udce9"); print_line("end")'
    run = [sys.executable, '-c', code]
    environment = dict(os.environ, PYTHONIOENCODING='utf-8', PYTHONPATH=str(ROOT))
    assert subprocess.run(run, env=environment, capture_output=True, check=True).stdout == b'q\\udce9\nend\n'
    closed = subprocess.run(
        [*run], env=environment, stdout=None, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1)
    )
    assert (closed.returncode, closed.stderr) == (0, b'')
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b''
    assert process.returncode == 0


def test_names_of_runs_and_paths_with_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'lr=0.1').mkdir()
    (tmp_path / 'lr=0.1/x.pth').touch()
    (tmp_path / 'a.pth').touch()
    assert split_name('ours=a.pth') == ('ours', 'a.pth')
    assert split_name('a.pth') == ('', 'a.pth')
    assert split_name('lr=0.1/x.pth') == ('', 'lr=0.1/x.pth')
    assert split_name('ours=lr=0.1/x.pth') == ('ours', 'lr=0.1/x.pth')
    assert split_name('a.py,lr=0.1/x.pth') == ('', 'a.py,lr=0.1/x.pth')
    assert split_name('ours=a.py,lr=0.1/x.pth') == ('ours', 'a.py,lr=0.1/x.pth')
    assert split_name('ours=gone.pth') == ('ours', 'gone.pth')
