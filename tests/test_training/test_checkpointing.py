"""Checkpoints are whole or not there."""

import os
from pathlib import Path

import pytest
from runs import run, tiny_config, without_validation

from ifirvos.checkpoint import load_checkpoint
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
