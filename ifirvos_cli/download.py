"""Downloads the weights of models, once, into the cache: ``ifirvos download NAME …``.

They go to $IFIRVOS_HOME, or the user's cache. IFIRVOS_MIRROR is another base URL, or a folder.
"""

import argparse
from collections.abc import Sequence

from .common import run_command


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', nargs='+', help='names listed by `ifirvos models`')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Download one after the other; print the files."""
    from ifirvos.inference.zoo import download

    for name in args.name:
        print(download(name))


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    args = parse_args(argv, prog)
    return run_command(lambda: run(args))
