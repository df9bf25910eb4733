"""The attention of a word: what the model itself computes, for the asked frame, with the tokens of the asked word."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from ifirvos import RVOSInferencer
from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink
from ifirvos.visualization import WordAttention, attention_of, word_attention

CONFIGS = Path(__file__).parents[2] / 'configs/ifirvos'
TEXT = 'the red-ish circle, left of the square'


def tiny_model(name='r18_synth', **changes):
    init_default_scope('mmdet')
    cfg = shrink(CONFIGS / f'{name}.py')
    cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.eval()
    return model


def batch_for(model, sizes=(64, 96), text=TEXT):
    data = demo_rvos_inputs(1, 3, sizes, sentences=[text])
    data = model.data_preprocessor(data, False)
    return data['inputs'][0], data['data_samples'][0]


@pytest.fixture(scope='module')
def model():
    return tiny_model()


@pytest.mark.parametrize('text', ['fixed', 'dynamic'])
@pytest.mark.parametrize('level', [0, 2])
def test_is_what_the_model_computes_when_it_predicts(text, level):
    model = tiny_model(**{'vli.text': text})
    frames, clip = batch_for(model)
    seen = []
    attn = model.vli.vewl.interaction.attn

    def spy(module, args, kwargs):
        x, key, value = args
        q, k = (
            torch.nn.functional.linear(y, w, b).unflatten(2, (module.num_heads, -1)).transpose(1, 2)
            for y, w, b in zip((x, key), module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3))
        )
        logits = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        logits = logits.masked_fill(kwargs['key_padding_mask'][:, None, None], -math.inf)
        seen.append(logits.softmax(-1).mean(1)[0])  # pixels L

    handle = attn.register_forward_pre_hook(spy, with_kwargs=True)
    with torch.no_grad():
        model.predict(frames[None], [clip])
    handle.remove()
    height, width = (-(-side // 2 ** (3 + level)) for side in (64, 96))
    per_level = torch.cat(seen).split([3 * -(-64 // s) * -(-96 // s) for s in (8, 16, 32, 64)])
    expected = per_level[level].unflatten(0, (3, height, width))[1]  # frame 1: h w L
    spans = model.text_encoder.token_spans(TEXT)

    found = word_attention(model, frames, clip, 1, level)
    assert found.words == ('the', 'red-ish', 'circle', 'left', 'of', 'the', 'square')
    for word, first, last in (('red-ish', 4, 11), ('circle', 12, 18)):
        tokens = [i for i, (start, end) in enumerate(spans) if first <= start < end <= last]
        np.testing.assert_allclose(found.of(word), expected[..., tokens].sum(-1).numpy(), atol=1e-6)
    assert found.maps.shape == (7, height, width)
    assert np.abs(found.maps[2] - found.maps[6]).max() > 1e-3, 'words differ'


def test_shares_of_words_and_special_tokens_sum_to_one(model):
    frames, clip = batch_for(model)
    total = word_attention(model, frames, clip, 0).maps.sum(0)
    assert (total < 1).all(), 'the special tokens get a share'
    assert (total > 0.2).all()


def test_the_sentence_has_a_word_of_several_tokens_and_punctuation_is_no_word(model):
    spans = model.text_encoder.token_spans(TEXT)
    assert sum(4 <= start < end <= 11 for start, end in spans) > 1, 'red-ish, whose map is the sum of theirs'
    frames, clip = batch_for(model)
    assert ',' not in word_attention(model, frames, clip, 0).words


def test_frames_differ_and_padding_is_cut_off(model):
    frames, clip = batch_for(model)
    first, second = (word_attention(model, frames, clip, t).maps for t in (0, 1))
    assert not np.allclose(first, second)
    padded = torch.nn.functional.pad(frames, (0, 32, 0, 64))
    for frame in clip:
        frame.set_metainfo(dict(batch_input_shape=(128, 128)))
    assert word_attention(model, padded, clip, 0).maps.shape == first.shape


def test_errors_say_what_is_missing(model):
    frames, clip = batch_for(model)
    with pytest.raises(ValueError, match='no frame 3'):
        word_attention(model, frames, clip, 3)
    with pytest.raises(ValueError, match='level must be 0 to 3'):
        word_attention(model, frames, clip, 0, level=4)
    with pytest.raises(ValueError, match="'blue' is not a word"):
        word_attention(model, frames, clip, 0).of('blue')
    clip.set_metainfo(dict(text_tokens=dict(input_ids=[0, 2], attention_mask=[1, 1])))
    clip.pop('text')
    with pytest.raises(ValueError, match='text_tokens'):
        word_attention(model, frames, clip, 0)
    without = tiny_model('ablations/wo_vli')
    with pytest.raises(ValueError, match='no VEwL'):
        word_attention(without, frames, clip, 0)


def test_map_of_a_word():
    attention = WordAttention(('The', 'red', 'the'), np.arange(3, dtype=np.float32)[:, None, None])
    assert attention.of('THE').item() == 0
    assert attention.of('red').item() == 1


def test_a_sentence_without_words_has_no_map(model):
    frames, clip = batch_for(model, text='?!')
    assert word_attention(model, frames, clip, 0).words == ()


def test_of_frames_and_a_sentence_as_the_inferencer_takes_them():
    inferencer = RVOSInferencer(shrink(CONFIGS / 'r18_synth.py'), device='cpu', show_progress=False)
    frames = np.random.default_rng(0).integers(0, 255, (2, 128, 192, 3), dtype=np.uint8)
    found = attention_of(inferencer, frames, 'The  Red star', 1)
    assert found.words == ('the', 'red', 'star')
    assert found.maps.shape == (3, 8, 12), 'of the 64x96 that the network sees'
    model = inferencer.model
    small = [cv2.resize(frame[..., ::-1], (96, 64), interpolation=cv2.INTER_AREA) for frame in frames]
    data = demo_rvos_inputs(1, 2, (64, 96), sentences=['the red star'])
    data['inputs'] = [torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)]
    data = model.data_preprocessor(data, False)
    expected = word_attention(model, data['inputs'][0], data['data_samples'][0], 1)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
