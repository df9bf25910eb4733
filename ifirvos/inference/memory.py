"""When memory runs out in the middle of a video."""

from __future__ import annotations

import torch

_SAID = ('out of memory', "can't allocate memory")  # of CUDA and of torch's allocator on a CPU


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory, of a GPU or of the machine, was too small."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def free_cached_memory() -> None:
    """Give back what torch keeps of a GPU's memory: in smaller parts it is needed in other sizes."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
