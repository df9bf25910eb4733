"""How many sentences fit, what says that memory has run out, and what follows."""

from types import SimpleNamespace

import pytest
import torch

from ifirvos.errors import LimitError
from ifirvos.inference.memory import (
    BYTES_A_FEATURE_BYTE,
    SmallerParts,
    free_cached_memory,
    is_out_of_memory,
    sentences_within,
)


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


def test_as_many_sentences_as_fit_and_one_at_least():
    feats = [torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 2, 2)]  # 144 numbers
    a_sentence = BYTES_A_FEATURE_BYTE * 144 * 4 + 2 * 10 * 20
    for sentences, expected in ((3.01, 3), (2.99, 2), (0.5, 1)):
        assert sentences_within(sentences * a_sentence / 2**30, feats, (10, 20)) == expected


@pytest.mark.parametrize(('before', 'after'), [(None, 4), (16, 4), (1, 1)])
def test_smaller_parts_are_taken_once(before, after):
    model, parts = SimpleNamespace(test_cfg={}, frame_chunk=before), SmallerParts()
    with pytest.raises(RuntimeError, match='shapes differ'):
        parts.take(RuntimeError('shapes differ'), model)
    assert not parts.taken
    assert model.test_cfg == {}
    parts.take(MemoryError(), model)
    assert parts.taken
    assert model.test_cfg == dict(frame_chunk=after)
    with pytest.raises(LimitError, match='one sentence and a few frames'):
        parts.take(MemoryError(), model)
