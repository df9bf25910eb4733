"""What the whole model may and may not depend on: other frames, their order, padding, other clips, chunk sizes."""

import pytest
import tiny
import torch
from mmdet.models.detectors import DeformableDETR
from mmdet.structures import TrackDataSample
from torch import nn
from torch.testing import assert_close

from ifirvos.errors import InputError
from ifirvos.structures import flatten_samples, have_key_frames

NO_IFI = dict(decoder__layer_cfg__ifi_cfg=None)
NO_LEWV = dict(vli__lewv=None)
EXACT = dict(rtol=1e-9, atol=1e-9)  # the models are float64; encodings of positions are float32 in all of them


# ---------------------------------------------------------------- frames
def queries_before_and_after(model, changed=1):
    """Queries (layers,T,N,C) of a clip, and of the same clip with another frame ``changed``."""
    inputs = tiny.frames()
    before = tiny.queries_of(model, inputs, [tiny.clip(inputs)])
    inputs[:, changed] = torch.randn_like(inputs[:, changed])
    return before, tiny.queries_of(model, inputs, [tiny.clip(inputs)])


def test_without_ifi_and_lewv_frames_do_not_see_one_another():
    before, after = queries_before_and_after(tiny.tiny_model(**NO_IFI, **NO_LEWV))
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-3)


@pytest.mark.parametrize('off', [NO_LEWV, NO_IFI], ids=['IFI alone', 'LEwV alone'])
def test_ifi_and_lewv_each_let_frames_see_one_another(off):
    model = tiny.tiny_model(**off)
    if model.vli.lewv is not None:  # at initialisation F is too small to tell much
        model.vli.lewv.pool.weight.data *= 1e3
    before, after = queries_before_and_after(model)
    assert (before[-1, [0, 2]] - after[-1, [0, 2]]).abs().amax((1, 2)).min() > 1e-4


def test_ifi_stands_behind_every_layer():
    """The first layer's queries already see the other frames."""
    before, after = queries_before_and_after(tiny.tiny_model(**NO_LEWV))
    assert (before[0, 0] - after[0, 0]).abs().max() > 1e-4


ORDER = torch.tensor([2, 0, 1])


def test_without_temporal_position_the_frames_are_a_set():
    model, inputs = tiny.tiny_model(), tiny.frames()
    ordered = tiny.outputs_of(model, inputs, [tiny.clip(inputs)])
    shuffled = tiny.outputs_of(model, inputs[:, ORDER], [tiny.clip(inputs)])
    for name in ('cls_logits', 'boxes', 'mask_logits'):
        assert_close(shuffled[name], ordered[name][:, :, ORDER], **EXACT)


BOX_POS = dict(decoder__layer_cfg__ifi_cfg__box_pos=True)


def model_with_box_positions(**overrides):
    model = tiny.tiny_model(**BOX_POS, **overrides)
    for layer in model.decoder.layers:
        nn.init.normal_(layer.ifi.box_projection.weight)
    return model


def test_box_positions_start_as_the_papers_module():
    torch.manual_seed(0)
    plain = tiny.tiny_model()
    extended = tiny.tiny_model(**BOX_POS)
    missing = extended.load_state_dict(plain.state_dict(), strict=False)
    assert all('box_projection' in key for key in missing.missing_keys)
    inputs = tiny.frames()
    assert torch.equal(
        tiny.queries_of(plain, inputs, [tiny.clip(inputs)]), tiny.queries_of(extended, inputs, [tiny.clip(inputs)])
    )


def test_box_positions_do_not_tell_the_order_of_frames():
    model, inputs = model_with_box_positions(), tiny.frames()
    ordered = tiny.outputs_of(model, inputs, [tiny.clip(inputs)])
    shuffled = tiny.outputs_of(model, inputs[:, ORDER], [tiny.clip(inputs)])
    assert_close(shuffled['cls_logits'], ordered['cls_logits'][:, :, ORDER], **EXACT)


def test_ifi_reads_the_boxes_that_the_layer_before_found():
    """As fractions of the unpadded frame, whatever is padded: the decoder itself scales them for every level."""
    model, inputs = model_with_box_positions(), tiny.frames(size=(96, 128))
    seen = []
    for layer in model.decoder.layers:
        layer.ifi.register_forward_hook(lambda module, args, output: seen.append(args[2]))
    outputs = tiny.outputs_of(model, inputs, [tiny.clip(inputs, size=(64, 96))])
    points = model.reference_points_fc(model.query_embedding.weight).sigmoid()
    assert_close(seen[0], points.expand_as(seen[0]), check_dtype=False, **EXACT)
    assert_close(seen[1], outputs['boxes'][0, 0, ..., :2], check_dtype=False, **EXACT)


def test_query_positions_say_whose_the_queries_and_keys_are_and_nothing_of_time():
    model, inputs = tiny.tiny_model(decoder__layer_cfg__ifi_cfg__query_pos=True), tiny.frames()
    seen = []
    model.decoder.layers[0].ifi.attn.register_forward_hook(lambda module, args, output: seen.append(args))
    ordered = tiny.outputs_of(model, inputs, [tiny.clip(inputs)])
    query, key, value = seen[0]
    assert query is key
    own = model.query_embedding.weight.repeat(inputs.shape[1], 1)[None]  # (1, T*N, C), of every frame the same
    assert_close(query - value, own, **EXACT)
    shuffled = tiny.outputs_of(model, inputs[:, ORDER], [tiny.clip(inputs)])
    assert_close(shuffled['cls_logits'], ordered['cls_logits'][:, :, ORDER], **EXACT)


@pytest.mark.parametrize('temporal_pos', ['sine', 'learned'])
def test_with_temporal_position_the_order_counts(temporal_pos):
    model, inputs = tiny.tiny_model(decoder__layer_cfg__ifi_cfg__temporal_pos=temporal_pos), tiny.frames()
    ordered = tiny.queries_of(model, inputs, [tiny.clip(inputs)])
    shuffled = tiny.queries_of(model, inputs[:, ORDER], [tiny.clip(inputs)])
    assert (shuffled - ordered[:, ORDER]).abs().max() > 1e-2


# ---------------------------------------------------------------- padding and batches
SHORT, LONG = 'the circle', 'the small red star that moves to the left of the large blue square'
RESULTS = ('cls_logits', 'boxes', 'mask_logits')


@pytest.mark.parametrize('changes', [{}, NO_LEWV, dict(vli=None)], ids=['full', 'pooled words', 'no VLI'])
def test_words_do_not_leak_into_a_neighbour(changes):
    """A sentence alone, and padded beside a longer one."""
    model, inputs = tiny.tiny_model(**changes), tiny.frames(2)
    alone = tiny.outputs_of(model, inputs[:1], [tiny.clip(inputs, SHORT)])
    beside = tiny.outputs_of(model, inputs, [tiny.clip(inputs, SHORT), tiny.clip(inputs, LONG)])
    for name in RESULTS:
        assert_close(beside[name][:, :1], alone[name], **EXACT)


def test_a_batch_equals_its_clips_one_by_one():
    """Clips of two sizes, at the same padded size: there the padding itself counts (GroupNorm sees it)."""
    model, inputs = tiny.tiny_model(), tiny.frames(2)
    clips = [tiny.clip(inputs, SHORT), tiny.clip(inputs, LONG, size=(40, 72))]
    together = tiny.outputs_of(model, inputs, clips)
    for b, clip in enumerate(clips):
        alone = tiny.outputs_of(model, inputs[b : b + 1], [clip])
        for name in RESULTS:
            assert_close(together[name][:, b : b + 1], alone[name], rtol=0, atol=1e-6)


def test_lewv_ignores_what_is_in_the_padding():
    model, inputs = tiny.tiny_model(), tiny.frames()
    clips = [tiny.clip(inputs, size=(32, 48))]
    text = model.encode_text(clips)
    feats = model.extract_feat(inputs)
    masks, positions = model.encode_positions(feats, clips)
    for position, rounded in zip(positions, model.encode_positions([feat.bfloat16() for feat in feats], clips)[1]):
        assert torch.equal(position, rounded), 'what deformable attention and LEwV read in fp32 is not rounded before'
    changed = [feat.where(~mask[:, None], torch.full_like(feat, 7.0)) for feat, mask in zip(feats, masks, strict=True)]
    assert all(mask.any() for mask in masks)
    sentences = [
        model.interact(levels[1:], positions[1:], masks[1:], text, num_frames=3)[1] for levels in (feats, changed)
    ]
    assert torch.equal(*sentences)


@torch.no_grad()
def test_the_decoder_ignores_what_is_in_the_padding():
    model, inputs, given = tiny.tiny_model(), tiny.frames(), {}
    model.decoder.register_forward_pre_hook(lambda module, args, kwargs: given.update(kwargs), with_kwargs=True)
    tiny.outputs_of(model, inputs, [tiny.clip(inputs, size=(40, 72))])
    given = dict(given)  # the calls below have the hook too
    padding = given['key_padding_mask']
    assert padding.any()
    changed = given | dict(value=given['value'].masked_fill(padding[..., None], 7.0))
    before, after = model.decoder(**given), model.decoder(**changed)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize('size', [(64, 96), (40, 72)], ids=['unpadded', 'padded'])
def test_the_encoder_sees_what_mmdets_would_give_it(size):
    """Masks, encodings and valid ratios are computed once a clip, and the encoder runs in chunks: no number moves."""
    model, inputs = tiny.tiny_model(), tiny.frames(2)
    nn.init.normal_(model.encoder.layers[0].self_attn.sampling_offsets.weight)
    clips = [tiny.clip(inputs), tiny.clip(inputs, size=size)]
    levels = model.extract_feat(inputs)[1:]
    masks, positions = model.encode_positions(levels, clips)
    ours = model.pre_transformer(levels, positions, masks, num_frames=3)
    oracle = DeformableDETR.pre_transformer(model, levels, flatten_samples(clips))
    for found, expected in zip(ours, oracle, strict=True):
        assert found.keys() - {'level_sizes'} == expected.keys()
        for name, value in expected.items():
            assert (value is None and found[name] is None) or torch.equal(found[name], value), name
    whole = DeformableDETR.forward_encoder(model, **oracle[0])['memory']
    model.test_cfg = dict(frame_chunk=4)
    assert_close(model.forward_encoder(**ours[0])['memory'], whole, **EXACT)


@pytest.mark.parametrize('num_frames', [1, 2])
def test_shapes(num_frames):
    model, inputs = tiny.tiny_model(), tiny.frames(2, num_frames)
    outputs = tiny.outputs_of(model, inputs, [tiny.clip(inputs, SHORT), tiny.clip(inputs, LONG, size=(40, 72))])
    lead = (tiny.LAYERS, 2, num_frames, tiny.QUERIES)
    assert outputs['cls_logits'].shape == (*lead, 1)
    assert outputs['boxes'].shape == (*lead, 4)
    assert outputs['mask_logits'].shape == (*lead, 16, 24)
    assert outputs['reference_points'].shape == (*lead[1:], 2)


# ---------------------------------------------------------------- losses
LOSSES = {f'loss_{name}' for name in ('cls', 'bbox', 'iou', 'mask', 'dice')}


def losses_of(model, inputs, clips):
    model = model.float()
    return model(inputs.float(), clips, mode='loss')


@pytest.mark.parametrize(
    'present', [[True] * 3, [True, False, True], [False] * 3], ids=['present', 'absent once', 'absent']
)
def test_losses_are_finite_whatever_is_present(present):
    inputs = tiny.frames()
    losses = losses_of(tiny.tiny_model(), inputs, [tiny.clip(inputs, present=present)])
    assert losses.keys() == LOSSES | {f'd0.{name}' for name in LOSSES}
    assert all(torch.isfinite(loss) and loss >= 0 for loss in losses.values())


def test_every_clip_of_a_batch_is_matched_with_its_own_object():
    head, inputs = tiny.tiny_model().bbox_head.float(), tiny.frames(2)
    clips = [tiny.clip(inputs, present=present) for present in ([True, True, False], [False, True, True])]
    targets = head.targets(clips, (16, 24), torch.device('cpu'))
    predictions = torch.randn(2, 3, 5, 1), torch.rand(2, 3, 5, 4), torch.randn(2, 3, 5, 16, 24)
    together = head.match_cost(*predictions, targets)
    alone = [head.match_cost(*(x[b : b + 1] for x in predictions), targets[b : b + 1]) for b in range(2)]
    assert_close(together, torch.cat(alone))
    other = head.match_cost(*(x[1:] for x in predictions), targets[:1])
    assert not torch.allclose(together[1:], other), 'the objects differ'


def class_targets(model, monkeypatch, present):
    """The target (T,N) that the last layer's class loss is given."""
    inputs, seen = tiny.frames(), []
    loss_cls = model.bbox_head.loss_cls.forward
    monkeypatch.setattr(
        model.bbox_head.loss_cls,
        'forward',
        lambda logits, target, **kw: seen.append(target) or loss_cls(logits, target, **kw),
    )
    losses_of(model, inputs, [tiny.clip(inputs, present=present)])
    return seen[-1].view(3, -1)


def test_one_query_is_positive_where_the_object_is(monkeypatch):
    target = class_targets(tiny.tiny_model(), monkeypatch, [True, False, True])
    assert target.sum(1).tolist() == [1, 0, 1]
    assert target.sum(0).max() == 2  # the same query in both frames


def test_no_query_is_positive_without_the_object(monkeypatch):
    assert class_targets(tiny.tiny_model(), monkeypatch, [False] * 3).sum() == 0


def test_losses_of_a_batch_without_any_object_are_divided_by_one():
    """Not by the number of frames with it."""
    inputs = tiny.frames()
    losses = losses_of(tiny.tiny_model(), inputs, [tiny.clip(inputs, present=[False] * 3)])
    assert losses['loss_dice'] <= 5, 'of one clip, and its weight is 5'


@pytest.mark.parametrize('counted', [True, False])
def test_box_losses_count_absent_frames_only_if_asked(counted):
    inputs = tiny.frames()
    model = tiny.tiny_model(bbox_head__box_loss_on_absent=counted)
    losses = losses_of(model, inputs, [tiny.clip(inputs, present=[False] * 3)])
    assert (losses['loss_bbox'] > 0) == counted
    assert (losses['loss_iou'] > 0) == counted


def test_a_training_batch_of_awkward_clips():
    """Two sizes, two sentence lengths, one clip without its object."""
    inputs = tiny.frames(2, 2)
    clips = [
        tiny.clip(inputs, SHORT, present=[True, True]),
        tiny.clip(inputs, LONG, size=(40, 72), present=[False, False]),
    ]
    losses = losses_of(tiny.tiny_model(), inputs, clips)
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_one_query():
    inputs = tiny.frames(1, 1)
    model = tiny.tiny_model(num_queries=1)
    losses = losses_of(model, inputs, [tiny.clip(inputs, present=[True])])
    assert all(torch.isfinite(loss) for loss in losses.values())
    (clip,) = model.predict(inputs.float(), [tiny.clip(inputs)])
    assert clip.query_index == 0


@pytest.mark.parametrize(
    'changes', [{}, NO_LEWV, dict(vli=None), dict(vli__text='dynamic', vli__fusion='ffn')],
    ids=['full', 'no LEwV', 'no VLI', 'dynamic ffn'],
)  # fmt: skip
def test_every_parameter_learns(changes):
    """Also what distributed training asks for: no parameter is without a gradient."""
    inputs = tiny.frames(1, 2)
    model = tiny.tiny_model(**changes)
    losses = losses_of(model, inputs, [tiny.clip(inputs, present=[True, True])])
    sum(losses.values()).backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    parts = ['backbone.conv1', 'neck', 'text_encoder.model.embeddings', 'text_projection', 'encoder', 'pixel_decoder']
    parts += [f'decoder.layers.{i}.ifi.attn.in_proj_weight' for i in range(tiny.LAYERS)]
    if model.vli is not None:
        parts.append('vli.vewl.interaction.attn.in_proj_weight')
        if model.vli.lewv is not None:
            parts.append('vli.lewv.interaction.attn.in_proj_weight')
    assert not [part for part in parts if not any(name.startswith(part) for name in reached)]


# ---------------------------------------------------------------- inference
def predictions(clips):
    """Everything a prediction says, per clip: query, masks (T,H,W), boxes (T,4), scores (T)."""
    found = []
    for clip in clips:
        frames = [frame.pred_track_instances for frame in clip]
        numbers = (torch.cat([getattr(frame, key) for frame in frames]) for key in ('masks', 'bboxes', 'scores'))
        found.append((clip.query_index, *numbers))
    return found


def assert_same_predictions(found, expected):
    for (query, masks, boxes, scores), (query2, masks2, boxes2, scores2) in zip(found, expected, strict=True):
        assert query == query2
        assert torch.equal(masks, masks2)
        assert_close(boxes, boxes2, rtol=0, atol=1e-4)  # float32 pixels
        assert_close(scores, scores2, rtol=0, atol=1e-6)


@pytest.mark.parametrize('size', [None, (40, 72)], ids=['unpadded', 'padded'])
@pytest.mark.parametrize('chunk', [1, 2])
def test_chunks_of_frames_change_nothing(chunk, size):
    model, inputs = tiny.tiny_model(), tiny.frames()
    whole = tiny.outputs_of(model, inputs, [tiny.clip(inputs, size=size)])
    model.test_cfg = dict(frame_chunk=chunk)
    chunked = tiny.outputs_of(model, inputs, [tiny.clip(inputs, size=size)])
    for name in RESULTS:
        assert_close(chunked[name], whole[name], **EXACT)


def test_training_is_not_chunked():
    model = tiny.tiny_model(test_cfg=dict(frame_chunk=1))
    assert model.frame_chunk == 1
    model.train()
    assert model.frame_chunk is None


@torch.no_grad()
@pytest.mark.parametrize('at_once', [1, 2, 3])
def test_sentences_of_a_video_together_equal_one_by_one(at_once):
    model, inputs = tiny.tiny_model(), tiny.frames()
    sentences = [SHORT, LONG, 'the star']
    alone = [model.predict(inputs, [tiny.clip(inputs, s, original_size=(50, 70))])[0] for s in sentences]
    model.test_cfg = dict(frame_chunk=2)
    calls = []
    model.backbone.register_forward_hook(lambda _, args, __: calls.append(len(args[0])))
    feats = model.extract_feat(inputs)
    clips = [tiny.clip(inputs, s, original_size=(50, 70)) for s in sentences]
    together = [clip for i in range(0, 3, at_once) for clip in model.predict_features(feats, clips[i : i + at_once])]
    assert sum(calls) == 3  # every frame once, whatever the number of sentences
    assert_same_predictions(predictions(together), predictions(alone))
    masks = predictions(together)[0][1]
    assert masks.shape == (3, 50, 70)
    assert masks.dtype == torch.bool


# ---------------------------------------------------------------- names of variants
@pytest.mark.parametrize(
    ('key', 'allowed'),
    [
        ('vli__fusion', "('multiply', 'ffn')"),
        ('vli__text', "('fixed', 'dynamic')"),
        ('decoder__layer_cfg__ifi_cfg__temporal_pos', "(None, 'sine', 'learned')"),
        ('bbox_head__mask_target', "('point', 'area')"),
    ],
)
def test_an_unknown_variant_names_the_allowed_ones(key, allowed):
    with pytest.raises(ValueError) as error:
        tiny.tiny_model(**{key: 'surprise'})
    assert f"{key.rpartition('__')[2]} must be one of {allowed}, not 'surprise'" in str(error.value)


def test_dynamic_text_needs_both_halves():
    with pytest.raises(ValueError, match='needs both vewl and lewv'):
        tiny.tiny_model(vli__text='dynamic', **NO_LEWV)


# ---------------------------------------------------------------- our extension
@pytest.mark.parametrize('value_pos', [False, True])
def test_value_pos_adds_the_position_to_what_the_decoder_reads_and_to_nothing_else(value_pos):
    model, inputs, seen = tiny.tiny_model(value_pos=value_pos), tiny.frames(), {}

    def keep(name, *keys):
        return lambda module, args, kwargs: seen.update({f'{name}_{key}': kwargs[key] for key in keys})

    model.encoder.register_forward_pre_hook(keep('encoder', 'query_pos'), with_kwargs=True)
    model.encoder.register_forward_hook(lambda module, args, memory: seen.update(memory=memory))
    model.decoder.register_forward_pre_hook(keep('decoder', 'value'), with_kwargs=True)
    model.pixel_decoder.register_forward_pre_hook(lambda module, args: seen.update(fpn=args[0][1]))
    tiny.outputs_of(model, inputs, [tiny.clip(inputs)])
    expected = seen['memory'] + seen['encoder_query_pos'] if value_pos else seen['memory']
    assert_close(seen['decoder_value'], expected, **EXACT)
    stride_8 = seen['fpn'].flatten(2).transpose(1, 2)
    assert_close(stride_8, seen['memory'][:, : stride_8.shape[1]], **EXACT)


def test_clips_with_and_without_marked_frames_do_not_mix():
    """Of the first alone it would be known: frames that nobody annotated would count as frames without the object."""
    clips = [TrackDataSample(metainfo=marked) for marked in (dict(key_frames_inds=[0]), {})]
    assert (have_key_frames(clips[:1]), have_key_frames(clips[1:])) == (True, False)
    for batch in (clips, clips[::-1]):
        with pytest.raises(InputError, match='batch_size=1'):
            have_key_frames(batch)
