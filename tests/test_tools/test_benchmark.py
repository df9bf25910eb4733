"""tools/analysis_tools/benchmark.py where it is more than a stopwatch."""

import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
    for name in [name for name in sys.modules if name.partition('_')[0] in ('benchmark', 'straightforward')]:
        sys.modules.pop(name, None)


def test_a_step_is_timed_and_measured(benchmark, capsys):
    """The tiny model on a CPU: bf16 gives nearly the loss of fp32."""
    benchmark('step', '--device', 'cpu', '--shrink', '--frames', '2', '--size', '64', '96', '--iterations', '1')
    rows = re.findall(r'PyTorch +(fp32|bf16) +([0-9.]+) +- +([0-9.]+)', capsys.readouterr().out)
    assert [name for name, *_ in rows] == ['fp32', 'bf16']
    assert all(float(seconds) > 0 for _, seconds, _ in rows)
    assert float(rows[1][2]) == pytest.approx(float(rows[0][2]), rel=0.05)


def test_a_step_in_a_process_of_its_own():
    """Where nothing has imported ifirvos before, an mmcv without compiled operators cannot be imported."""
    size = ['--frames', '1', '--size', '64', '96', '--iterations', '1']
    command = [sys.executable, ROOT / 'tools/analysis_tools/benchmark.py', 'step', '--device', 'cpu', '--shrink', *size]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'fp32' in done.stdout


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


TINY = ['--set', 'shrink=1', 'size=64x96', 'threads=1']


def test_settings_are_measured_side_by_side(benchmark, capsys, tmp_path):
    """In processes of their own, with ratios, stages and a plot."""
    paths = ['--json', str(tmp_path / 'rows.json'), '--plot', str(tmp_path / 'rows.png')]
    sides = ['--compare', 'mode=straightforward', 'mode=product']
    benchmark('infer', *TINY, '--frames', '2', '--rounds', '1', '--stages', *sides, *paths)
    rows = json.loads((tmp_path / 'rows.json').read_text())
    assert [row['setting']['mode'] for row in rows] == ['straightforward', 'product']
    for row in rows:
        assert min(row['wall'], row['cpu']) > 0
        assert min(row['page_faults'], row['memory_mib']) >= 0  # so small a model may find all it needs
        stages = row['stages']
        assert {'backbone', 'encoder, deformable attention', 'encoder, FFN', 'pixel decoder, FFN'} <= stages.keys()
        assert 0 < stages['backbone']['wall'] < 10 * row['wall']
    # Both send every frame through the backbone once; the product draws one query's masks, of one layer.
    theirs, ours = (row['stages'] for row in rows)
    assert ours['backbone']['gflop'] == pytest.approx(theirs['backbone']['gflop'], rel=1e-3)
    assert 0 < ours['mask head']['gflop'] < theirs['mask head']['gflop']
    assert (tmp_path / 'rows.png').stat().st_size > 1000
    assert capsys.readouterr().out.count('| ratio |') == 1


class InThisProcess:
    """Stands for a measured process, without importing everything anew; the test above starts real ones."""

    def __init__(self, setting: dict) -> None:
        import benchmark_process

        self.setting, self.stdin = setting, io.StringIO()
        self.run, self.model = benchmark_process.build(setting)

    def ask(self) -> dict:
        import benchmark_process

        return benchmark_process.measure_once(self.run, self.model, self.setting)

    def wait(self) -> int:
        return 0


def test_a_training_step_is_measured(benchmark, monkeypatch, tmp_path):
    import benchmark_process

    monkeypatch.setattr(benchmark_process, '_start', InThisProcess)
    monkeypatch.setattr(benchmark_process, '_ask', InThisProcess.ask)
    monkeypatch.setattr(torch, 'set_num_threads', lambda threads: None)  # it would hold for the tests after this one
    path = tmp_path / 'rows.json'
    sides = ['--compare', 'mode=straightforward', 'mode=product']
    benchmark('train', *TINY, '--frames', '2', '--rounds', '1', *sides, '--json', str(path))
    theirs, ours = json.loads(path.read_text())
    assert ours['loss'] == pytest.approx(theirs['loss'], rel=1e-3)


def test_unknown_settings_are_refused(benchmark):
    with pytest.raises(SystemExit, match="no setting 'colour'"):
        benchmark('infer', '--set', 'colour=red')
    with pytest.raises(SystemExit, match='threads takes a number'):
        benchmark('infer', '--set', 'threads=many')


def test_transforms_are_timed(benchmark, capsys, tmp_path):
    root = write_demo_dataset(tmp_path / 'data', num_clips=5)
    config = str(ROOT / 'configs/ifirvos/r50_ytvos.py')
    benchmark('data', config, '--clips', '3', '--cfg-options', f'train_dataloader.dataset.data_root={root}')
    out = capsys.readouterr().out
    rows = {name: float(ms) for name, ms in re.findall(r'\| (\w+) \| ([0-9.]+) \|', out)}
    assert {'LoadImageFromFile', 'PackRVOSInputs'} <= rows.keys()
    assert '3 clips' in out
    assert float(re.search(r'([0-9.]+) clips/s', out)[1]) > 0


def test_a_video_is_timed_from_file_to_masks(benchmark, capsys):
    benchmark('video', '--frames', '5', '--size', '48', '72', '--save', 'masks')
    stages = dict(re.findall(r'\| ([a-z -]+) \| ([0-9.]+) \|', capsys.readouterr().out))
    assert stages.keys() >= {'decode', 'resize', 'backbone and neck', 'text', 'behind the backbone', 'writing'}


def test_targets_prints_a_row_per_target(benchmark, capsys):
    """The comparisons at a tiny size: rows have a ratio of time, a ratio of memory and the targets."""
    benchmark('targets', '--only', '0', '3', '--rounds', '1', *TINY)
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[3:]]
    assert [row[:2] for row in rows] == [['0', 'T=5, 1 sentence'], ['3', 'training step, T=5']]
    assert [(row[3], row[5]) for row in rows] == [('0.50', '0.60'), ('0.85', '0.75')]
    assert all(re.match(r'[0-9.]+ \(CPU [0-9.]+\) of [0-9.]+ s$', row[2]) for row in rows)


@pytest.mark.parametrize('there', [True, False])
def test_targets_has_a_row_of_bf16_where_the_processor_has_units(benchmark, capsys, monkeypatch, there):
    monkeypatch.setattr('ifirvos.inference.precision.has_units', lambda device, dtype: there)
    monkeypatch.setattr('benchmark_targets.bf16_agreement', lambda device: 0.99)
    benchmark('targets', '--only', '9', '--rounds', '1', *TINY)
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[3].split('|')[1:-1]]
    assert cells[:2] == ['9', 'T=5, 1 sentence, bf16']
    time = cells[2]
    if there:
        assert re.match(r'[0-9.]+ of [0-9.]+ s, J 0.990$', time)
    else:
        assert time == 'no units for bf16 here'


@pytest.mark.slow
@pytest.mark.usefixtures('benchmark')
def test_bf16_gives_the_masks_of_fp32():
    from benchmark_targets import bf16_agreement

    assert 0.98 < bf16_agreement('cpu') < 1


def test_data_of_pairs(benchmark, capsys, tmp_path):
    """A record of PairedExpressions is two clips."""
    root = write_demo_dataset(tmp_path / 'data', num_clips=5)
    benchmark('data', str(ROOT / 'configs/ifirvos/r18_synth.py'), '--clips', '3', '--data-root', str(root))
    assert 'r18_synth.py, train_dataloader: 6 clips, 30 frames' in capsys.readouterr().out


def test_checkouts_need_the_data_set(benchmark, tmp_path):
    with pytest.raises(SystemExit, match='synth_rvos is missing: generate it'):
        benchmark('checkouts', str(tmp_path))


@pytest.mark.usefixtures('benchmark')
def test_a_script_in_double_precision(tmp_path):
    from benchmark_checkouts import IN_DOUBLE

    torch.save(dict(weights=torch.full((2,), 0.1), step=torch.tensor(3)), tmp_path / 'weights.pth')
    (tmp_path / 'beside.py').write_text('NUMBER = 3\n')
    (tmp_path / 'script.py').write_text(
        'import sys, torch\n'
        'from beside import NUMBER\n'
        'stored = torch.load(sys.argv[1], weights_only=True)\n'
        'layer = torch.nn.Linear(2, 2).float()\n'
        'layer.bias.data.copy_(stored["weights"])\n'
        'out = layer(torch.ones(2, dtype=torch.uint8).float()).to(torch.float32)\n'
        'print(__name__, sys.argv[1:], NUMBER, stored["weights"].dtype, stored["step"].item())\n'
        'print(out.dtype, layer.bias[0].item())\n'
    )
    command = [sys.executable, '-c', IN_DOUBLE, 'script.py', 'weights.pth']
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    expected = "__main__ ['weights.pth'] 3 torch.float32 3\ntorch.float64 0.10000000149011612\n"
    assert done.stdout == expected, done.stderr


@pytest.mark.usefixtures('benchmark')
def test_the_step_at_which_losses_part():
    from benchmark_checkouts import difference

    def losses(*values: float) -> list[dict]:
        return [dict(loss=value) for value in values]

    assert difference(losses(4, 2, 2), losses(4, 2.001, 2)) == 'by at most 5.0e-04 of their value'
    said = difference(losses(4, 2, 2, 4), losses(4, 2.004, 2, 4.1))
    assert said == 'by at most 2.5e-02 of their value, by more than 1e-03 first at step 2'
    assert difference(losses(1, 2), losses(1, math.nan)).endswith('first at step 2')
