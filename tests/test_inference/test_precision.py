"""The precision that 'auto' takes, and the one that is said to be slower."""

import itertools
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from ifirvos.inference import precision

CPU = torch.device('cpu')


@pytest.mark.parametrize(
    ('flags', 'bf16', 'fp16'),
    [
        ('flags\t\t: fpu avx2 f16c avx512f', False, False),
        ('flags\t\t: fpu avx512f avx512_bf16', True, False),
        ('flags\t\t: amx_bf16 amx_tile amx_fp16', True, True),
        ('Features\t: fp asimd asimdhp bf16', True, True),  # Arm
    ],
)
def test_the_processor_is_asked(tmp_path, flags, bf16, fp16):
    (tmp_path / 'cpuinfo').write_text(f'processor\t: 0\n{flags}\nmodel name\t: bf16 amx_fp16\n')
    with patch.object(precision, 'Path', lambda _: tmp_path / 'cpuinfo'):
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
        ((1.0, 0.5), True, 'bf16', 'cuda', 5),
    ],
)
def test_auto_takes_what_is_faster_with_the_same_masks(seconds, same, chosen, device, frames):
    """On the first frame alone, on a GPU on more of them; once in each to warm up."""
    seen = []

    def forward(feats, metas, texts, linkers):
        seen.append((inferencer.dtype, len(metas)))
        return inferencer.dtype

    masks = dict(fp32=np.eye(4, dtype=bool)[None], bf16=np.eye(4, dtype=bool)[None, :: 1 if same else -1])
    inferencer = SimpleNamespace(
        dtype='auto',
        device=torch.device(device),
        extract=lambda clip: (clip['inputs'], {}),
        forward=forward,
        postprocess=lambda dtype, texts: [SimpleNamespace(masks=masks[dtype])],
    )
    lengths = [seconds[0]] * 2 + [seconds[1]] * 2
    clock = iter(itertools.accumulate(step for length in lengths for step in (0.0, length)))
    with patch.object(precision.time, 'perf_counter', lambda: next(clock)):
        assert precision.faster_dtype(inferencer, dict(inputs=torch.zeros(5, 3, 4, 4)), 'red') == chosen
    assert seen == [('fp32', frames)] * 2 + [('bf16', frames)] * 2
    assert inferencer.dtype == 'auto', 'who asks decides'


def test_a_trial_that_fails_leaves_nothing_behind():
    def forward(*_):
        if inferencer.dtype == 'bf16':
            raise RuntimeError('not in bf16')

    inferencer = SimpleNamespace(
        dtype='auto',
        device=CPU,
        extract=lambda clip: (clip['inputs'], {}),
        forward=forward,
        postprocess=lambda *_: [SimpleNamespace(masks=None)],
    )
    with pytest.raises(RuntimeError, match='not in bf16'):
        precision.faster_dtype(inferencer, dict(inputs=torch.zeros(5, 3, 4, 4)), 'red')
    assert inferencer.dtype == 'auto'
