"""Keeps freed memory in the process: most memory of a forward on a CPU is in large, short-lived tensors."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Make glibc's allocator keep large freed blocks, so that they need not be mapped and zeroed again.

    For command lines, where the process is ours; the same as ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1``. Who has
    set one of these variables is left alone.

    Returns:
        Whether it was done: only glibc has such settings.
    """
    if not sys.platform.startswith('linux') or {'MALLOC_MMAP_MAX_', 'MALLOC_TRIM_THRESHOLD_'} & os.environ.keys():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(mallopt(option, value) for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1)))
