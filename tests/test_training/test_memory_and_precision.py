"""Gradient checkpointing, mixed precision, gradient accumulation, averaged weights: each a key of the config."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from runs import Losses, run, tiny_config, without_validation
from tiny_model import batch, build, losses_and_gradients, model_config
from torch.testing import assert_close

from ifirvos.checkpoint import load_checkpoint
from ifirvos.models import deformable_attention


@pytest.mark.parametrize('part', ['backbone', 'encoder'])
def test_gradient_checkpointing_changes_no_number(part, monkeypatch):
    """With dropout: its draws are repeated for the gradient."""
    cfg = model_config(dropout=True)
    model = build(cfg)
    expected = losses_and_gradients(model, batch(model))
    cfg.merge_from_dict({f'model.{part}.with_cp': True})
    calls = []
    if part == 'encoder':
        checkpoint = deformable_attention.checkpoint
        monkeypatch.setattr(deformable_attention, 'checkpoint', lambda *a, **k: calls.append(1) or checkpoint(*a, **k))
    else:
        checkpoint = torch.utils.checkpoint.checkpoint
        monkeypatch.setattr(
            torch.utils.checkpoint, 'checkpoint', lambda *a, **k: calls.append(1) or checkpoint(*a, **k)
        )
    model = build(cfg)
    actual = losses_and_gradients(model, batch(model))
    assert len(calls) >= 2
    for first, second in zip(expected, actual, strict=True):
        assert first.keys() == second.keys()
        for name in first:
            assert_close(second[name], first[name], rtol=1e-6, atol=1e-7, msg=name)
    model.eval()
    calls.clear()
    with torch.no_grad():
        model(**batch(model), mode='predict')
    assert not calls or part == 'backbone'


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_keeps_what_cannot_do_with_it_in_fp32(dtype):
    model = build(model_config())
    expected, _ = losses_and_gradients(model, batch(model))
    seen = {}

    def look(name):
        def keep(module, args, output):
            seen[name] = output.dtype

        return keep

    layer = model.encoder.layers[0]
    for name, module in {
        'FFN': layer.ffn.layers[1],
        'MSDeformAttn of the encoder': layer.self_attn.value_proj,
        'MSDeformAttn of the decoder': model.decoder.layers[0].cross_attn.sampling_offsets,
        'LEwV': model.vli.lewv.pool,
        'class branch in the losses': model.bbox_head.cls_branches[0],
    }.items():
        module.register_forward_hook(look(name))
    losses, gradients = losses_and_gradients(model, batch(model), dtype=dtype)
    assert seen.pop('FFN') == dtype
    assert set(seen.values()) == {torch.float32}, seen
    assert all(value.isfinite().all() for value in gradients.values())
    total, reference = sum(losses.values()), sum(expected.values())
    assert total.isfinite()
    assert_close(total, reference, rtol=0.03, atol=0)
    assert total != reference


def test_boxes_keep_float32_under_autocast():
    """bf16 has 8 bits: boxes would snap to 1/256 of the frame."""
    model = build(model_config()).eval()
    outputs = []
    decode = model.forward_decoder
    model.forward_decoder = lambda **kwargs: outputs.append(decode(**kwargs)) or outputs[-1]
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        model(**batch(model), mode='predict')
    assert {boxes.dtype for boxes in outputs[0]['references']} == {torch.float32}


def test_a_run_in_bf16(data_root, tmp_path):
    losses = Losses()
    cfg = without_validation(tiny_config(data_root))
    run(cfg, tmp_path, losses, optim_wrapper__type='BF16OptimWrapper', train_cfg__max_iters=3)
    assert all(map(torch.isfinite, torch.tensor(losses.values)))
    state = load_checkpoint(tmp_path / 'iter_3.pth')
    assert {value.dtype for value in state['state_dict'].values() if value.is_floating_point()} == {torch.float32}


def test_accumulated_gradients_of_two_clips_equal_a_batch_of_both():
    """Exact where both show the object in equally many frames: the losses are divided by those."""
    cfg = model_config()

    def train(counts: int, parts: list[slice]) -> dict:
        model = build(cfg)
        wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1), accumulative_counts=counts)
        optim_wrapper = build_optim_wrapper(model, wrapper)
        optim_wrapper.initialize_count_status(model, 0, 2)
        for part in parts:
            losses = model(**batch(model, clips=part), mode='loss')
            optim_wrapper.update_params(sum(losses.values()))
        return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    together = train(1, [slice(0, 2)])
    in_turn = train(2, [slice(0, 1), slice(1, 2)])
    start = dict(build(cfg).named_parameters())
    for name, value in together.items():
        assert_close(in_turn[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert any((value - start[name]).abs().max() > 1e-3 for name, value in together.items())


def test_averaged_weights(data_root, tmp_path):
    """They follow the trained ones by the momentum, and a checkpoint offers them as its weights."""
    cfg = without_validation(tiny_config(data_root))
    cfg.default_hooks.ema = dict(type='EMAHook', momentum=0.25)
    run(cfg, tmp_path, train_cfg__max_iters=2)
    first, second = (load_checkpoint(tmp_path / f'iter_{n}.pth') for n in (1, 2))
    name = 'query_embedding.weight'
    trained = second['ema_state_dict'][f'module.{name}']  # mmengine swaps the two on saving
    averaged = 0.75 * first['state_dict'][name] + 0.25 * trained
    assert_close(second['state_dict'][name], averaged)
    assert not torch.equal(trained, averaged)
