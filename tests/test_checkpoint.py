"""Checkpoints: read without running their code, loaded whole or not at all."""

import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from torch import nn

from ifirvos.checkpoint import config_text, load_checkpoint, load_strictly, make_runners_load_safely
from ifirvos.errors import CheckpointError


def test_bare_and_wrapped_state_dicts(tmp_path):
    state = nn.Linear(2, 3).half().state_dict()
    torch.save(state, tmp_path / 'bare.pth')
    torch.save(dict(meta=dict(config_text='a = 1'), state_dict=state), tmp_path / 'wrapped.pth')
    for name in ('bare', 'wrapped'):
        model, checkpoint = nn.Linear(2, 3), load_checkpoint(tmp_path / f'{name}.pth')
        load_strictly(model, checkpoint, name, 'cfg.py')
        assert model.weight.dtype == torch.float32
        assert torch.equal(model.weight, state['weight'].float())
    assert config_text(checkpoint) == 'a = 1'
    assert config_text(dict(state_dict={})) is None


class Regression(BaseModel):
    """The least that a Runner trains."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.linear(inputs).square().mean())


def test_checkpoint_of_a_runner(tmp_path):
    """Its log buffers pickle ``getattr(HistoryBuffer, …)``, which weights_only=True refuses on its own."""
    runner = Runner(
        model=Regression(),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=[torch.ones(2)] * 4,
            batch_size=2,
            sampler=dict(type='DefaultSampler'),
            collate_fn=lambda items: dict(inputs=torch.stack(items)),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=dict(type='MultiStepLR', milestones=[1]),
        log_level='ERROR',
    )
    runner.train()
    checkpoint = load_checkpoint(tmp_path / 'epoch_1.pth')
    assert checkpoint['meta']['epoch'] == 1
    assert 'Regression' not in (config_text(checkpoint) or '')
    model = Regression()
    load_strictly(model, checkpoint, 'epoch_1.pth', 'the model')
    assert torch.equal(model.linear.weight, runner.model.linear.weight)


class Evil:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_threads_may_read_checkpoints_of_runners_at_once(tmp_path):
    """What torch lets through belongs to the process: a thread that is done must not take it from the others."""
    history = HistoryBuffer([1.0] * 10, [1] * 10)
    weights = {f'layer{number}': torch.zeros(1) for number in range(300)}  # read before the history
    torch.save(dict(state_dict=weights, message_hub=dict(log_scalars=dict(loss=history))), tmp_path / 'iter_2.pth')
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(load_checkpoint, [tmp_path / 'iter_2.pth'] * 32))
    assert {len(checkpoint['state_dict']) for checkpoint in read} == {300}


@pytest.mark.parametrize('function', [os.mkdir, getattr])
def test_code_in_a_checkpoint_does_not_run(tmp_path, function):
    target = tmp_path / 'made'
    args = (str(target),) if function is os.mkdir else (HistoryBuffer, '__init__')
    torch.save(dict(state_dict={}, evil=Evil(function, *args)), tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'evil\.pth'):
        load_checkpoint(tmp_path / 'evil.pth')
    assert not target.exists()


def test_not_a_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        load_checkpoint(tmp_path / 'none.pth')
    (tmp_path / 'text.pth').write_text('hello')
    with pytest.raises(CheckpointError, match=r'text\.pth'):
        load_checkpoint(tmp_path / 'text.pth')
    (tmp_path / 'empty.pth').touch()
    with pytest.raises(CheckpointError, match=r'empty\.pth'):
        load_checkpoint(tmp_path / 'empty.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(CheckpointError, match='holds a list'):
        load_checkpoint(tmp_path / 'list.pth')


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        (dict(state_dict=[1]), 'is a list'),
        (dict(state_dict=None), 'is a NoneType'),
        (dict(state_dict={1: torch.ones(1)}), 'the key 1'),
        (dict(state_dict={}, meta='text'), 'meta is a str'),
        (dict(w=torch.zeros(1).expand(10**6, 10**6)), 'claims 4,000,000,000,000 bytes'),
        (dict(w=torch.zeros(3, device='meta')), 'no ordinary tensor'),
        (dict(w=torch.eye(3).to_sparse()), 'no ordinary tensor'),
    ],
)
def test_checkpoints_of_another_shape(tmp_path, content, problem):
    torch.save(content, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=rf'odd\.pth.*{problem}'):
        load_checkpoint(tmp_path / 'odd.pth')


def test_no_reason_tells_how_to_switch_protection_off(tmp_path):
    torch.save(dict(w=torch.zeros(99)), tmp_path / 'whole.pth')
    whole = (tmp_path / 'whole.pth').read_bytes()
    with zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', bytes(10**7))
    contents = dict(
        half=whole[: len(whole) // 2],
        text=b'hello',
        long=b'{"a": 1}' * 1000,
        pickle=pickle.dumps([1, Evil(os.mkdir, 'x')]),
        nothing=b'',
        picture=b'\x89PNG' + bytes(99),
    )
    for name, content in contents.items():
        (tmp_path / f'{name}.pth').write_bytes(content)
    for name in (*contents, 'bomb'):
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(tmp_path / f'{name}.pth')
        message = str(caught.value)
        assert f'{name}.pth' in message
        assert '\n' not in message
        assert 'weights_only' not in message
        assert 'PyTorch' not in message


def test_weights_that_are_no_numbers_are_said_so(caplog):
    state = dict(weight=torch.full((3, 2), float('nan')), bias=torch.zeros(3))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    load_strictly(nn.Linear(2, 3), dict(state_dict=state), 'nan.pth', 'cfg.py')
    logger.removeHandler(caplog.handler)
    assert 'nan.pth hold NaN' in caplog.text
    assert '1 tensors (weight)' in caplog.text


def test_what_is_no_tensor_does_not_fit():
    with pytest.raises(CheckpointError, match=r'weight'):
        load_strictly(nn.Linear(2, 3), dict(state_dict=dict(weight=[1], bias=torch.zeros(3))), 'w.pth', 'cfg.py')


@pytest.mark.parametrize('dtype', [torch.int8, torch.uint8, torch.bool, torch.int64])
def test_weights_of_another_kind_of_number_are_refused(dtype):
    """Torch would take them: weights quantized to int8 are whole numbers up to 127."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {key: value.to(dtype) for key, value in before.items()}
    with pytest.raises(
        CheckpointError, match=r'w\.pth does not fit.*6 of another kind of number \(0\.bias \('
    ) as caught:
        load_strictly(model, dict(state_dict=state), 'w.pth', 'cfg.py')
    assert str(dtype).removeprefix('torch.') in str(caught.value)
    assert 'num_batches_tracked' not in str(caught.value), 'which is an integer'
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_no_other_kind(dtype):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    load_strictly(model, dict(state_dict={k: v.to(dtype) for k, v in model.state_dict().items()}), 'w.pth', 'cfg.py')
    assert model[0].weight.dtype == torch.float32


def test_what_does_not_fit_is_named_on_one_line():
    model = nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.fill_(7)
    state = dict(weight=torch.zeros(5, 2), **{f'extra{i}': torch.zeros(1) for i in range(5)})
    with pytest.raises(CheckpointError) as caught:
        load_strictly(model, dict(state_dict=state), 'w.pth', 'cfg.py')
    message = str(caught.value)
    assert '1 missing (bias)' in message
    assert '5 unexpected (extra0, extra1, extra2, …)' in message
    assert 'weight ((5, 2), not (3, 2))' in message
    assert '--config' in message
    assert '\n' not in message
    assert (model.weight == 7).all(), 'nothing was loaded'


def test_a_runner_gets_no_config_to_run(tmp_path, monkeypatch):
    """mmengine runs ``meta['config']``, which its old versions wrote, on resuming."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '')
    make_runners_load_safely()
    torch.save(dict(meta=dict(config='raise SystemError', epoch=1), state_dict={}), tmp_path / 'a.pth')
    assert CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), 'cpu')['meta'] == dict(epoch=1)
