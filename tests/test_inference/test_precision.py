"""The precision that 'auto' takes, and the one that is said to be slower."""

import itertools
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from ifirvos.inference import precision

CPU = torch.device('cpu')
flags_of_the_processor = precision._cpu_flags  # the tests have another


@pytest.mark.parametrize(
    ('flags', 'bf16', 'fp16'),
    [
        ('flags\t\t: fpu avx2 f16c avx512f', False, False),
        ('flags\t\t: fpu avx512f avx512_bf16', True, False),
        ('flags\t\t: amx_bf16 amx_tile amx_fp16', True, True),
        ('flags\t\t: amx_bf16 avx512_fp16', True, True),
        ('Features\t: fp asimd asimdhp bf16', True, True),  # Arm
    ],
)
def test_the_processor_is_asked(tmp_path, flags, bf16, fp16):
    (tmp_path / 'cpuinfo').write_text(f'processor\t: 0\n{flags}\nmodel name\t: bf16 amx_fp16\n')
    with (
        patch.object(precision, '_cpu_flags', flags_of_the_processor),
        patch.object(precision, 'Path', lambda _: tmp_path / 'cpuinfo'),
    ):
        assert precision.has_units(CPU, 'fp32')
        assert (precision.has_units(CPU, 'bf16'), precision.has_units(CPU, 'fp16')) == (bf16, fp16)


@pytest.mark.parametrize(('units', 'times', 'warned'), [(False, 8.6, True), (False, 0.9, False), (True, 8.6, False)])
def test_a_dtype_that_would_be_slower_is_said_so(units, times, warned):
    with (
        patch.object(precision, 'has_units', return_value=units),
        patch.object(precision, 'slowdown', return_value=times),
        patch.object(precision, 'MMLogger') as logger,
    ):
        precision.warn_if_slower(CPU, 'bf16')
        precision.warn_if_slower(CPU, 'fp32')
        precision.warn_if_slower(CPU, 'auto')
    warning = logger.get_current_instance.return_value.warning
    assert warning.called == warned
    if warned:
        message, *values = warning.call_args.args
        assert '8.6 times as long' in message % tuple(values)


def test_products_are_timed():
    assert precision.slowdown(CPU, 'fp32', side=64) > 0


@pytest.mark.parametrize(
    ('seconds', 'same', 'chosen', 'device', 'frames'),
    [
        ((1.0, 0.5), True, 'bf16', 'cpu', 1),
        ((1.0, 0.95), True, 'fp32', 'cpu', 1),
        ((1.0, 0.5), False, 'fp32', 'cpu', 1),
        ((1.0, 0.5), True, 'bf16', 'cuda', 8),
    ],
)
def test_auto_takes_what_is_faster_with_the_same_masks(seconds, same, chosen, device, frames):
    """On the first frame alone, on a GPU on more of them; twice in each, in turns."""
    masks = dict(fp32=np.eye(4, dtype=bool)[None], bf16=np.eye(4, dtype=bool)[None, :: 1 if same else -1])
    inferencer, seen = stand_in(masks, device)
    lengths = [9.0, 9.0, *seconds]  # the first of each is a warm-up
    clock = iter(itertools.accumulate(step for length in lengths for step in (0.0, length)))
    with patch.object(precision.time, 'perf_counter', lambda: next(clock)):
        assert precision.faster_dtype(inferencer, window(20), 'red') == chosen
    assert seen == [('fp32', frames), ('bf16', frames)] * 2
    assert inferencer.dtype == 'auto', 'who asks decides'


def stand_in(masks, device='cpu', error='not in'):
    """An inferencer whose masks depend on its dtype, and what it was asked."""
    seen = []

    def forward(feats, metas, texts, linkers, encoded):
        assert encoded == dict(words=['red'])
        seen.append((inferencer.dtype, len(metas)))
        if masks[inferencer.dtype] is None:
            raise RuntimeError(f'{error} {inferencer.dtype}')
        return inferencer.dtype

    inferencer = SimpleNamespace(
        dtype='auto',
        device=torch.device(device),
        encode=lambda texts: dict(words=texts),
        extract=lambda clip: (clip['inputs'], {}),
        forward=forward,
        postprocess=lambda dtype, texts: [SimpleNamespace(masks=masks[dtype])],
    )
    return inferencer, seen


def window(num_frames):
    return dict(inputs=torch.zeros(num_frames, 3, 4, 4))


def test_a_trial_on_empty_masks_says_nothing():
    empty = np.zeros((1, 4, 4), bool)
    inferencer, seen = stand_in(dict(fp32=empty, bf16=empty))
    assert precision.faster_dtype(inferencer, window(20), 'red') is None
    assert len(seen) == 2, 'once in each'
    assert inferencer.dtype == 'auto'


def test_a_cpu_tries_once_it_has_seen_enough_frames():
    """Of however many windows and videos; a GPU at once."""
    one = np.ones((1, 4, 4), bool)
    for device, expected in (('cpu', [0, 0, 4]), ('cuda', [4, 8, 12])):
        inferencer, seen = stand_in(dict(fp32=one, bf16=one), device)
        trials, counts = precision.Trials(), []
        for _ in range(3):
            trials.decide(inferencer, window(6), 'red')
            counts.append(len(seen))
        assert counts == expected


def test_empty_masks_are_compared_three_times_at_most():
    empty = np.zeros((1, 4, 4), bool)
    inferencer, _ = stand_in(dict(fp32=empty, bf16=empty))
    trials = precision.Trials()
    assert [trials.decide(inferencer, window(16), 'red') for _ in range(3)] == ['auto', 'auto', 'fp32']


def test_memory_that_runs_out_in_bf16_is_not_a_failure_of_bf16():
    one = np.ones((1, 4, 4), bool)
    inferencer, _ = stand_in(dict(fp32=one, bf16=None), error='CUDA out of memory')
    with pytest.raises(RuntimeError, match='out of memory'):
        precision.faster_dtype(inferencer, window(16), 'red')
    assert inferencer.dtype == 'auto'


def test_where_bf16_fails_fp32_is_taken():
    one = np.ones((1, 4, 4), bool)
    inferencer, _ = stand_in(dict(fp32=one, bf16=None))
    assert precision.faster_dtype(inferencer, window(20), 'red') == 'fp32'
    assert inferencer.dtype == 'auto'


def test_a_trial_that_fails_leaves_nothing_behind():
    """What fails in fp32 too is an error, or a lack of memory, which the caller answers."""
    inferencer, _ = stand_in(dict(fp32=None, bf16=None))
    with pytest.raises(RuntimeError, match='not in fp32'):
        precision.faster_dtype(inferencer, window(20), 'red')
    assert inferencer.dtype == 'auto'
