"""What the two processes of test_distributed.py do."""

import os
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from tiny_model import batch, build, model_config

import ifirvos
from ifirvos.errors import InputError
from ifirvos.training import NonFiniteLoss, NonFiniteLossHook, PreemptionHook
from ifirvos.training.launch import check_common_start

ABSENT = [(0, 0)]  # clip 0 shows the object in one frame, clip 1 in both


def wrap(model: torch.nn.Module) -> MMDistributedDataParallel:
    return MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False, find_unused_parameters=False)


def losses_and_gradients(rank: int) -> dict:
    """Of the clip of this rank."""
    model = build(model_config())
    data = batch(model, clips=slice(rank, rank + 1), absent=ABSENT)
    wrapped = wrap(model)  # kept until the gradients are there: it is what averages them
    losses = wrapped(**data, mode='loss')
    sum(losses.values()).backward()
    return dict(
        losses={name: value.detach() for name, value in losses.items()},
        gradients={name: p.grad for name, p in model.named_parameters() if p.requires_grad},
    )


def two_steps(config: str, rank: int) -> None:
    """torch complains about an unused parameter when the next step begins."""
    model = build(model_config(config))
    wrapped = wrap(model)
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='AdamW', lr=1e-3)))
    for step in range(2):
        losses = wrapped(**batch(model, step, slice(rank, rank + 1)), mode='loss')
        optim_wrapper.update_params(sum(losses.values()))
    same = torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])
    other = same.clone()
    dist.broadcast(other, 0)
    assert torch.equal(same, other), f'{config}: the weights of the processes differ'


def agree_to_stop(rank: int) -> None:
    """One process is asked, both save and stop; one loss is no number, both raise."""
    saved = []
    runner = SimpleNamespace(
        model=torch.nn.Linear(1, 1),
        iter=4,
        train_loop=SimpleNamespace(_iter=4),
        work_dir='/nowhere',
        hooks=[],
        logger=MMLogger.get_instance(f'agree{rank}'),
        message_hub=MessageHub.get_instance(f'agree{rank}'),
        optim_wrapper=SimpleNamespace(),
        save_checkpoint=lambda folder, name, **kwargs: saved.append(name),
    )
    exchanges, exchange = [], ifirvos.training.agreement.all_reduce
    ifirvos.training.agreement.all_reduce = lambda flags, op: exchanges.append(len(flags)) or exchange(flags, op)
    losses, hook = NonFiniteLossHook(), PreemptionHook()
    runner.hooks = [losses, hook]
    losses.after_train_iter(runner, 0, outputs=dict(loss=torch.ones(())))
    hook.asked = rank == 1  # after the exchange
    hook.after_train_iter(runner, 0)
    assert exchanges == [2], 'one exchange an iteration, for both'
    assert not saved
    runner.iter = 5
    losses.after_train_iter(runner, 0, outputs=dict(loss=torch.ones(())))
    ifirvos.training.preemption.is_main_process = lambda: False  # there is no folder to point from
    with pytest.raises(SystemExit) as stop:
        hook.after_train_iter(runner, 0)
    assert stop.value.code == 0
    assert saved == ['interrupted.pth']
    assert exchanges == [2, 2]
    runner.iter = 6
    hook = NonFiniteLossHook()
    hook.after_train_iter(runner, 0, outputs=dict(loss=torch.ones(())))
    runner.iter = 7
    with pytest.raises(NonFiniteLoss, match='loss is nan' if rank else 'not in every process'):
        hook.after_train_iter(runner, 0, outputs=dict(loss=torch.full((), float('nan') if rank else 1.0)))


def begin_together(rank: int) -> None:
    """Each looks for a checkpoint by itself; where only one finds it, both stop."""
    same = Config(dict(work_dir='runs', resume=True, load_from=f'disk{rank}/runs/epoch_3.pth'))
    check_common_start(same)
    other = Config(dict(work_dir='runs', resume=rank == 0, load_from=same.load_from if rank == 0 else None))
    with pytest.raises(InputError, match=r'some resume epoch_3\.pth, others start anew\. The work directory runs must'):
        check_common_start(other)


def main(rank: int, port: int, out: str, configs: list[str]) -> None:
    """Entry point of a process; leaves its losses and gradients in OUT/RANK.pth."""
    os.environ.update(
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank)
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    torch.save(losses_and_gradients(rank), f'{out}/{rank}.pth')
    for config in configs:
        two_steps(config, rank)
        with open(f'{out}/{rank}.txt', 'a') as done:
            done.write(f'{config}\n')
    agree_to_stop(rank)
    begin_together(rank)
    dist.destroy_process_group()
