"""Two processes with a clip each do what one does with both."""

import socket
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
import two_processes
from tiny_model import CONFIGS, batch, build, losses_and_gradients, model_config
from torch.testing import assert_close

from ifirvos.training import DrawSampler, loops, seeding

TRAINED = [
    'ifirvos/r50_ytvos.py',
    'ifirvos/r50_refcoco_pretrain.py',
    'ifirvos/r50_a2d.py',
    'ifirvos/r18_synth_pretrain.py',
    'ifirvos/r18_synth.py',
    'ifirvos/video_swin_t_ytvos.py',
    'referformer/r50_ytvos.py',
    *sorted(str(path.relative_to(CONFIGS)) for path in (CONFIGS / 'ifirvos/ablations').glob('*.py')),
    *sorted(str(path.relative_to(CONFIGS)) for path in (CONFIGS / 'ifirvos/ablations_synth').glob('*.py')),
]


@cache
def variants() -> list[str]:
    """A config for every model that is trained: two that shrink to the same one need not both be tried."""
    first = {}
    for name in TRAINED:
        first.setdefault(str(model_config(name).model), name)
    return list(first.values())


@pytest.fixture(scope='module')
def processes(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('distributed')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    # Forked, they need not import everything anew; but CUDA cannot be used in a fork.
    method = 'spawn' if torch.cuda.is_available() else 'fork'
    mp.start_processes(two_processes.main, (port, str(out), variants()), nprocs=2, start_method=method)
    return out


def test_losses_and_gradients_equal_those_of_one_process(processes):
    """The normaliser is the number of frames with the object, here 1 and 2, over both."""
    model = build(model_config())
    data = batch(model, absent=two_processes.ABSENT)
    losses, gradients = losses_and_gradients(model, data)
    ranks = [torch.load(processes / f'{rank}.pth', weights_only=True) for rank in (0, 1)]
    for name, value in losses.items():
        each = [rank['losses'][name] for rank in ranks]
        assert_close(sum(each) / 2, value, rtol=1e-5, atol=1e-6, msg=name)
        assert abs(each[0] - each[1]) > 1e-6, f'{name}: the clips are different'
    for rank in ranks:
        assert rank['gradients'].keys() == gradients.keys()
        for name, value in gradients.items():
            difference = (rank['gradients'][name] - value).norm() / value.norm().clamp(min=1e-6)  # in float32
            assert difference < 1e-3, (name, difference)
    alone, _ = losses_and_gradients(model, batch(model, clips=slice(0, 1), absent=two_processes.ABSENT))
    assert abs(alone['loss_dice'] - losses['loss_dice']) > 1e-3, 'the other clip has its say'


def test_no_parameter_is_unused_in_any_variant(processes):
    """It would have stopped the processes, at the second step of the variant."""
    for rank in (0, 1):
        assert (processes / f'{rank}.txt').read_text().split() == variants()


def test_a_seed_of_its_own_after_resuming():
    """What set_seed gives is what a sampler built with that seed would give."""
    samplers = [DrawSampler(range(12), dict(type='DefaultSampler', shuffle=True), seed=seed) for seed in (3, 8)]
    before, wanted = ([*map(tuple, sampler)] for sampler in samplers)
    samplers[0].set_seed(8)
    assert [*map(tuple, samplers[0])] == wanted != before


def test_ranks_with_seeds_of_their_own_share_out_one_order(monkeypatch):
    """``randomness.diff_rank_seed`` adds the rank to the seed of a process; its sampler keeps that of all."""
    given = []
    for rank in (0, 1):
        monkeypatch.setattr(loops, 'get_rank', lambda rank=rank: rank)
        for different in (False, True):
            randomness = dict(seed=3, diff_rank_seed=different)
            runner = SimpleNamespace(seed=3 + rank * different, _randomness_cfg=randomness)
            sampler = SimpleNamespace(set_seed=given.append, set_epoch=int, skip=int)
            loop = SimpleNamespace(runner=runner, dataloader=FakeLoader(sampler))
            list(loops.ResumableLoop._batches(loop, epoch=0, done=0))
    assert given == [3] * 4


class FakeLoader(list):
    """A data loader without batches."""

    batch_size = 1

    def __init__(self, sampler) -> None:
        super().__init__()
        self.sampler = sampler


class Drawing:
    """A training loop, at its fifth iteration, that draws a number in place of a step."""

    def __init__(self, runner, dataloader) -> None:
        self.runner, self._iter = runner, 4

    def run_iter(self) -> None:
        self.drawn = float(torch.rand(()))


def test_processes_draw_different_numbers_in_a_step(monkeypatch):
    """Dropout would otherwise drop the same of all clips of a step."""

    class Loop(loops.ResumableLoop, Drawing):
        pass

    drawn = []
    for rank in (0, 1, 0):
        monkeypatch.setattr(loops, 'get_rank', lambda rank=rank: rank)
        loop = Loop(SimpleNamespace(seed=3), FakeLoader(None))
        loop.run_iter()
        drawn.append(loop.drawn)
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize('world_size', [2, 3])
def test_processes_share_out_what_one_would_draw(world_size, monkeypatch):
    """The samples of a step, and the seeds they are drawn under."""

    def draws(rank: int, size: int, epoch: int) -> list:
        monkeypatch.setattr(seeding, 'get_dist_info', lambda: (rank, size))
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, size))
        sampler = DrawSampler(range(12), dict(type='DefaultSampler', shuffle=True), seed=3)
        sampler.set_epoch(epoch)
        return list(sampler)

    whole = draws(0, 1, 1)
    shared = [draws(rank, world_size, 1) for rank in range(world_size)]
    assert [draw for step in zip(*shared, strict=True) for draw in step] == whole
    assert sorted(index for index, _ in whole) == list(range(12))
    assert len({seed for _, seed in whole} | {seed for _, seed in draws(0, 1, 2)}) == 24
