"""Runs one of MMDetection's own tools on a config of ours.

    ifirvos mmdet TOOL [its options]
    ifirvos mmdet misc/print_config ifirvos::ifirvos/r50_ytvos.py

TOOL is a path below mmdet's tools, without .py (test, misc/print_config, analysis_tools/browse_dataset). As a script it
imports mmdet before the custom_imports of the config, which fails where mmcv has no compiled operators; here ifirvos
comes first and stands in for them.
"""

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from .common import run_command


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('tool', metavar='TOOL')
    parser.add_argument('rest', nargs=argparse.REMAINDER, metavar='…', help='options of the tool')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Run the tool as the main program; return its exit code."""
    import mmdet

    from ifirvos.config import config_file
    from ifirvos.errors import InputError

    tools = Path(mmdet.__file__).parent / '.mim/tools'
    known = {path.relative_to(tools).with_suffix('').as_posix(): path for path in sorted(tools.rglob('*.py'))}
    if args.tool not in known:
        raise InputError(f'mmdet has no tool {args.tool!r}; there are {", ".join(known)}')
    sys.argv = [str(known[args.tool]), *(str(config_file(arg)) if '::' in arg else arg for arg in args.rest)]
    runpy.run_path(sys.argv[0], run_name='__main__')
    return 0


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    args = parse_args(argv, prog)
    return run_command(lambda: run(args))
