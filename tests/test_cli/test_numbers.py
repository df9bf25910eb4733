"""Every number that an option of a command or tool takes: the parser refuses what is none, before anything runs."""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ifirvos_cli import COMMANDS
from ifirvos_cli.common import finite_number, positive_int, positive_number, seed_number, whole_number

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
KINDS = (finite_number, positive_int, positive_number, seed_number, whole_number)
NO_NUMBERS = ['nan', 'inf', '-inf', '1e400', 'x', '']
REFUSED = {
    finite_number: NO_NUMBERS,
    positive_number: [*NO_NUMBERS, '-1', '0', '1e300'],
    **dict.fromkeys((positive_int, whole_number, seed_number), [*NO_NUMBERS, '-1', '1.5', '9' * 20]),
}
# Without a command line.
HELPERS = {'checkouts', 'data', 'model', 'process', 'report', 'stages', 'targets', 'video'}
HELPERS = {f'benchmark_{name}' for name in HELPERS} | {'straightforward', 'build_config_types'}
NAMES = [f'ifirvos_cli.{name}' for name in COMMANDS if name != 'mmdet']  # which hands its options on
NAMES += sorted(p.relative_to(TOOLS).as_posix() for p in TOOLS.rglob('*.py') if p.stem not in HELPERS)


class Parser(BaseException):
    """The parser of a command, in place of what the command would do."""


def parser_of(name: str) -> argparse.ArgumentParser:
    def instead(parser: argparse.ArgumentParser, *args, **kwargs) -> None:
        raise Parser(parser)

    with pytest.MonkeyPatch.context() as patch:
        if name.startswith('ifirvos_cli'):
            module = importlib.import_module(name)
        else:
            patch.syspath_prepend(str((TOOLS / name).parent))  # tools import their helpers
            spec = importlib.util.spec_from_file_location(f'numbers_{Path(name).stem}', TOOLS / name)
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, spec.name, module)
            spec.loader.exec_module(module)
        patch.setattr(argparse.ArgumentParser, 'parse_known_args', instead)  # parse_args calls it
        with pytest.raises(Parser) as caught:
            module.main([])
    return caught.value.args[0]


def all_actions(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, argparse.Action]]:
    """Yield every option with its parser, of sub-commands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from all_actions(inner)
        else:
            yield parser, action


@pytest.mark.parametrize('name', NAMES)
def test_options_refuse_what_is_no_number(name, capsys):
    let_through, unchecked = [], []
    for parser, action in all_actions(parser_of(name)):
        if action.dest == 'local_rank':  # torch.distributed.launch passes it, never a user
            continue
        if action.type not in KINDS:
            with_number = isinstance(action.default, int | float) and not isinstance(action.default, bool)
            unchecked += [action.dest] if with_number and action.nargs != 0 else []
            continue
        option = action.option_strings[-1]
        count = action.nargs if isinstance(action.nargs, int) else 1
        for text in REFUSED[action.type]:
            if not refuses(parser, [option, *[text] * count], capsys):
                let_through.append((option, text))
        assert not refuses(parser, [option, *['32'] * count], capsys), 'a good one is taken'
    assert not let_through
    assert not unchecked


def refuses(parser: argparse.ArgumentParser, arguments: list[str], capsys) -> bool:
    """Return whether the error is about this option, not about others that are missing."""
    try:
        parser.parse_args(arguments)
    except SystemExit as stop:
        error = capsys.readouterr().err.splitlines()[-1]
        return stop.code == 2 and f'error: argument {arguments[0]}: ' in error.replace('/', ': argument ')
    return False


def test_the_commands_have_numbers():
    """The test above looks at some."""
    parsers = [parser_of(f'ifirvos_cli.{name}') for name in ('infer', 'synth')]
    found = [action.dest for parser in parsers for _, action in all_actions(parser) if action.type in KINDS]
    assert len(found) > 12
