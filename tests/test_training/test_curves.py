"""What a run leaves: figures and scalars."""

import json
import sys

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from runs import Losses, by_epochs, run, tiny_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ifirvos.checkpoint import load_checkpoint
from ifirvos.training.curves import draw_curves, read_scalars


@pytest.fixture(scope='module')
def work_dir(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('curves')
    run(tiny_config(data_root, curves=True), folder, Losses(), train_cfg__max_iters=2, train_cfg__val_interval=1)
    return folder


def test_a_run_leaves_everything_that_describes_it(work_dir):
    assert Config.fromfile(next(work_dir.glob('*.py')), use_predefined_variables=False).train_cfg.max_iters == 2
    log = next(work_dir.glob('*/*.log')).read_text()
    for text in ('System environment', 'Run: commit ', 'seed 42'):
        assert text in log
    for text in ('FileClient', 'HardDiskBackend', 'torch.meshgrid', 'will be deprecated'):
        assert text not in log, 'nothing that a user can do anything about'
    checkpoint = load_checkpoint(work_dir / 'iter_2.pth')
    assert checkpoint['meta']['run_info']['seed'] == 42
    picture = cv2.imread(str(work_dir / 'curves.png'))
    assert picture.shape[1] > picture.shape[0], 'two panels'
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5


def test_scalars(work_dir):
    train, val = read_scalars(work_dir)
    assert [step for step, _ in train['loss']] == [1, 2]
    assert [step for step, _ in val['rvos/J&F']] == [1, 2]
    assert 'loss_dice' in train


def test_scalars_of_a_resumed_run_are_joined(tmp_path):
    for name, rows in {'1': [(1, 5.0), (2, 4.0), (3, 9.0)], '2': [(3, 3.0), (4, 2.0)]}.items():
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(loss=loss, step=step)) for step, loss in rows]
        (folder / 'scalars.json').write_text('\n'.join(lines))
    assert read_scalars(tmp_path)[0]['loss'] == [(1, 5.0), (2, 4.0), (3, 3.0), (4, 2.0)]
    assert draw_curves(tmp_path, ('J&F',)).is_file()


def test_a_line_that_was_cut_off(tmp_path):
    """A full disk, a power cut: it must not stop training, and then every attempt to resume it."""
    folder = tmp_path / '1/vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text('{"loss": 5.0, "step": 1}\n{"loss": 4.0, "st\n7\n{"loss": 3.0, "step": 3}\n')
    assert read_scalars(tmp_path)[0]['loss'] == [(1, 5.0), (3, 3.0)]


def test_nothing_to_draw(tmp_path):
    assert draw_curves(tmp_path, ('J&F',)) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('installed', [True, False])
def test_tensorboard(data_root, tmp_path, monkeypatch, installed):
    """Written where the package is, said once where it is not."""
    if not installed:
        monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    cfg = by_epochs(tiny_config(data_root), 1)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    run(cfg, tmp_path, train_dataloader__dataset__indices=2)
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert ('No TensorBoard scalars' in log) is not installed
    written = list(tmp_path.glob('*/vis_data/events.out.tfevents.*'))
    assert len(written) == installed
    if installed:
        events = EventAccumulator(str(written[0].parent))
        events.Reload()
        (event,) = events.Scalars('loss')
        (logged,) = read_scalars(tmp_path)[0]['loss']
        assert (event.step, event.value) == (logged[0], pytest.approx(logged[1]))
