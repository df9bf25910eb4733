"""FSDP and DeepSpeed through FlexibleRunner, in two processes on the CPU, against plain data parallelism."""

import importlib.util
import logging
import os
import socket
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mmdet.models.backbones.resnet import Bottleneck
from mmengine._strategy import DeepSpeedStrategy, FSDPStrategy
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS, init_default_scope
from runs import ROOT, by_epochs, tiny_config, without_validation
from torch import nn

from ifirvos.checkpoint import load_checkpoint, runners_own_allowed
from ifirvos.registry import MODELS
from ifirvos.training import AtomicFSDPStrategy, HandOverDeepSpeedStrategy
from ifirvos.training.sharded import ShardedOptimWrapper, wrap_by_class_name

CONFIGS = ROOT / 'configs/ifirvos'


def test_what_is_wrapped():
    policy = Config.fromfile(CONFIGS / 'r50_ytvos_fsdp.py').strategy.model_wrapper.auto_wrap_policy
    assert policy.pop('type') == wrap_by_class_name.__name__
    assert wrap_by_class_name(nn.Linear(1, 1), True, 1, **policy)
    assert not wrap_by_class_name(nn.Linear(1, 1), False, 1, **policy)
    assert wrap_by_class_name(Bottleneck(1, 1), False, 1, **policy)


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


def test_every_unit_is_a_class_of_the_model():
    """A name that nothing has would leave that part whole on every GPU."""
    leaf = Config.fromfile(CONFIGS / 'r50_ytvos_fsdp.py')
    leaf.model.backbone.init_cfg = None
    leaf.model.text_encoder.update(name='synth_tokenizer', pretrained=False, config=dict(num_hidden_layers=1))
    init_default_scope('mmdet')
    with torch.device('meta'):
        model = MODELS.build(leaf.model)
    classes = {type(module).__name__ for module in model.modules()}
    assert set(leaf.strategy.model_wrapper.auto_wrap_policy.names) <= classes


def test_a_whole_checkpoint_is_written_beside_and_renamed(tmp_path, monkeypatch):
    def save(self, filename, **kwargs):
        Path(filename).write_text('new')
        if kwargs['extra_ckpt'] == 'crash':
            raise KeyboardInterrupt

    monkeypatch.setattr(FSDPStrategy, 'save_checkpoint', save)
    monkeypatch.setattr(AtomicFSDPStrategy, '_is_full_state_dict', lambda self: True)
    strategy = object.__new__(AtomicFSDPStrategy)
    strategy.save_checkpoint(str(tmp_path / 'a.pth'), extra_ckpt=None)
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth']
    (tmp_path / 'a.pth').write_text('old')
    with pytest.raises(KeyboardInterrupt):
        strategy.save_checkpoint(str(tmp_path / 'a.pth'), extra_ckpt='crash')
    assert (tmp_path / 'a.pth').read_text() == 'old'


def test_deepspeed_scales_the_rate(monkeypatch):
    """Without DeepSpeed itself, whose class refuses to be made."""
    strategy = object.__new__(HandOverDeepSpeedStrategy)
    wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5))
    monkeypatch.setattr(DeepSpeedStrategy, 'build_optim_wrapper', lambda self, cfg, model: wrapper)
    monkeypatch.setattr(DeepSpeedStrategy, 'world_size', 4)
    strategy._auto_scale_lr = dict(enable=True, base_batch_size=2)
    strategy.dispatch_kwargs = dict(train_micro_batch_size_per_gpu=1)
    strategy.logger = logging.getLogger('deepspeed')
    assert strategy.build_optim_wrapper({}, None) is wrapper
    assert wrapper.param_groups[0]['lr'] == 1


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


def train(config: Path, work_dir: Path, epochs: int, *options: str) -> Path:
    """Two processes; -> the checkpoint."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        'PORT': str(port),
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
        'DS_ACCELERATOR': 'cpu',
        'PYTHONPATH': os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]),
        'PYTHON': sys.executable,
    }
    command = [ROOT / 'tools/dist_train.sh', config, '2', '--work-dir', work_dir, *options]
    command += ['--cfg-options', f'train_cfg.max_epochs={epochs}']
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return work_dir / f'epoch_{epochs}.pth'


def use_fsdp(cfg: Config) -> None:
    leaf = Config.fromfile(CONFIGS / 'r50_ytvos_fsdp.py')
    cfg.merge_from_dict(
        dict(runner_type=leaf.runner_type, strategy=leaf.strategy, optim_wrapper=dict(type=leaf.optim_wrapper.type))
    )
    cfg.strategy.model_wrapper.auto_wrap_policy.names.append('BasicBlock')  # of the shrunk backbone


def use_deepspeed(cfg: Config) -> None:
    leaf = Config.fromfile(CONFIGS / 'r50_ytvos_deepspeed.py')
    cfg.merge_from_dict(dict(runner_type=leaf.runner_type, strategy=leaf.strategy))

    cfg.optim_wrapper = dict(type=leaf.optim_wrapper.type, optimizer=cfg.optim_wrapper.optimizer)


def weights_of(checkpoint: Path) -> dict:
    if checkpoint.is_dir():  # DeepSpeed's
        with runners_own_allowed():
            return torch.load(checkpoint / 'mp_rank_00_model_states.pt', weights_only=True)['module']
    return load_checkpoint(checkpoint)['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('use', [use_fsdp, use_deepspeed])
def test_the_same_weights_as_with_plain_data_parallelism(use, data_root, tmp_path):
    """Both from another stage's weights; the sharded one in two goes, the second resumed."""
    if use is use_deepspeed:
        pytest.importorskip('deepspeed')
    cfg = by_epochs(without_validation(tiny_config(data_root)), 2)
    cfg.train_dataloader.batch_size = 1
    cfg.optim_wrapper.clip_grad.max_norm = 0.1
    cfg.param_scheduler[0].end = 2  # also in the first go, of one epoch
    torch.manual_seed(7)
    init_default_scope('mmdet')
    torch.save(dict(state_dict=MODELS.build(deepcopy(cfg.model)).state_dict()), tmp_path / 'start.pth')
    cfg.load_from = str(tmp_path / 'start.pth')
    cfg.dump(str(tmp_path / 'plain.py'))
    use(cfg)
    cfg.dump(str(tmp_path / 'sharded.py'))
    plain = weights_of(train(tmp_path / 'plain.py', tmp_path / 'plain', 2))
    train(tmp_path / 'sharded.py', tmp_path / 'sharded', 1)
    sharded = weights_of(train(tmp_path / 'sharded.py', tmp_path / 'sharded', 2, '--resume'))
    assert 'resumed epoch: 1' in '\n'.join(log.read_text() for log in (tmp_path / 'sharded').glob('*/*.log'))
    assert plain.keys() == sharded.keys()
    for name, value in plain.items():
        torch.testing.assert_close(sharded[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize('use', [lambda cfg: None, use_fsdp], ids=['plain', 'fsdp'])
def test_one_process_is_asked_to_stop(use, data_root, tmp_path):
    """Both save together and exit with 0; resumed, the weights are those of a run that was left alone."""
    cfg = by_epochs(without_validation(tiny_config(data_root)), 1)
    cfg.train_dataloader.batch_size = 1
    use(cfg)
    cfg.dump(str(tmp_path / 'alone.py'))
    cfg.custom_imports = dict(imports=['ifirvos', 'asked_to_stop'], allow_failed_imports=False)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SigtermInOneProcess', at=1)]
    cfg.dump(str(tmp_path / 'stopped.py'))
    alone = weights_of(train(tmp_path / 'alone.py', tmp_path / 'alone', 1))
    train(tmp_path / 'stopped.py', tmp_path / 'stopped', 1)
    assert load_checkpoint(tmp_path / 'stopped/interrupted.pth')['meta']['iter'] == 2
    assert not (tmp_path / 'stopped/epoch_1.pth').exists()
    resumed = weights_of(train(tmp_path / 'stopped.py', tmp_path / 'stopped', 1, '--resume'))
    for name, value in alone.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)
