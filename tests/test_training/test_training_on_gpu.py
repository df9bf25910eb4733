"""Training on a GPU: every precision learns, and a run that was killed goes on."""

import pytest
import torch
from runs import At, Killed, Losses, kill, run, tiny_config, without_validation

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(
    'wrapper',
    [
        dict(optim_wrapper__type='OptimWrapper'),
        dict(optim_wrapper__type='BF16OptimWrapper'),
        dict(optim_wrapper__type='AmpOptimWrapper', optim_wrapper__loss_scale='dynamic'),
    ],
    ids=['fp32', 'bf16', 'fp16'],
)
def test_a_run_learns_and_validates(data_root, tmp_path, wrapper):
    losses = Losses()
    runner = run(
        tiny_config(data_root), tmp_path, losses, train_cfg__max_iters=20, train_cfg__val_interval=20, **wrapper
    )
    assert next(runner.model.parameters()).is_cuda
    assert all(map(torch.isfinite, torch.tensor(losses.values)))
    assert sum(losses.values[-3:]) < 0.9 * sum(losses.values[:3])


def test_resuming(data_root, tmp_path):
    """Atomic additions make two runs on a GPU differ in the last digits, so the losses agree but for those."""
    cfg = without_validation(tiny_config(data_root))
    whole, first, rest = Losses(), Losses(), Losses()
    run(cfg, tmp_path / 'whole', whole)
    with pytest.raises(Killed):
        run(cfg, tmp_path / 'parts', first, At(3, kill))
    run(cfg, tmp_path / 'parts', rest, resume=True)
    assert [*first.values, *rest.values] == pytest.approx(whole.values, rel=2e-3)
