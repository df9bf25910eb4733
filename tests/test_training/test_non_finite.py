"""A loss or a gradient that is no number."""

import pytest
import torch
from runs import At, run, tiny_config, without_validation

from ifirvos.checkpoint import load_checkpoint
from ifirvos.training import NonFiniteLoss


def poison(runner):
    """The class branch of the last layer gives NaN from here on."""
    with torch.no_grad():
        runner.model.bbox_head.cls_branches[-1].bias.fill_(float('nan'))


def test_training_stops_names_the_files_and_keeps_the_last_good_checkpoint(data_root, tmp_path):
    cfg = without_validation(tiny_config(data_root))
    with pytest.raises(NonFiniteLoss) as error:
        run(cfg, tmp_path, At(2, poison))
    message = str(error.value)
    assert 'Iteration 3' in message
    assert 'loss_cls is nan' in message
    assert message.count('video ') == 2, 'the clips of the batch'
    paths = [line.strip() for line in message.splitlines() if line.endswith('.jpg')]
    assert len(paths) == 4, 'of two frames each'
    assert all(path.startswith(str(data_root)) for path in paths)
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_2.pth')
    assert not (tmp_path / 'iter_3.pth').exists()
    state = load_checkpoint(tmp_path / 'iter_2.pth')['state_dict']
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())


def test_a_gradient_that_overflows(data_root, tmp_path):
    """Every loss is finite, the gradient is not."""

    def harm(runner):
        weight = runner.model.query_embedding.weight
        weight.register_hook(lambda grad: torch.full_like(grad, float('inf')))

    with pytest.raises(NonFiniteLoss, match='grad_norm is inf|grad_norm is nan'):
        run(without_validation(tiny_config(data_root)), tmp_path, At(1, harm))
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_1.pth')
