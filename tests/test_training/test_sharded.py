"""FSDP through FlexibleRunner, in two processes on the CPU, against plain data parallelism."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from runs import ROOT, by_epochs, tiny_config, without_validation
from torch import nn

from ifirvos.checkpoint import load_checkpoint
from ifirvos.training.sharded import ShardedOptimWrapper, wrap_by_class_name

CONFIGS = ROOT / 'configs/ifirvos'


def test_what_is_wrapped():
    policy = Config.fromfile(CONFIGS / 'r50_ytvos_fsdp.py').strategy.model_wrapper.auto_wrap_policy
    assert policy.pop('type') == wrap_by_class_name.__name__
    assert wrap_by_class_name(nn.Linear(1, 1), True, 1, **policy)
    assert not wrap_by_class_name(nn.Linear(1, 1), False, 1, **policy)

    class Bottleneck(nn.Module):
        pass

    assert wrap_by_class_name(Bottleneck(), False, 1, **policy)


def test_gradients_are_clipped_by_the_norm_over_all_processes(monkeypatch):
    """Two processes with a part each: 3 here, 4 elsewhere, 5 together."""
    part = nn.Parameter(torch.zeros(1))
    optim_wrapper = ShardedOptimWrapper(torch.optim.SGD([part], lr=1.0), clip_grad=dict(max_norm=1.0))
    monkeypatch.setattr('ifirvos.training.sharded.all_reduce', lambda square, op: square.add_(16.0))
    part.grad = torch.tensor([3.0])
    optim_wrapper.step()
    torch.testing.assert_close(part.detach(), torch.tensor([-3 / 5]))
    part.grad = torch.tensor([0.3])
    monkeypatch.setattr('ifirvos.training.sharded.all_reduce', lambda square, op: square.add_(0.16))
    optim_wrapper.step()
    torch.testing.assert_close(part.detach(), torch.tensor([-3 / 5 - 0.3]), msg='0.5 is below the limit')


def test_deepspeed_says_what_is_missing(data_root, tmp_path):
    cfg = tiny_config(data_root)
    leaf = Config.fromfile(CONFIGS / 'r50_ytvos_deepspeed.py')
    assert leaf.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.2
    assert leaf.strategy.gradient_clipping == 0.1
    if importlib.util.find_spec('deepspeed'):
        pytest.skip('DeepSpeed is installed, and wants a launcher')
    cfg.merge_from_dict(dict(runner_type=leaf.runner_type, strategy=leaf.strategy, work_dir=str(tmp_path)))
    with pytest.raises(AssertionError, match='DeepSpeed is not installed'):
        RUNNERS.build(cfg)


def train(config: Path, work_dir: Path) -> dict:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        'PORT': str(port),
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
        'PYTHON': sys.executable,
    }
    command = [ROOT / 'tools/dist_train.sh', config, '2', '--work-dir', work_dir]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return load_checkpoint(work_dir / 'epoch_1.pth')['state_dict']


@pytest.mark.slow
def test_the_same_weights_as_with_plain_data_parallelism(data_root, tmp_path):
    cfg = by_epochs(without_validation(tiny_config(data_root)), 1)
    cfg.train_dataloader.batch_size = 1
    cfg.optim_wrapper.clip_grad.max_norm = 0.1
    cfg.dump(str(tmp_path / 'plain.py'))
    leaf = Config.fromfile(CONFIGS / 'r50_ytvos_fsdp.py')
    cfg.merge_from_dict(
        dict(runner_type=leaf.runner_type, strategy=leaf.strategy, optim_wrapper=dict(type=leaf.optim_wrapper.type))
    )
    cfg.strategy.model_wrapper.auto_wrap_policy.names.append('BasicBlock')  # of the shrunk backbone
    cfg.dump(str(tmp_path / 'sharded.py'))
    plain, sharded = (train(tmp_path / f'{name}.py', tmp_path / name) for name in ('plain', 'sharded'))
    assert plain.keys() == sharded.keys()
    for name, value in plain.items():
        torch.testing.assert_close(sharded[name], value, rtol=1e-3, atol=1e-4, msg=name)
