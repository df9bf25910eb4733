"""Lists every error message of the package, the command line and the tools, for docs/messages.md.

    python tools/list_messages.py [--out docs/messages.md]

Collects from the sources the messages of exceptions, argparse and sys.exit. '…' replaces variable parts.
"""

import argparse
import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ('ifirvos', 'ifirvos_cli', 'tools')
# Raised to tell our own code something, or where no user's input leads.
INTERNAL = {'NotImplementedError', 'AssertionError', 'StopIteration', 'KeyboardInterrupt'}
HEAD = """# Every error message

- Search this page for the words of your message that are not names, numbers or paths: those stand as `…`.
- Every message says what is wrong and what to do; [troubleshooting](troubleshooting.md) has the longer answers.
- Exit code 2 and one line, without a traceback, mean that an input is at fault.

`python tools/list_messages.py` makes this page from the sources.
"""


def text_of(node: ast.expr, known: dict[str, ast.expr]) -> str | None:
    """Return the text of a message, '…' for what is filled in; None where it has no words of its own."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(part.value if isinstance(part, ast.Constant) else '…' for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [text_of(side, known) or '…' for side in (node.left, node.right)]
        return ''.join(parts)
    if isinstance(node, ast.IfExp):
        return ' / '.join(filter(None, (text_of(node.body, known), text_of(node.orelse, known)))) or None
    if isinstance(node, ast.Name) and node.id in known:
        return text_of(known[node.id], {})
    return None


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every message of a file."""
    known = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node if is_told(node) else None
        if not isinstance(call, ast.Call) or not call.args or name_of(call.func) in INTERNAL:
            continue
        text = text_of(call.args[0], known)
        if text and re.search(r'\w{3}', text.replace('…', '')):
            yield call.lineno, ' '.join(text.split())


def is_told(node: ast.AST) -> bool:
    """Return whether a node is a call of parser.error, sys.exit or ArgumentTypeError."""
    if not isinstance(node, ast.Call):
        return False
    name = name_of(node.func)
    return name in ('parser.error', 'sys.exit', 'argparse.ArgumentTypeError')


def name_of(node: ast.expr) -> str:
    """Return a dotted name as it stands in the source."""
    return ast.unparse(node)


def page(root: Path = ROOT) -> str:
    """Return the whole page."""
    lines = [HEAD]
    for part in PARTS:
        lines.append(f'## `{part}/`\n')
        for path in sorted((root / part).rglob('*.py')):
            found = sorted(set(messages(ast.parse(path.read_text(encoding='utf-8')))))
            if not found:
                continue
            lines.append(f'### `{path.relative_to(root).as_posix()}`\n')
            seen = dict.fromkeys(text for _, text in found)
            lines += [f'- ``{text}``' if '`' in text else f'- `{text}`' for text in seen]
            lines.append('')
    return '\n'.join(lines).rstrip() + '\n'


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/messages.md', help='default: docs/messages.md')
    args = parser.parse_args(argv)
    args.out.write_text(page(), encoding='utf-8')
    print(args.out)


if __name__ == '__main__':
    main()
