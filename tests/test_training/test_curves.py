"""What a run leaves: figures and scalars."""

import json
import sys

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from runs import Losses, by_epochs, run, tiny_config

from ifirvos.checkpoint import load_checkpoint
from ifirvos.training.curves import draw_curves, read_scalars


@pytest.fixture(scope='module')
def work_dir(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('curves')
    run(tiny_config(data_root), folder, Losses(), train_cfg__max_iters=2, train_cfg__val_interval=1)
    return folder


def test_a_run_leaves_everything_that_describes_it(work_dir):
    assert Config.fromfile(next(work_dir.glob('*.py')), use_predefined_variables=False).train_cfg.max_iters == 2
    log = next(work_dir.glob('*/*.log')).read_text()
    for text in ('System environment', 'Run: commit ', 'seed 42'):
        assert text in log
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


def test_nothing_to_draw(tmp_path):
    assert draw_curves(tmp_path, ('J&F',)) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('installed', [True, False])
def test_tensorboard(data_root, tmp_path, monkeypatch, installed):
    """Written where the package is, said once where it is not."""
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            pass

        def add_scalar(self, name, value, step):
            written.append((name, step))

        def add_text(self, *args):
            pass

        add_image = close = add_text

    module = type(sys)('torch.utils.tensorboard')
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', module if installed else None)
    cfg = by_epochs(tiny_config(data_root), 1)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    run(cfg, tmp_path, train_dataloader__dataset__indices=2)
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert (('loss', 1) in written) is installed
    assert ('No TensorBoard scalars' in log) is not installed
