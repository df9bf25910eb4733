"""``frozen_trunk``: what the queries read stays as it was loaded, and only they learn."""

import pytest
import tiny
import torch

TRUNK = ('backbone.', 'neck.', 'encoder.', 'pixel_decoder.', 'vli.vewl.', 'level_embed')


def loss_gradients(model) -> set[str]:
    """Names of the parameters that a training step gives a gradient other than zero."""
    inputs = tiny.frames().float()
    losses = model(inputs, [tiny.clip(inputs, present=[True, True, False])], mode='loss')
    sum(losses.values()).backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize('text', ['fixed', 'dynamic'])
def test_the_queries_learn_and_the_trunk_does_not(text):
    torch.manual_seed(0)
    model = tiny.tiny_model(frozen_trunk=True, vli__text=text).float().train()
    learnt = loss_gradients(model)
    assert not [name for name in learnt if name.startswith(TRUNK)]
    for part in ('text_encoder.', 'vli.lewv.', 'decoder.layers.0.ifi.', 'bbox_head.controller.', 'query_embedding.'):
        assert any(name.startswith(part) for name in learnt), part


@pytest.mark.parametrize('frozen', [False, True])
def test_a_frozen_trunk_does_not_pull_at_the_words(frozen):
    """Without LEwV only VEwL and the pixel decoder read the words."""
    torch.manual_seed(0)
    model = tiny.tiny_model(frozen_trunk=frozen, vli__lewv=None).float().train()
    words: list[torch.Tensor] = []

    def keep(module, args, output):
        if output.dim() == 3:  # (B,L,C); the sentence is (B,C)
            output.retain_grad()
            words.append(output)

    model.text_projection.register_forward_hook(keep)
    loss_gradients(model)
    assert (words[0].grad is None) == frozen


def test_all_of_a_frozen_trunk_stays_in_evaluation_mode():
    model = tiny.tiny_model(frozen_trunk=True)
    model.train()
    trunk = (model.backbone, model.neck, model.encoder, model.pixel_decoder, model.vli.vewl)
    assert not any(module.training for part in trunk for module in part.modules())
    assert model.decoder.training
    assert model.vli.lewv.training


@pytest.mark.parametrize('frozen', [False, True])
def test_a_frozen_trunk_computes_as_in_prediction(frozen):
    """Without gradients, which is faster and takes less memory; everything else computes with them."""
    model = tiny.tiny_model(frozen_trunk=frozen).float().train()
    trunk = {name: getattr(model, name) for name in model.TRUNK} | {'vewl': model.vli.vewl}
    rest = dict(decoder=model.decoder, lewv=model.vli.lewv, controller=model.bbox_head.controller)
    with_gradients = {}
    for name, module in (trunk | rest).items():
        module.register_forward_pre_hook(
            lambda module, args, name=name: with_gradients.update({name: torch.is_grad_enabled()})
        )
    loss_gradients(model)
    assert with_gradients == {name: not (frozen and name in trunk) for name in (*trunk, *rest)}


def test_a_frozen_vewl_alone_hands_gradients_on_to_the_backbone_and_none_to_the_words():
    torch.manual_seed(0)
    model = tiny.tiny_model(vli__lewv=None).float().train()
    model.vli.vewl.requires_grad_(False)
    level = torch.rand(1, 12, model.embed_dims, requires_grad=True)
    words = torch.rand(1, 3, model.embed_dims, requires_grad=True)
    inputs = ([level], [torch.zeros_like(level)], [None], words, torch.zeros_like(words))
    (enhanced,), *_ = model.vli(*inputs, torch.zeros(1, 3, dtype=torch.bool))
    enhanced.square().sum().backward()
    assert level.grad.any()
    assert words.grad is None
