"""What may differ between the weights and the model that they start."""

from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from mmengine.logging import MMLogger
from runs import run, tiny_config, without_validation
from torch import nn

from ifirvos.checkpoint import load_checkpoint
from ifirvos.training import HandOverError, HandOverHook


def hand_over(weights: dict, resume: bool = False, **lists) -> None:
    model = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 1)))
    runner = SimpleNamespace(model=model, _resume=resume, logger=MMLogger.get_instance('hand_over'))
    HandOverHook(**lists).after_load_checkpoint(runner, dict(state_dict=weights))


def weights(*left_out: str, **more: torch.Tensor) -> dict:
    model = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 1)))
    return {key: value for key, value in model.state_dict().items() if key not in left_out} | more


def test_weights_that_fit():
    for given in (weights(), {f'module.{key}': value for key, value in weights().items()}):
        with patch.object(MMLogger.get_instance('hand_over'), 'info') as said:
            hand_over(given)
        said.assert_called_once_with('Hand-over: 4 of 4 keys of the model loaded')


def test_every_difference_is_named():
    given = weights('b.bias', **{'a.weight': torch.zeros(3, 5), 'c.new': torch.zeros(1)})
    with pytest.raises(HandOverError) as error:
        hand_over(given)
    for line in ('missing b.bias', 'unexpected c.new', 'a.weight: (3, 5), not (3, 2)'):
        assert line in str(error.value)


def test_integers_in_place_of_weights_are_named():
    given = weights(**{'a.weight': torch.zeros(3, 2, dtype=torch.int8)})
    with pytest.raises(HandOverError, match=r'a\.weight \(int8, not float32\)'):
        hand_over(given, allow_missing=['.'], allow_unexpected=['.'])
    hand_over(weights(**{'a.weight': torch.zeros(3, 2, dtype=torch.float16)}))


def test_lists_allow_what_they_name_and_nothing_else():
    given = weights('b.bias', **{'c.new': torch.zeros(1)})
    hand_over(given, allow_missing=['b[.]'], allow_unexpected=['c'])
    for lists in (dict(allow_missing=['b[.]']), dict(allow_unexpected=['c']), dict(allow_missing=['bias', 'c'])):
        with pytest.raises(HandOverError):
            hand_over(given, **lists)
    with pytest.raises(HandOverError, match='not'):  # a shape cannot be allowed: mmengine would leave it out
        hand_over(weights(**{'a.weight': torch.zeros(3, 5)}), allow_missing=['.'], allow_unexpected=['.'])


def test_what_is_dropped_is_not_loaded():
    given = dict(state_dict=weights(**{'b.new': torch.zeros(1)}))
    model = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 1)))
    runner = SimpleNamespace(model=model, _resume=False, logger=MMLogger.get_instance('hand_over'))
    hook = HandOverHook(drop=['b[.]'], allow_unexpected=['b[.]new'])
    with patch.object(runner.logger, 'info') as said:
        hook.after_load_checkpoint(runner, given)
    said.assert_called_with('Hand-over: 2 of 4 keys of the model loaded')
    assert set(given['state_dict']) == {'a.weight', 'a.bias'}
    runner._resume, given = True, dict(state_dict=weights())
    hook.after_load_checkpoint(runner, given)
    assert len(given['state_dict']) == 4
    with pytest.raises(HandOverError, match='drop names what the weights do not have'):
        hand_over(weights(), drop=['head[.]'])


def test_what_is_resumed_fits_entirely():
    with pytest.raises(HandOverError, match='missing b.bias'):
        hand_over(weights('b.bias'), resume=True, allow_missing=['b[.]'])


def test_two_stages(data_root, tmp_path):
    """The second stage starts from the first's weights, and an ablation does not start from the whole method's."""
    cfg = without_validation(tiny_config(data_root, 'ifirvos/r50_refcoco_pretrain.py'))
    run(cfg, tmp_path / 'first', train_cfg__max_iters=1)
    first = tmp_path / 'first/iter_1.pth'
    cfg = without_validation(tiny_config(data_root, 'ifirvos/r50_ytvos.py'))
    run(cfg, tmp_path / 'second', load_from=str(first), train_cfg__max_iters=1, optim_wrapper__optimizer__lr=0.0)
    start, end = (load_checkpoint(path)['state_dict'] for path in (first, tmp_path / 'second/iter_1.pth'))
    assert start.keys() == end.keys()
    assert all(torch.equal(start[name], end[name]) for name in start)
    with pytest.raises(HandOverError, match=r'unexpected decoder[.]layers[.]0[.]ifi'):
        run(cfg, tmp_path / 'third', load_from=str(first), model__decoder__layer_cfg__ifi_cfg=None)
