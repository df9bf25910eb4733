"""Checkpoints are whole or not there."""

import os
from pathlib import Path

import pytest
from mmengine.evaluator import BaseMetric
from runs import run, tiny_config, without_validation

from ifirvos.checkpoint import load_checkpoint
from ifirvos.registry import METRICS
from ifirvos.training import AtomicLocalBackend
from ifirvos.training.checkpointing import latest_checkpoint


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, step):
    backend, path = AtomicLocalBackend(), tmp_path / 'sub/a.pth'
    backend.put(b'old', path)

    def fail(*args):
        raise OSError('no space left')

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match='no space'):
        backend.put(b'new', path)
    assert path.read_bytes() == b'old'
    assert files(path.parent) == ['a.pth']


def test_a_crash_while_a_checkpoint_is_written(data_root, tmp_path, monkeypatch):
    """With one checkpoint to keep: mmengine would have removed it before writing the next."""
    cfg = without_validation(tiny_config(data_root))
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    replace = os.replace

    def crash(source, target):
        if str(target).endswith('iter_3.pth'):
            raise SystemError('power cut')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', crash)
    with pytest.raises(SystemError):
        run(cfg, tmp_path)
    assert [name for name in files(tmp_path) if name.endswith('.pth')] == ['iter_2.pth']
    assert load_checkpoint(latest_checkpoint(tmp_path))['meta']['iter'] == 2
    monkeypatch.undo()
    (tmp_path / '.iter_3.pth.part').write_bytes(b'half of it')  # what SIGKILL would have left
    run(cfg, tmp_path, resume=True, train_cfg__max_iters=4)
    assert [name for name in files(tmp_path) if '.pth' in name] == ['iter_4.pth']


@METRICS.register_module()
class Better(BaseMetric):
    """Measures more every time."""

    default_prefix = 'more'
    measured = 0.0

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results) -> dict:
        type(self).measured += 1
        return dict(and_more=self.measured, still_more=-self.measured)


@pytest.mark.parametrize('save_best', ['more/and_more', ['more/and_more', 'more/still_more']])
def test_the_best_is_there_until_a_better_one_is(data_root, tmp_path, monkeypatch, save_best):
    cfg = tiny_config(data_root)
    cfg.train_cfg.update(max_iters=3, val_interval=1)
    cfg.val_evaluator = dict(type='Better')
    cfg.default_hooks.checkpoint.update(save_best=save_best, rule='greater')
    replace = os.replace

    def crash(source, target):
        if 'best' in str(target) and str(target).endswith('iter_3.pth'):
            raise SystemError('power cut')
        replace(source, target)

    def best():
        return [name for name in files(tmp_path) if name.startswith('best')]

    monkeypatch.setattr(os, 'replace', crash)
    with pytest.raises(SystemError):
        run(cfg, tmp_path)
    first = [] if isinstance(save_best, str) else ['best_more_still_more_iter_1.pth']
    assert best() == ['best_more_and_more_iter_2.pth', *first]
    monkeypatch.undo()
    run(cfg, tmp_path, resume=True, train_cfg__max_iters=4)
    assert len(best()) == 1 + len(first)
    assert load_checkpoint(tmp_path / best()[0])['meta']['iter'] > 2


def test_the_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for number, name in enumerate(('iter_10.pth', 'iter_9.pth')):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))
    (tmp_path / 'last_checkpoint').touch()  # cut off while it was written
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'iter_9.pth')
    (tmp_path / 'last_checkpoint').write_text('elsewhere/iter_10.pth\n')  # where the folder was once
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'iter_10.pth')
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'kept/iter_8.pth').touch()  # out_dir of the hook
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'kept/iter_8.pth'))
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'kept/iter_8.pth')
    (tmp_path / 'last_checkpoint').write_text('gone/iter_7.pth')
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'iter_9.pth')
    for path in tmp_path.glob('*.pth'):
        path.unlink()
    assert latest_checkpoint(tmp_path) == 'gone/iter_7.pth', 'not None: training would begin anew'
