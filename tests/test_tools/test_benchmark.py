"""tools/analysis_tools/benchmark.py where it is more than a stopwatch."""

import re
import sys
from pathlib import Path

import pytest

from ifirvos.testing import write_demo_dataset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    """Runs a command of the tool."""
    monkeypatch.syspath_prepend(ROOT / 'tools/analysis_tools')
    import benchmark

    def run(*args: str) -> None:
        monkeypatch.setattr(sys, 'argv', ['benchmark.py', *args])
        benchmark.main()

    yield run
    for name in ('benchmark', 'benchmark_video'):
        sys.modules.pop(name, None)


def test_a_step_is_timed_and_measured(benchmark, capsys):
    """The tiny model on a CPU: bf16 gives nearly the loss of fp32."""
    benchmark('step', '--device', 'cpu', '--shrink', '--frames', '2', '--size', '64', '96', '--iterations', '1')
    rows = re.findall(r'PyTorch +(fp32|bf16) +([0-9.]+) +- +([0-9.]+)', capsys.readouterr().out)
    assert [name for name, *_ in rows] == ['fp32', 'bf16']
    assert all(float(seconds) > 0 for _, seconds, _ in rows)
    assert float(rows[1][2]) == pytest.approx(float(rows[0][2]), rel=0.05)


def test_hours(benchmark, capsys, tmp_path):
    """Six epochs of all records, two at a time, at 36 seconds, a hundredth of an hour, each."""
    root = write_demo_dataset(tmp_path / 'data', num_clips=5)
    config = str(ROOT / 'configs/ifirvos/r50_ytvos.py')
    options = ['--cfg-options', f'train_dataloader.dataset.data_root={root}']
    benchmark('hours', config, '--gpus', '2', '--seconds', '36', *options)
    numbers = [float(n) for n in re.findall(r'[0-9.]+[0-9]', capsys.readouterr().out)]
    records, *_, hours = numbers
    per_epoch = -(-int(records) // 2)
    assert numbers[1:] == [per_epoch, 6 * per_epoch, round(6 * per_epoch / 100, 1)]
