"""Freed memory that stays with the process."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from allocator import keep_freed_memory
import numpy as np
done = keep_freed_memory()

def faults():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    np.ones(1 << 23).sum()

use()
before = faults()
for _ in range(5):
    use()
print(int(done), faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='glibc only')
def test_large_blocks_are_used_again():
    """The file alone is imported, since the package takes seconds; 64 MiB five times."""
    folder = str(Path(__file__).parents[1] / 'ifirvos')

    def run(**variables: str) -> tuple[int, int]:
        command = [sys.executable, '-c', PROGRAM]
        result = subprocess.run(
            command, env={'PYTHONPATH': folder, **variables}, capture_output=True, text=True, check=True
        )
        done, faults = map(int, result.stdout.split())
        return done, faults

    kept, faults = run()
    left_alone, usual = run(MALLOC_MMAP_MAX_='65536')
    assert (kept, left_alone) == (1, 0)
    assert faults < usual / 3
