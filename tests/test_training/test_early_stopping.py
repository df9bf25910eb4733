"""Early stopping counts on where it was, whatever ended the run before."""

import json
from unittest.mock import Mock

import pytest
from mmengine.evaluator import BaseMetric
from runs import At, Killed, by_epochs, kill, run, tiny_config

from ifirvos.registry import HOOKS, METRICS
from ifirvos.training.early_stopping import STATE


@METRICS.register_module()
class NoGain(BaseMetric):
    """Measures the same every time."""

    default_prefix = 'no'

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results) -> dict:
        return dict(gain=1.0)


@pytest.fixture
def config(data_root):
    """The score of epoch 1 is the best; patience 2 ends training behind epoch 3, after 9 iterations."""
    cfg = by_epochs(tiny_config(data_root), 6)
    cfg.train_cfg.val_interval = 1
    cfg.val_evaluator = dict(type='NoGain')
    stopping = dict(type='ResumableEarlyStopping', monitor='no/gain', rule='greater', min_delta=0.1, patience=2)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), stopping]
    return cfg


@pytest.mark.parametrize('killed_in', [4, 6, 7])
def test_a_resumed_run_stops_where_one_that_was_left_alone_does(config, tmp_path, killed_in):
    """Killed in the second epoch, in the first iteration of the third (behind its validation), in the second."""
    with pytest.raises(Killed):
        run(config, tmp_path, At(killed_in, kill))
    assert run(config, tmp_path, resume=True).iter == 9
    assert run(config, tmp_path, resume=True).iter == 9, 'an ended run trained on'


def test_a_run_that_was_ended_goes_on_with_more_patience(config, tmp_path):
    assert run(config, tmp_path).iter == 9
    config.custom_hooks[-1].patience = 4
    assert run(config, tmp_path, resume=True).iter == 15


def test_a_run_that_a_former_version_ended_stays_ended(config, tmp_path):
    """Its file does not say with what limits."""
    assert run(config, tmp_path).iter == 9
    path = tmp_path / f'{STATE}.json'
    state = json.loads(path.read_text())
    del state['limits']
    path.write_text(json.dumps(state))
    assert run(config, tmp_path, resume=True).iter == 9


def test_an_evaluation_needs_no_training_set():
    """mmengine's hook asks the runner for its training loop, which reads the training set."""
    hook = HOOKS.build(dict(type='ResumableEarlyStopping', monitor='a', rule='greater'))
    runner = Mock()
    hook.before_run(runner)
    assert runner.mock_calls == []
    assert 'train_loop' not in vars(runner)['_mock_children']


def test_an_earlier_checkpoint_has_its_own_count(config, tmp_path):
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    assert run(config, tmp_path).iter == 9
    runner = run(config, tmp_path, resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
    assert (runner.iter, runner.message_hub.get_info(STATE)['wait_count']) == (9, 2)


def test_a_new_run_in_the_folder_counts_anew(config, tmp_path):
    assert run(config, tmp_path).iter == run(config, tmp_path).iter == 9
