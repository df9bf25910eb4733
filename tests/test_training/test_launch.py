"""From a command line to a config."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ifirvos.registry import MODELS
from ifirvos.training.launch import amp_without_gpu, copy_without_waiting, default_work_dir, run_without_gpu, set_amp

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ('config', 'work_dir'),
    [
        ('configs/ifirvos/r50_ytvos.py', 'work_dirs/r50_ytvos'),
        ('/somewhere/configs/ifirvos/ablations/wo_ifi.py', 'work_dirs/ablations/wo_ifi'),
        ('configs/referformer/r50_ytvos.py', 'work_dirs/referformer/r50_ytvos'),
        ('mine/try.py', 'work_dirs/try'),
        ('configs/try.py', 'work_dirs/try'),
    ],
)
def test_work_dirs(config, work_dir):
    assert default_work_dir(config) == work_dir


def test_no_two_configs_share_a_work_dir():
    configs = [p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts]
    assert len({default_work_dir(path) for path in configs}) == len(configs)


@pytest.mark.parametrize(
    ('gpu', 'launcher', 'backend'), [(False, 'pytorch', 'gloo'), (True, 'pytorch', 'nccl'), (False, 'none', 'nccl')]
)
def test_processes_without_a_gpu_talk_through_gloo(gpu, launcher, backend, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = Config(dict(launcher=launcher, env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    run_without_gpu(cfg)
    assert cfg.env_cfg.dist_cfg.backend == backend
    assert ('model_wrapper_cfg' in cfg) is (backend == 'gloo')


def test_a_wrapper_of_the_config_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config.fromfile(ROOT / 'configs/ifirvos/r18_synth_pretrain.py')
    cfg.launcher = 'pytorch'
    run_without_gpu(cfg)
    assert cfg.model_wrapper_cfg == dict(type='MMDistributedDataParallel', device_ids=None)


def test_amp(monkeypatch):
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    set_amp(cfg, 'bf16')
    assert cfg.optim_wrapper == dict(type='BF16OptimWrapper')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='bf16 runs anywhere'):
        set_amp(cfg, 'fp16')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    set_amp(cfg, 'fp16')
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
    with pytest.raises(ValueError, match='ShardedOptimWrapper'):
        set_amp(Config(dict(optim_wrapper=dict(type='ShardedOptimWrapper'))), 'bf16')


def test_amp_of_the_config_runs_without_a_gpu_or_says_what_to_write(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale='dynamic', clip_grad=dict(max_norm=1))
    cfg = Config(dict(optim_wrapper=wrapper))
    amp_without_gpu(cfg)
    assert cfg.optim_wrapper == dict(type='BF16OptimWrapper', clip_grad=dict(max_norm=1))
    for dtype in ({}, dict(dtype='float16')):
        with pytest.raises(ValueError, match="fp16, which needs a GPU: write dtype='bfloat16'"):
            amp_without_gpu(Config(dict(optim_wrapper=dict(type='AmpOptimWrapper', **dtype))))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = Config(dict(optim_wrapper=dict(type='AmpOptimWrapper')))
    amp_without_gpu(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper')


@pytest.fixture
def told(tmp_path):
    """A program that writes down how it was called, in place of python and srun."""
    recorder = tmp_path / 'bin/recorder'
    recorder.parent.mkdir()
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    recorder.chmod(0o755)
    (recorder.parent / 'srun').symlink_to(recorder)

    def run(script: str, *args: str, **env: str) -> list[str]:
        environment = {**os.environ, 'PATH': f'{recorder.parent}:{os.environ["PATH"]}', 'PYTHON': str(recorder), **env}
        return subprocess.run(
            [ROOT / 'tools' / script, *args], env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    return run


def test_dist_train(told):
    args = told(
        'dist_train.sh',
        'a b.py',
        '8',
        '--amp',
        '--cfg-options',
        'x=1',
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='host',
        PORT='7',
    )
    assert args[:7] == [
        '-m',
        'torch.distributed.run',
        '--nnodes=2',
        '--node_rank=1',
        '--master_addr=host',
        '--master_port=7',
        '--nproc_per_node=8',
    ]
    assert args[7].endswith('tools/train.py')
    assert args[8:] == ['a b.py', '--launcher', 'pytorch', '--amp', '--cfg-options', 'x=1']


def test_dist_test(told):
    args = told('dist_test.sh', 'a.py', 'b.pth', '2', '--work-dir', 'c d')
    assert args[2:4] == ['--standalone', '--nproc_per_node=2'], 'torchrun takes a port that is free'
    assert args[5:] == ['a.py', 'b.pth', '--launcher', 'pytorch', '--work-dir', 'c d']


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_a_port_may_be_set_on_one_machine(told, script):
    args = told(script, 'a.py', 'b.pth', '2', PORT='7')
    assert args[2:6] == ['--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1', '--master_port=7']


def test_slurm_train(told):
    args = told(
        'slurm_train.sh', 'gpu', 'name', 'a.py', '--resume', GPUS='16', SRUN_ARGS='--exclusive --signal=TERM@120'
    )
    assert {'--gres=gpu:8', '--ntasks=16', '--ntasks-per-node=8', '--exclusive', '--signal=TERM@120'} <= set(args)
    assert args[-4:] == ['a.py', '--launcher', 'slurm', '--resume']


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_scripts_say_how_they_are_called(told, script):
    with pytest.raises(subprocess.CalledProcessError) as error:
        told(script, 'a.py')
    assert f'tools/{script}' in error.value.stderr
    assert error.value.returncode == 2


@pytest.mark.parametrize('gpu', [True, False])
def test_batches_are_pinned_where_there_is_a_gpu(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = Config(
        dict(
            model=dict(data_preprocessor=dict(type='RVOSDataPreprocessor')),
            train_dataloader=dict(batch_size=1),
            val_dataloader=dict(pin_memory=False),
            test_dataloader=None,
        )
    )
    copy_without_waiting(cfg)
    assert cfg.train_dataloader.get('pin_memory', False) == gpu
    assert cfg.val_dataloader.pin_memory is False, 'what the config says stays'
    assert cfg.model.data_preprocessor.get('non_blocking', False) == gpu
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    assert preprocessor._non_blocking == gpu
