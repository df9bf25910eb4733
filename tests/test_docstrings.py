"""One dialect of docstrings: Google style as mmdet has it, with the types in the signature alone.

ruff checks that they begin with an imperative; here, the entries of ``Args:`` and ``Attributes:``.
"""

import ast
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r'(\*{0,2}\w+(?:, \*{0,2}\w+)*)( \(.+?\))?: (.*)')


def entries(docstring: str) -> list[tuple[str, str | None, str]]:
    """(names, type, description) of every argument and attribute."""
    found, inside = [], False
    for line in inspect.cleandoc(docstring).splitlines():
        if line and not line.startswith(' '):
            inside = line in ('Args:', 'Attributes:')
        elif inside and (entry := ENTRY.fullmatch(line[4:])) and line[4:5].strip():
            found.append((entry[1], entry[2], entry[3]))
    return found


def problems(tree: ast.Module) -> list[str]:
    """What is wrong in a module."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or not (text := ast.get_docstring(node)):
            continue
        function = node
        if isinstance(node, ast.ClassDef):
            methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
            function = methods.get('__init__')
        annotated = function.args if function is not None else None
        for names, kind, description in entries(text):
            if kind:
                found.append(f'{node.name}: the type of {names} belongs in the signature')
            if re.match(r'(Of |In |With |From |For :)', description):
                found.append(f'{node.name}: {names} is described by a fragment, {description[:30]!r}')
        if annotated and not node.name.startswith('_') and entries(text):
            every = [*annotated.posonlyargs, *annotated.args, *annotated.kwonlyargs]
            bare = [arg.arg for arg in every if arg.annotation is None and arg.arg not in ('self', 'cls')]
            found += [f'{node.name}: {name} has no type' for name in bare]
    return found


@pytest.mark.parametrize(
    'path',
    [path for part in ('ifirvos', 'ifirvos_cli', 'tools') for path in sorted((ROOT / part).rglob('*.py'))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_arguments_are_described_in_one_way(path):
    assert not problems(ast.parse(path.read_text()))


def test_problems_are_found():
    tree = ast.parse(
        'def f(a, b: int):\n    """Do.\n\n    Args:\n        a (int): Number.\n        b: Of things.\n    """\n'
    )
    assert problems(tree) == [
        'f: the type of a belongs in the signature',
        "f: b is described by a fragment, 'Of things.'",
        'f: a has no type',
    ]
