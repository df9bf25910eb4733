"""ablate.py and probe.py of tools/analysis_tools on two variants, two stages and two seeds of a tiny model."""

import csv
import json
from pathlib import Path

import pytest
from ablation_configs import arguments, write_configs
from tool_scripts import load_tool

from ifirvos.errors import CheckpointError
from ifirvos.testing import write_demo_dataset
from ifirvos.training.ablation.machine import Interrupted

ablate = load_tool('analysis_tools/ablate.py')


@pytest.fixture(scope='module')
def configs(tmp_path_factory) -> Path:
    return write_configs(tmp_path_factory.mktemp('ablate'), 'nowhere')


@pytest.fixture(scope='module')
def trainable(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('trainable')
    root = write_demo_dataset(folder / 'data', num_clips=5)  # these have every kind of sentence
    return write_configs(folder, str(root))


def test_every_stage_has_its_number_of_steps(configs, tmp_path, capsys):
    with pytest.raises(SystemExit):
        ablate.parse_args(arguments(configs, '--out', str(tmp_path), '--steps', '1000'))
    assert '--steps wants a number for each of the 2 stages' in capsys.readouterr().err


@pytest.mark.slow
def test_train_stop_resume_and_compare(trainable, tmp_path, monkeypatch, capsys):
    """Four runs of two stages; what is done is not done again."""
    out = tmp_path / 'out'
    args = arguments(trainable, '--out', str(out), '--seeds', '1', '2', '--jobs', '2')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert ablate.main(args) == 0
    text = (out / 'table.md').read_text()
    assert text in capsys.readouterr().out
    assert 'NOT EQUAL' not in text
    assert '| full |' in text
    assert '2+2' in text
    assert '59.9' in text
    assert '57.1' in text
    assert 'IFI, with VLI' in text.split('Paired differences')[1]
    assert (out / 'chart.png').is_file()
    probed = list(csv.DictReader((out / 'wo_ifi/seed1/probe.csv').open()))
    assert {row['kind'] for row in probed} >= {'attr', 'spatial', 'attr_comp'}
    for row in probed:
        assert float(row['oracle_J']) >= float(row['J']) - 1e-9
        assert float(row['reversal_IoU']) == pytest.approx(100, abs=0.05), 'nothing in this variant knows of time'
    about = json.loads((out / 'full/seed2/probe.json').read_text())
    assert (about['training_seed'], about['iterations']) == (2, 2)
    table = {(r['variant'], r['kind'], r['measure']): r for r in csv.DictReader((out / 'table.csv').open())}
    assert len(table['full', 'all', 'J&F']['seeds'].split()) == 2
    # Another call: only the missing run is carried out, from the stage that is missing.
    (out / 'full/seed2/probe.csv').unlink()
    for path in (out / 'full/seed2/stage2').iterdir():
        if path.suffix == '.pth' or path.name == 'last_checkpoint':
            path.unlink()
    called = []
    call = ablate.Machine.call
    monkeypatch.setattr(
        ablate.Machine, 'call', lambda self, command, *a: called.append(command[1].name) or call(self, command, *a)
    )
    assert ablate.main(args) == 0
    assert called == ['train.py', 'probe.py']
    assert (out / 'table.md').read_text() == text, 'the same seed gives the same figures'
    called.clear()
    assert ablate.main([*args, '--table-only']) == 0
    assert called == []


@pytest.mark.parametrize(
    'error', [RuntimeError('no space left'), CheckpointError('no space left'), OSError('no space left')]
)
def test_a_run_that_fails_is_named_and_the_others_go_on(error, configs, tmp_path, monkeypatch, capsys):
    def call(self, command, log, slot):
        if 'wo_ifi' in str(log):
            raise error
        raise Interrupted if self.stopped else RuntimeError('nothing was trained')

    monkeypatch.setattr(ablate.Machine, 'call', call)
    assert ablate.main(arguments(configs, '--out', str(tmp_path))) == 1
    output = capsys.readouterr()
    assert 'wo_ifi, seed 42: no space left' in output.err
    assert 'No run is done yet.' in output.out


def test_a_table_of_no_run_is_an_error(configs, tmp_path):
    with pytest.raises(SystemExit, match='No run of these variants, seeds and --per-kind is done in'):
        ablate.main(arguments(configs, '--out', str(tmp_path), '--table-only'))
    assert not list(tmp_path.iterdir())
