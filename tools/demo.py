"""Demonstrates the model: the same as ``ifirvos demo``, without installing the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ifirvos_cli.common import main_of
from ifirvos_cli.demo import main

if __name__ == '__main__':
    sys.exit(main_of(main))
