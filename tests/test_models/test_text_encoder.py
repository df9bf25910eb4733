"""The sentence encoder: tokens, padding, where weights come from, and what it says when they cannot be had."""

import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiny
import torch
import transformers
from mmengine.logging import MMLogger
from mmengine.utils import digit_version
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

sys.path.insert(0, str(Path(__file__).parents[1] / 'parity'))
import official_files

from ifirvos.errors import InputError
from ifirvos.models.text_encoder import (
    ROBERTA_BASE,
    RobertaTextEncoder,
    TextProjection,
    _taken_as_it_is,
    load_tokenizers,
    without_weights,
)
from ifirvos.testing import TEXT

CONFIG = dict(TEXT, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
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


def test_a_mask_that_is_not_read_back_changes_no_word():
    """What a GPU is given in place of (B,L); None where the host knows that there is no padding."""
    text = encoder().eval()
    if digit_version(transformers.__version__) < digit_version('5.0.0'):
        assert not text.leaves_masks_unread
        pytest.skip('transformers 4 takes masks (B,L)')
    assert text.leaves_masks_unread
    for sentences in (SENTENCES, SENTENCES[:1]):
        tokens = text.tokenize(sentences)
        mask, wanted = tokens['attention_mask'], text(tokens)
        on_host = _taken_as_it_is(mask, mask)
        assert (on_host is None) == (len(sentences) == 1)
        for unread in (on_host, _taken_as_it_is(mask.to('meta'), mask)):
            words = text.model(input_ids=tokens['input_ids'], attention_mask=unread).last_hidden_state
            torch.testing.assert_close(words, wanted['words'], rtol=0, atol=1e-6)


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


def test_a_folder_in_half_precision_gives_a_model_in_single(saved, tmp_path):
    """transformers 5 keeps the type of the file."""
    saved[1].half().save_pretrained(tmp_path)
    text = RobertaTextEncoder(name=str(tmp_path))
    assert {p.dtype for p in text.parameters()} == {torch.float32}


def test_no_more_tokens_than_positions():
    """The first positions, up to the padding's, are not used."""
    model = encoder(config={**CONFIG, 'max_position_embeddings': 20})
    assert model.max_length == 20 - model.pad_token_id - 1
    model(model.tokenize(['star ' * 50]))


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


class TestWeightsFromElsewhere:
    """A checkpoint that brings the text encoder needs its shape and its tokenizer, and no file of weights."""

    def test_roberta_base_needs_no_file_for_its_shape(self):
        cfg = without_weights(dict(type='RobertaTextEncoder', name='roberta-base', pretrained=True), 'folder')
        assert cfg == dict(type='RobertaTextEncoder', name='folder', pretrained=False, config=ROBERTA_BASE)

    def test_known_fields_of_the_config_win(self):
        cfg = without_weights(dict(name='roberta-base', config=dict(num_hidden_layers=2)))
        assert cfg['config'] == {**ROBERTA_BASE, 'num_hidden_layers': 2}

    def test_a_folder_tells_its_shape(self, saved):
        folder, model = saved
        text = RobertaTextEncoder(**without_weights(dict(name=str(folder))))
        assert {k: v.shape for k, v in text.model.state_dict().items()} == {
            k: v.shape for k, v in model.state_dict().items()
        }

    def test_others_stay_or_are_asked_for(self):
        assert without_weights(dict(type='Mine', name='x'), 'folder') == dict(type='Mine', name='x')
        assert without_weights(dict(pretrained=False, config=CONFIG)) == dict(pretrained=False, config=CONFIG)
        with pytest.raises(
            InputError, match=r"shape of the text encoder 'someone/roberta' is not known.*pretrained=False"
        ):
            without_weights(dict(name='someone/roberta'))

    def test_a_model_of_another_size_has_its_shape_in_the_folder_that_is_given(self, saved):
        cfg = without_weights(dict(name='someone/roberta'), str(saved[0]))
        assert (cfg['config']['hidden_size'], cfg['name']) == (CONFIG['hidden_size'], str(saved[0]))

    def test_the_hub_is_asked_for_no_weights(self, tmp_path):
        asked = []

        class Hub(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_error(404)

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        code = (
            'import ifirvos\n'
            'from ifirvos.models.text_encoder import *\n'
            'from ifirvos.models.text_encoder import load_tokenizers, without_weights\n'
            'small = dict(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)\n'
            'text = RobertaTextEncoder(**without_weights(dict(name="roberta-base", config=small)))\n'
            'load_tokenizers(text)\n'
        )
        with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hub) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            environment = {
                **{key: value for key, value in os.environ.items() if not key.lower().endswith('_proxy')},
                'HF_ENDPOINT': f'http://127.0.0.1:{server.server_address[1]}',
                'HF_HOME': str(tmp_path),
                'HF_HUB_OFFLINE': '0',
            }
            done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True)
            server.shutdown()
        assert 'vocab.json and merges.txt' in done.stderr
        assert asked
        assert not [path for path in asked if path.endswith(('.safetensors', '.bin', '.h5', '.msgpack', '.index.json'))]


class TestTokenizerIsChecked:
    """A blank tokenizer makes the same two tokens of every sentence."""

    def test_a_folder_without_tokenizer_files_is_refused(self, saved):
        folder, _ = saved  # config and weights, as a cache has them after the model was built online
        with pytest.raises(InputError, match=r'--text-encoder FOLDER'):
            load_tokenizers(encoder(name=str(folder)))

    def test_one_of_another_size_is_refused(self):
        with pytest.raises(InputError, match='has 537 entries, and the model a vocabulary of 700'):
            load_tokenizers(encoder(config={**CONFIG, 'vocab_size': 700}))

    def test_one_with_other_special_tokens_is_refused(self):
        with pytest.raises(InputError, match='its padding is token 1, and the model takes 0'):
            load_tokenizers(encoder(config={**CONFIG, 'pad_token_id': 0}))

    @pytest.mark.parametrize('robertas', [True, False])
    def test_one_of_robertas_size_has_its_ids_or_is_refused(self, robertas, tmp_path):
        official_files.write_tokenizer(tmp_path / 'tokenizer', robertas=robertas)
        text = encoder(name=str(tmp_path / 'tokenizer'), config={**CONFIG, 'vocab_size': 50265})
        if robertas:
            load_tokenizers(text)
            return
        with pytest.raises(InputError, match=r"'Hello world!' gives the tokens .*\[0, 31414, 232, 328, 2\]"):
            load_tokenizers(text)

    def test_two_files_are_enough(self, tmp_path):
        for name in ('vocab.json', 'merges.txt'):
            (tmp_path / name).write_text((tiny_assets() / name).read_text())
        text = encoder(name=str(tmp_path))
        assert torch.equal(text.tokenize(SENTENCES)['input_ids'], encoder().tokenize(SENTENCES)['input_ids'])


def tiny_assets():
    from ifirvos.models import text_encoder

    return text_encoder._ASSETS / 'synth_tokenizer'


class TestOtherWeightsAreRefused:
    """transformers would fill with random values what does not fit."""

    def test_of_fewer_layers(self, saved):
        folder, _ = saved
        stored = json.loads((folder / 'config.json').read_text())
        (folder / 'config.json').write_text(json.dumps({**stored, 'num_hidden_layers': 4}))
        with pytest.raises(RuntimeError, match=r'do not fill the RoBERTa.*fewer layers'):
            RobertaTextEncoder(name=str(folder))

    def test_of_bert(self, tmp_path):
        shape = {k: CONFIG[k] for k in ('vocab_size', 'hidden_size', 'num_hidden_layers', 'num_attention_heads')}
        BertModel(BertConfig(**shape, intermediate_size=8)).save_pretrained(tmp_path)
        with pytest.raises(RuntimeError, match="a model of type 'bert', not a RoBERTa"):
            RobertaTextEncoder(name=str(tmp_path))

    def test_a_pointer_or_a_page(self, saved):
        folder, _ = saved
        (folder / 'model.safetensors').write_text('version https://git-lfs.github.com/spec/v1\n')
        with pytest.raises(RuntimeError, match=r"model\.safetensors holds no weights: it is Git LFS's pointer"):
            RobertaTextEncoder(name=str(folder))
        (folder / 'model.safetensors').write_text('<html>Not found</html>')
        with pytest.raises(RuntimeError, match='a web page'):
            RobertaTextEncoder(name=str(folder))
