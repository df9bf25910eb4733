"""Checks the installation and says what to do. Exit code 1: something is broken."""

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    argparse.ArgumentParser(prog=prog, description=__doc__).parse_args(argv)
    from ifirvos import env

    return env.main()
