"""What says that memory has run out, and what does not."""

import pytest
import torch

from ifirvos.inference.memory import free_cached_memory, is_out_of_memory


@pytest.mark.parametrize(
    ('error', 'says'),
    [
        (torch.cuda.OutOfMemoryError('CUDA out of memory.'), True),
        (RuntimeError('CUDA error: out of memory'), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (MemoryError(), True),
        (RuntimeError('The size of tensor a must match'), False),
        (ValueError('out of memory'), False),
    ],
)
def test_is_out_of_memory(error, says):
    assert is_out_of_memory(error) is says


def test_free_cached_memory_runs_without_a_gpu():
    free_cached_memory()
