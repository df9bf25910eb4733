"""The sentence encoder: tokens, padding, where weights come from, and what it says when they cannot be had."""

import pytest
import tiny
import torch
from mmengine.logging import MMLogger
from transformers import RobertaConfig, RobertaModel

from ifirvos.models.text_encoder import RobertaTextEncoder, TextProjection

CONFIG = tiny.TINY['text_encoder']['config']
SENTENCES = ['the red circle', 'the small blue star that moves to the left']


def encoder(**kwargs) -> RobertaTextEncoder:
    built = RobertaTextEncoder(**{**dict(name='synth_tokenizer', pretrained=False, config=CONFIG), **kwargs})
    built.eval()
    return built


@pytest.fixture
def saved(tmp_path):
    """-> a folder as transformers writes it, and the model in it."""
    model = RobertaModel(RobertaConfig(**CONFIG))
    model.save_pretrained(tmp_path / 'roberta')
    return tmp_path / 'roberta', model


def test_tokens_are_padded_to_the_longest():
    tokens = encoder().tokenize(SENTENCES)
    lengths = tokens['attention_mask'].sum(1).tolist()
    assert lengths[0] < lengths[1] == tokens['input_ids'].shape[1]
    assert (tokens['input_ids'][0, lengths[0] :] == CONFIG.get('pad_token_id', 1)).all()
    assert tokens['input_ids'][:, 0].tolist() == [0, 0]  # <s>
    assert tokens['input_ids'].max() < CONFIG['vocab_size']


def test_long_sentences_are_cut_and_that_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    model = encoder(max_length=7)
    model.tokenize(['the red star'])
    assert said == []
    for _ in range(2):
        assert model.tokenize(['star', 'star ' * 50])['input_ids'].shape == (2, 7)
    assert len(said) == 1
    assert 'is cut to the 7' in said[0]


def test_own_tokens_are_as_good_as_a_sentence():
    """A clip may bring unpadded ``text_tokens`` in place of ``text``; no tokenizer is loaded then."""
    model, inputs = tiny.tiny_model(), tiny.frames(2, 1)
    clips = [tiny.clip(inputs, sentence) for sentence in SENTENCES]
    from_text = model.encode_text(clips)
    tokens = model.text_encoder.tokenize(SENTENCES)
    for clip, ids, mask in zip(clips, tokens['input_ids'], tokens['attention_mask'], strict=True):
        length = int(mask.sum())
        clip.set_metainfo(dict(text_tokens=dict(input_ids=ids[:length].tolist(), attention_mask=[1] * length)))
    model.text_encoder._tokenizer = None
    from_tokens = model.encode_text(clips)
    assert model.text_encoder._tokenizer is None
    assert torch.equal(from_text['words'], from_tokens['words'])
    assert torch.equal(from_text['word_mask'], from_tokens['word_mask'])


def test_padding_changes_no_word():
    text = encoder()
    alone, beside = (text(text.tokenize(sentences)) for sentences in (SENTENCES[:1], SENTENCES))
    length = alone['words'].shape[1]
    assert beside['padding_mask'][0].tolist() == [i >= length for i in range(beside['words'].shape[1])]
    torch.testing.assert_close(beside['words'][0, :length], alone['words'][0], rtol=0, atol=1e-6)
    torch.testing.assert_close(beside['pooled'][0], alone['pooled'][0], rtol=0, atol=1e-6)


@pytest.mark.parametrize('frozen', [True, False])
def test_frozen_has_no_gradient(frozen):
    text = encoder(frozen=frozen, with_pooler=False)
    words = text(text.tokenize(SENTENCES))['words']
    assert words.requires_grad != frozen
    assert all(parameter.requires_grad != frozen for parameter in text.parameters())


def test_without_pooler_there_is_none():
    text = encoder(with_pooler=False)
    assert text(text.tokenize(SENTENCES))['pooled'] is None
    assert not [name for name, _ in text.named_parameters() if 'pooler' in name]


def test_a_saved_folder_loads(saved):
    folder, model = saved
    text = RobertaTextEncoder(name=str(folder))
    expected = model.state_dict()
    assert text.embed_dims == CONFIG['hidden_size']
    assert all(torch.equal(tensor, expected[name]) for name, tensor in text.model.state_dict().items())


def test_initialising_the_model_keeps_loaded_weights(saved):
    folder, model = saved
    detector = tiny.tiny_model(text_encoder__name=str(folder), text_encoder__pretrained=True)  # calls init_weights()
    expected = model.double().state_dict()
    found = detector.text_encoder.model.state_dict()
    assert found.keys() == {name for name in expected if not name.startswith('pooler')}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_a_missing_folder_is_named_with_the_key_to_set(tmp_path):
    with pytest.raises(RuntimeError, match=r'nowhere.* could not be loaded\. Set model\.text_encoder\.name'):
        RobertaTextEncoder(name=str(tmp_path / 'nowhere'))


def test_a_missing_tokenizer_is_named_with_the_way_out(tmp_path):
    text = encoder(name=str(tmp_path / 'nowhere'))  # building reads no file
    with pytest.raises(RuntimeError, match=r'tokenizer .*nowhere.* could not be loaded.*text_tokens'):
        text.tokenize(SENTENCES)


def test_projection_has_the_reference_epsilon():
    """LayerNorm eps 1e-12: a tiny signal is normalised all the same."""
    projection = TextProjection(4, 4).eval()
    with torch.no_grad():
        projection.fc.weight.copy_(torch.eye(4))
        projection.fc.bias.zero_()
    out = projection(torch.tensor([1e-4, -1e-4, 1e-4, -1e-4]))
    torch.testing.assert_close(out, torch.tensor([1.0, -1, 1, -1]), rtol=0, atol=1e-3)
