"""Commands side by side: on which GPUs, and how they fail and are stopped."""

import sys
import threading

import pytest

from ifirvos.errors import InputError
from ifirvos.training.ablation.machine import Interrupted, Machine


@pytest.mark.parametrize(('given', 'slots'), [('4,5,7', [['4', '5'], ['7', '4']]), (None, [['0', '1'], ['2', '0']])])
def test_only_the_gpus_that_were_given_are_used(monkeypatch, given, slots):
    """Their numbers, not those that CUDA gives them in this process."""
    monkeypatch.setattr('torch.cuda.device_count', lambda: 3)
    if given:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', given)
    else:
        monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    machine = Machine(jobs=2, gpus_per_job=2)
    assert [machine.slots.get() for _ in range(2)] == list(enumerate(slots))


def test_more_gpus_for_a_job_than_there_are(monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    with pytest.raises(InputError, match='--gpus-per-job is 3, but there are 2 GPUs'):
        Machine(jobs=1, gpus_per_job=3)


def test_a_command_that_fails_ends_with_the_end_of_its_output(tmp_path):
    machine = Machine(jobs=1, gpus_per_job=1)
    with pytest.raises(RuntimeError, match=r'failed; the end of .*log:\nlast words'):
        machine.call([sys.executable, '-c', 'print("last words"); raise SystemExit(3)'], tmp_path / 'a/log', (0, []))
    assert not machine.running


def test_every_job_has_its_gpus_its_port_and_its_threads(tmp_path, monkeypatch):
    for name in ('OMP_NUM_THREADS', 'PORT', 'PYTHON'):
        monkeypatch.delenv(name, raising=False)
    machine = Machine(jobs=2, gpus_per_job=1)
    names = ('CUDA_VISIBLE_DEVICES', 'PORT', 'OMP_NUM_THREADS', 'PYTHON')
    code = f'import os; print(*(os.environ.get(name) for name in {names}))'
    machine.call([sys.executable, '-c', code], tmp_path / 'log', (1, ['4', '5']))
    assert (tmp_path / 'log').read_text().split() == ['4,5', 'None', str(machine.threads), sys.executable]
    monkeypatch.setenv('PORT', '29600')  # without, dist_train.sh takes one that is free
    machine.call([sys.executable, '-c', code], tmp_path / 'given', (1, ['4', '5']))
    assert (tmp_path / 'given').read_text().split()[1] == '29601'


def test_what_runs_is_stopped_and_nothing_begins_anew(tmp_path):
    machine, ended = Machine(jobs=1, gpus_per_job=1), []
    on_term = 'import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))'
    code = f'{on_term}; print("begun", flush=True); signal.pause()'

    def run() -> None:
        try:
            machine.call([sys.executable, '-c', code], tmp_path / 'log', (0, []))
        except Interrupted:
            ended.append('interrupted')

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / 'log').exists() or not (tmp_path / 'log').read_text():
        thread.join(0.01)
        assert thread.is_alive()
    machine.stop()
    thread.join()
    assert ended == ['interrupted']
    with pytest.raises(Interrupted):
        machine.call([sys.executable, '-c', 'pass'], tmp_path / 'other', (0, []))
