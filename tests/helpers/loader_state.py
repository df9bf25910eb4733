"""Undoes what makes a whole process load checkpoints safely."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.runner import CheckpointLoader


@contextmanager
def loader_restored() -> Iterator[None]:
    """Restore mmengine's reader, which training and the tools replace for all of their process; the next test file has
    its own idea."""
    loader = CheckpointLoader._schemes['']
    yield
    os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)
    CheckpointLoader.register_scheme('', loader, force=True)
