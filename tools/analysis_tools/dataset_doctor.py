"""Says what is there of a data set, and what is wrong with it: ``ifirvos doctor`` from a checkout, installed or not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ifirvos_cli.common import main_of
from ifirvos_cli.doctor import main

if __name__ == '__main__':
    sys.exit(main_of(main))
