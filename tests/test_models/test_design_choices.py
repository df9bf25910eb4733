"""Where the paper can be read in two ways: what the other value of each key does, and nothing else."""

import pytest
import torch
from tiny import C, clip, frames, outputs_of, tiny_model
from torch import nn
from torch.testing import assert_close

from ifirvos.models.ifi_decoder import InterFrameInteraction
from ifirvos.models.vision_language_interaction import (
    LanguageEnhancementWithVision,
    VisionEnhancementWithLanguage,
    VisionLanguageInteraction,
)

EXACT = dict(rtol=0, atol=1e-12)


def lewv_inputs() -> dict:
    """Two sentences of 4 words, one of them padded; two levels of 6 and 3 places."""
    levels = [torch.randn(2, places, 8, dtype=torch.float64) for places in (6, 3)]
    return dict(
        words=torch.randn(2, 4, 8, dtype=torch.float64),
        levels=levels,
        positions=[torch.randn_like(level) for level in levels],
        masks=[None, torch.tensor([[False, False, True]] * 2)],
        word_mask=torch.tensor([[False] * 4, [False, False, True, True]]),
    )


def twins(cls, **choice):
    """The module as the paper has it, and with a choice changed, of the same weights."""
    paper, other = cls(8, 2).double(), cls(8, 2, **choice).double()
    other.load_state_dict(paper.state_dict())
    return paper, other


def reversed_levels(inputs: dict) -> dict:
    return inputs | {key: inputs[key][::-1] for key in ('levels', 'positions', 'masks')}


def test_lewv_coarse_to_fine_is_the_levels_turned_round():
    paper, other = twins(LanguageEnhancementWithVision, order='coarse_to_fine')
    inputs = lewv_inputs()
    assert_close(other(**inputs), paper(**reversed_levels(inputs)), **EXACT)
    assert not torch.allclose(other(**inputs)[1], paper(**inputs)[1])


def test_lewv_pools_the_mean_of_the_words_that_are_there():
    paper, other = twins(LanguageEnhancementWithVision, pooling='mean')
    inputs = lewv_inputs()
    texts, sentence = other(**inputs)
    mean = torch.stack([texts[-1][0].mean(0), texts[-1][1, :2].mean(0)])
    assert_close(sentence, other.pool(mean).tanh(), **EXACT)
    assert_close(paper(**inputs)[1], paper.pool(texts[-1][:, 0]).tanh(), **EXACT)
    without_mask = other(**inputs | dict(word_mask=None))[1]
    assert_close(without_mask, other.pool(texts[-1].mean(1)).tanh(), **EXACT)


def test_positions_on_the_values_too():
    paper, other = twins(LanguageEnhancementWithVision, value_pos=True)
    inputs = lewv_inputs()
    added = [level + position for level, position in zip(inputs['levels'], inputs['positions'], strict=True)]
    nowhere = [torch.zeros_like(position) for position in inputs['positions']]
    assert_close(other(**inputs), paper(**inputs | dict(levels=added, positions=nowhere)), **EXACT)
    assert not torch.allclose(other(**inputs)[1], paper(**inputs)[1])

    paper, other = twins(VisionEnhancementWithLanguage, value_pos=True)
    level, words, mask = inputs['levels'][0], inputs['words'], inputs['word_mask']
    position = torch.randn_like(words)
    expected = paper(level, words + position, torch.zeros_like(position), mask)
    assert_close(other(level, words, position, mask), expected, **EXACT)
    assert not torch.allclose(expected, paper(level, words, position, mask))


def test_dynamic_text_of_a_level_is_what_lewv_had_read_before_it():
    inputs = lewv_inputs()
    vli = VisionLanguageInteraction(
        {}, dict(order='coarse_to_fine', residual=True), embed_dims=8, num_heads=2, text='dynamic'
    ).double()
    position = torch.randn_like(inputs['words'])
    enhanced, _, texts = vli(
        *(inputs[key] for key in ('levels', 'positions', 'masks', 'words')), position, inputs['word_mask']
    )
    for level, found, text in zip(inputs['levels'], enhanced, [texts[1], texts[0]], strict=True):
        assert_close(found, vli.vewl(level, text, position, inputs['word_mask']), **EXACT)


# ---------------------------------------------------------------- inter-frame interaction and the boxes
def test_inter_frame_interaction_is_equation_5():
    """Q1 = LN(Attn(Q) + Q), Q2 = LN(FFN(Q1) + Q1), over the T*N queries of each of two clips."""
    ifi = InterFrameInteraction(16, 4, 24).double().eval()
    for parameter in ifi.parameters():
        if parameter.dim() == 1:  # biases and norms, which start at zero and one
            nn.init.normal_(parameter, 0.5, 0.3)
    query = torch.randn(2 * 3, 5, 16, dtype=torch.float64)
    q = query.view(2, 15, 16)
    q1 = ifi.norms[0](ifi.attn(q, q, q)[0] + q)
    first, second = ifi.ffn.layers[0][0], ifi.ffn.layers[1]
    q2 = ifi.norms[1](second(first(q1).relu()) + q1)
    found = ifi(query, 3, torch.rand(6, 5, 2), torch.randn_like(query))
    assert_close(found, q2.view_as(query), **EXACT)


def after_and_before(**overrides):
    models = [
        tiny_model(vli__lewv=None, decoder__layer_cfg__ifi_cfg__place=place, **overrides)
        for place in ('after', 'before')
    ]
    models[1].load_state_dict(models[0].state_dict())
    return models


def test_ifi_after_the_boxes_leaves_those_of_the_first_layer_to_their_frame():
    after, before = after_and_before()
    inputs = frames()
    changed = inputs.clone()
    changed[:, 1] = torch.randn_like(changed[:, 1])
    for model, sees in ((after, False), (before, True)):
        first, second = (outputs_of(model, x, [clip(x)]) for x in (inputs, changed))
        # Of frame 0: boxes and classes of the first layer, boxes of the second.
        assert (not torch.equal(first['boxes'][0, 0, 0], second['boxes'][0, 0, 0])) == sees
        assert not torch.equal(first['cls_logits'][0, 0, 0], second['cls_logits'][0, 0, 0])
        assert not torch.equal(first['boxes'][1, 0, 0], second['boxes'][1, 0, 0])


def test_boxes_of_both_places_are_those_that_were_refined():
    """The head computes them again, with a gradient; where they differed, masks and boxes would not belong together."""
    for model in after_and_before():
        inputs = frames()
        with torch.no_grad():
            decoded = model.forward_transformer(model.extract_feat(inputs), [clip(inputs)])
        boxes = outputs_of(model, inputs, [clip(inputs)])['boxes']
        for layer, references in enumerate(decoded['references'][1:]):
            assert_close(boxes[layer].flatten(0, 1), references, rtol=0, atol=1e-10)
        assert ('box_states' in decoded) == (model.decoder.layers[0].ifi.place == 'after')


def test_no_gradient_passes_through_the_boxes_of_the_layer_before():
    inputs = frames()
    for model in after_and_before():
        decoded = model.forward_transformer(model.extract_feat(inputs), [clip(inputs)])
        assert decoded['hidden_states'].requires_grad
        assert not any(boxes.requires_grad for boxes in decoded['references'][1:])


def test_ifi_after_the_boxes_trains_and_predicts():
    model = tiny_model(decoder__layer_cfg__ifi_cfg__place='after').float().train()
    inputs = frames().float()
    sum(model(inputs, [clip(inputs, present=[True, False, True])], mode='loss').values()).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert model.decoder.layers[-1].ifi.attn.in_proj_weight.grad.any()
    model.eval()
    with torch.no_grad():
        (predicted,) = model(inputs, [clip(inputs)], mode='predict')
    assert predicted[0].pred_track_instances.masks.shape == (1, 64, 96)


def test_ifi_after_the_boxes_trains_on_the_annotated_frame_alone():
    model, inputs = tiny_model(decoder__layer_cfg__ifi_cfg__place='after').float(), frames().float()
    losses = []
    for present in ([False, True, False], [True, True, True]):
        sample = clip(inputs, present=present)
        sample.set_metainfo(dict(key_frames_inds=[1]))
        losses.append(model(inputs, [sample], mode='loss'))
    for name, loss in losses[0].items():
        assert_close(loss, losses[1][name])


# ---------------------------------------------------------------- the words of the pixel decoder
def test_the_fpn_reads_the_raw_words_or_lewv_s(monkeypatch):
    inputs, read = frames(), {}
    for fpn_text in ('raw', 'lewv'):
        torch.manual_seed(0)
        model = tiny_model(fpn_text=fpn_text)
        texts = []
        model.vli.register_forward_hook(lambda module, args, output, texts=texts: texts.extend(output[2]))
        model.pixel_decoder.register_forward_pre_hook(lambda module, args, name=fpn_text: read.update({name: args[3]}))
        outputs_of(model, inputs, [clip(inputs)])
        assert torch.equal(read[fpn_text], texts[0 if fpn_text == 'raw' else -1])
    assert read['raw'].shape == read['lewv'].shape == (1, read['raw'].shape[1], C)
    assert not torch.allclose(read['raw'], read['lewv'])


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('vli__lewv__order', 'up', 'fine_to_coarse'),
        ('vli__lewv__pooling', 'max', 'mean'),
        ('vli__vewl__out_proj_init', 'zero', 'xavier'),
        ('decoder__layer_cfg__ifi_cfg__place', 'behind', 'after'),
        ('fpn_text', 'none', 'lewv'),
        ('positional_encoding__padding_encoding', 'one', 'reference'),
    ],
)
def test_an_unknown_value_names_the_allowed_ones(key, value, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(**{key: value})


def test_the_fpn_cannot_read_what_is_not_there():
    with pytest.raises(ValueError, match=r'needs vli\.lewv'):
        tiny_model(fpn_text='lewv', vli__lewv=None)
