"""The log of LEwV's size."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from ifirvos.training.lewv_stats import LEwVStatsHook


class LEwV(nn.Module):
    """Two sentences of two tokens and one channel: words 3 and 4 at the token that is pooled, then half of them."""

    def forward(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        words = torch.tensor([[[3.0], [100.0]], [[4.0], [100.0]]])
        return [words, words / 2], torch.tensor([[0.2], [0.6]])


def run(hook: LEwVStatsHook, lewv: nn.Module | None, iterations: int) -> dict:
    model = nn.Module()
    model.vli = None if lewv is None else SimpleNamespace(lewv=lewv)
    hub = MessageHub(f'test_hooks_{id(hook)}')
    hook.before_train(SimpleNamespace(model=model))
    for iteration in range(iterations):
        if lewv is not None:
            lewv()
        hook.after_train_iter(SimpleNamespace(model=model, message_hub=hub, iter=iteration), iteration)
    return {name: buffer.current() for name, buffer in hub.log_scalars.items()}


def test_rms_of_every_iteration_and_the_spread_of_the_sentences():
    logged = run(LEwVStatsHook(interval=1), LEwV(), 1)
    rms = (12.5**0.5, 12.5**0.5 / 2)
    assert logged == pytest.approx(
        {'train/lewv/rms_0': rms[0], 'train/lewv/rms_1': rms[1], 'train/lewv/spread': 0.2}, rel=1e-6
    )


def test_only_every_interval():
    assert run(LEwVStatsHook(interval=3), LEwV(), 2) == {}
    assert len(run(LEwVStatsHook(interval=3), LEwV(), 3)) == 3


def test_a_model_without_lewv_logs_nothing():
    assert run(LEwVStatsHook(interval=1), None, 2) == {}


def test_the_spread_with_one_clip_a_process():
    """Over the last sentences; of a single one there is none."""

    class One(nn.Module):
        values = iter([0.2, 0.6, 0.4])

        def forward(self):
            return [torch.ones(1, 1, 1)], torch.tensor([[next(self.values)]])

    one = One()
    assert 'train/lewv/spread' not in run(LEwVStatsHook(interval=1), one, 1)
    assert run(LEwVStatsHook(interval=1), one, 2)['train/lewv/spread'] == pytest.approx(0.1)


def test_a_validation_in_between_is_not_logged():
    """A CUDA graph writes the tensors of training anew without calling the hook again."""
    lewv, hook = LEwV(), LEwVStatsHook(interval=1)
    model = nn.Module()
    model.vli = SimpleNamespace(lewv=lewv)
    hook.before_train(SimpleNamespace(model=model))
    lewv()
    kept = hook._texts
    lewv.eval()()
    assert hook._texts is kept
