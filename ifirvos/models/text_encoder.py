"""The text encoder: RoBERTa, and the projection of its features to the visual width."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.utils import digit_version
from torch import Tensor, nn

from ifirvos.checkpoint import no_weights
from ifirvos.deferred_imports import deferred
from ifirvos.errors import InputError, ModelError, first_line
from ifirvos.registry import MODELS
from ifirvos.structures import to_device
from ifirvos.transformers_exports import listed_once

_ASSETS = Path(__file__).parents[1] / 'assets'
# roberta-base's config.json, so that with weights from a checkpoint only the tokenizer files are needed.
ROBERTA_BASE = dict(
    vocab_size=50265,
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
    max_position_embeddings=514,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
)
_HUB_NAMES = ('roberta-base', 'FacebookAI/roberta-base')
# Imported with every model of transformers: for training on many devices, generating text, and losses of detectors.
# They need torch's compiler and sharded tensors, more than a second.
UNUSED_OF_TRANSFORMERS = (
    'scipy',
    'transformers.distributed.checkpoint',
    'transformers.distributed.expert_parallel',
    'transformers.distributed.fsdp',
    'transformers.distributed.parallel_utils',
    'transformers.distributed.pipeline_parallel',
    'transformers.distributed.sharding_utils',
    'transformers.distributed.tensor_parallel',
    'transformers.distributed.utils',
    'transformers.generation.continuous_batching',
    'transformers.integrations.flex_attention',
)
TOKENIZER_FILES = 'tokenizer.json and tokenizer_config.json, or vocab.json and merges.txt'
KNOWN_SENTENCE = 'a dog on the left'
ROBERTAS_SENTENCE, ROBERTAS_IDS = 'Hello world!', [0, 31414, 232, 328, 2]  # of all models with its vocabulary


def without_weights(cfg: Mapping[str, Any], folder: str | None = None) -> dict[str, Any]:
    """Return the config of a text encoder whose weights come from a checkpoint, so that no others are needed.

    Args:
        cfg: Config of :class:`RobertaTextEncoder`; of another class, it stays as it is.
        folder: Folder or hub name that the tokenizer comes from, in place of the config's own.

    Raises:
        InputError: The encoder is not ``roberta-base``, and neither its folder nor the given one has a
            ``config.json``, so its shape is not known.
    """
    cfg = dict(cfg)
    kind = cfg.get('type', RobertaTextEncoder)
    if (MODELS.get(kind) if isinstance(kind, str) else kind) is not RobertaTextEncoder:
        return cfg
    name = cfg.get('name', _HUB_NAMES[0])
    if cfg.get('pretrained', True):
        places = (RobertaTextEncoder._resolve(name), *([] if folder is None else [folder]))
        stored = next((Path(place, 'config.json') for place in places if Path(place, 'config.json').is_file()), None)
        if name in _HUB_NAMES:
            shape = ROBERTA_BASE
        elif stored is not None:
            shape = json.loads(stored.read_text(encoding='utf-8'))
            shape = {key: value for key, value in shape.items() if key not in ('architectures', 'model_type')}
        else:
            raise InputError(
                f'The shape of the text encoder {name!r} is not known without its files. Name a folder that holds its '
                'config.json and tokenizer (--text-encoder), or give the shape as model.text_encoder.config with '
                'model.text_encoder.pretrained=False (--cfg-options).'
            )
        cfg.update(pretrained=False, config={**shape, **(cfg.get('config') or {})})
    if folder is not None:
        cfg['name'] = str(folder)
    return cfg


@MODELS.register_module()
class RobertaTextEncoder(BaseModule):
    """RoBERTa from ``transformers``, with its tokenizer.

    Args:
        name: A hub name, a local folder, or the name of a folder that ships with the package. The tokenizer
            always comes from there; it is checked when it is loaded, at the first sentence or in advance
            (:func:`load_tokenizers`).
        pretrained: Load the weights from ``name``; False builds ``RobertaConfig(**config)`` with random weights
            and reads no file.
        config: Fields of ``RobertaConfig``; with ``pretrained`` they override the stored ones.
        with_pooler: Keep RoBERTa's pooler. Off if nothing uses it (LEwV pools the text itself), so that distributed
            training has no parameter without a gradient.
        frozen: Give the parameters no gradient. As in the reference, dropout stays on in training mode.
        max_length: Longer sentences are cut to this many tokens, and to the positions of the model (roberta-base: 512).
    """

    def __init__(
        self,
        name: str = 'roberta-base',
        pretrained: bool = True,
        config: dict | None = None,
        with_pooler: bool = True,
        frozen: bool = False,
        max_length: int = 512,
    ) -> None:
        super().__init__()
        self.name = self._resolve(name)
        self.frozen = frozen
        self.model = self._build(pretrained, dict(config or {}), with_pooler)
        # RoBERTa counts its positions from the one behind the padding's.
        positions = self.model.config.max_position_embeddings - self.model.config.pad_token_id - 1
        self.max_length = min(max_length, positions)
        self.pad_token_id = self.model.config.pad_token_id
        self.pad_to_multiple_of: int | None = None  # see CompileHook
        self._tokenizer = None
        self._said_cut = False
        if frozen:
            self.requires_grad_(False)

    @staticmethod
    def _resolve(name: str) -> str:
        shipped = _ASSETS / name
        return str(shipped) if not Path(name).is_dir() and shipped.is_dir() else name

    def _build(self, pretrained: bool, config: dict, with_pooler: bool) -> nn.Module:
        # The second imports the packages of which it defers parts.
        with listed_once(), deferred(*UNUSED_OF_TRANSFORMERS, decorators=['torch._dynamo']):
            from transformers import RobertaConfig, RobertaModel

        if not pretrained:
            return RobertaModel(RobertaConfig(**config), add_pooling_layer=with_pooler)
        self._check_folder()
        try:
            model, loaded = RobertaModel.from_pretrained(
                self.name, add_pooling_layer=with_pooler, output_loading_info=True, **config
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f'The text encoder {self.name!r} could not be loaded. Set model.text_encoder.name to a folder that '
                f'holds it (config.json, weights, tokenizer files), or make the hub reachable. {first_line(error)}'
            ) from error
        # transformers initialises missing weights randomly and only logs it.
        missing = [key for key in loaded['missing_keys'] if not key.startswith('pooler.') and 'position_ids' not in key]
        if missing:
            raise ModelError(
                f'The weights of {self.name!r} do not fill the RoBERTa that its config describes: {len(missing)} '
                f'tensors are missing, such as {sorted(missing)[0]}. They are of fewer layers, or of another model.'
            )
        return model.float()  # transformers 5 keeps the type of the file

    def _check_folder(self) -> None:
        """Raise for a folder with another kind of model, or without proper weights."""
        folder = Path(self.name)
        if (folder / 'config.json').is_file():
            try:
                stored = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
                kind = stored.get('model_type', 'roberta')
            except (ValueError, AttributeError) as error:
                raise ModelError(f'{folder / "config.json"} is no JSON object ({error}).') from error
            if kind != 'roberta':
                raise ModelError(
                    f'{folder} holds a model of type {kind!r}, not a RoBERTa: set model.text_encoder.name to '
                    'roberta-base or a folder that holds it.'
                )
        for path in (*folder.glob('*.safetensors'), *folder.glob('pytorch_model*.bin')):
            if instead := no_weights(path):
                raise ModelError(f'{path} holds no weights: it is {instead}.')

    def init_weights(self) -> None:
        """Do nothing: the weights come from ``from_pretrained`` or transformers' initialisation."""

    @property
    def embed_dims(self) -> int:
        """Width of the hidden states."""
        return self.model.config.hidden_size

    @property
    def tokenizer(self):
        """Tokenizer of transformers, loaded on first use."""
        if self._tokenizer is None:
            self._tokenizer = self._load_tokenizer()
        return self._tokenizer

    def _load_tokenizer(self):
        """Load and check the tokenizer: an empty one would give the same tokens for every sentence.

        Raises:
            ModelError: It cannot be had, or does not fit the model's vocabulary.
        """
        from transformers import AutoTokenizer, RobertaTokenizerFast

        folder = Path(self.name)
        bare = (folder / 'vocab.json').is_file() and not (
            (folder / 'tokenizer_config.json').is_file() or (folder / 'config.json').is_file()
        )
        try:
            tokenizer = (RobertaTokenizerFast if bare else AutoTokenizer).from_pretrained(self.name)
        except Exception as error:  # transformers and the Hub client raise many kinds of errors
            raise ModelError(
                f'The tokenizer {self.name!r} could not be loaded ({first_line(error)}). {_tokenizer_advice()}'
            ) from error
        self._check_tokenizer(tokenizer)
        return tokenizer

    def _check_tokenizer(self, tokenizer) -> None:
        """Raise if the tokenizer does not fit the model.

        Raises:
            ModelError: Its size or special tokens differ from the model's, a known sentence does not come back, or
                the model has RoBERTa's vocabulary and a known sentence gives other tokens than RoBERTa's.
        """
        config, size = self.model.config, len(tokenizer)
        problem = None
        if not 0.9 * config.vocab_size <= size <= config.vocab_size:
            problem = f'it has {size} entries, and the model a vocabulary of {config.vocab_size}'
        elif tokenizer.pad_token_id != config.pad_token_id:
            problem = f'its padding is token {tokenizer.pad_token_id}, and the model takes {config.pad_token_id} for it'
        else:
            ids = tokenizer(KNOWN_SENTENCE)['input_ids']
            back = tokenizer.decode(ids, skip_special_tokens=True).strip()
            if back != KNOWN_SENTENCE or max(ids) >= config.vocab_size:
                problem = f'{KNOWN_SENTENCE!r} comes back from it as {back!r}'
            elif config.vocab_size == ROBERTA_BASE['vocab_size']:
                ids = tokenizer(ROBERTAS_SENTENCE)['input_ids']
                if ids != ROBERTAS_IDS:
                    problem = f'{ROBERTAS_SENTENCE!r} gives the tokens {ids}, and RoBERTa knows it as {ROBERTAS_IDS}'
        if problem:
            raise ModelError(f'The tokenizer {self.name!r} does not fit the model: {problem}. {_tokenizer_advice()}')

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """B sentences -> ``input_ids`` and ``attention_mask`` (1 = token), both (B,L), padded to the longest."""
        multiple = self.pad_to_multiple_of
        tokens = self.tokenizer(
            list(sentences),
            padding='longest',
            truncation=True,
            max_length=self.max_length,
            # The model has positions for max_length tokens only.
            pad_to_multiple_of=None if multiple is None or self.max_length % multiple else multiple,
            return_tensors='pt',
        )
        if tokens['input_ids'].shape[1] >= self.max_length and not self._said_cut:
            self._warn_of_a_cut(sentences)
        return {key: tokens[key] for key in ('input_ids', 'attention_mask')}

    def _warn_of_a_cut(self, sentences: Sequence[str]) -> None:
        """Warn once that a sentence was truncated."""
        for sentence in sentences:
            length = len(self.tokenizer(sentence, truncation=False, verbose=False)['input_ids'])
            if length > self.max_length:
                self._said_cut = True
                MMLogger.get_current_instance().warning(
                    f'A sentence of {length} tokens is cut to the {self.max_length} that the text encoder takes, as '
                    f'all longer ones will be: {sentence[:60]!r} …'
                )
                return

    def token_spans(self, sentence: str) -> list[tuple[int, int]]:
        """Return the (start, end) of each of the L tokens in the sentence; (0, 0) for special tokens."""
        tokens = self.tokenizer(sentence, truncation=True, max_length=self.max_length, return_offsets_mapping=True)
        return [tuple(span) for span in tokens['offset_mapping']]

    def collate_tokens(self, token_lists: Sequence[dict]) -> dict[str, Tensor]:
        """B dicts of unpadded ``input_ids`` and ``attention_mask`` lists -> the same two, padded to (B,L)."""
        length = max(len(tokens['input_ids']) for tokens in token_lists)
        input_ids = torch.full((len(token_lists), length), self.pad_token_id, dtype=torch.long)
        attention_mask = torch.zeros_like(input_ids)
        for row, tokens in enumerate(token_lists):
            size = len(tokens['input_ids'])
            input_ids[row, :size] = torch.as_tensor(tokens['input_ids'])
            attention_mask[row, :size] = torch.as_tensor(tokens['attention_mask'])
        return dict(input_ids=input_ids, attention_mask=attention_mask)

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor | None]:
        """Encode the output of :meth:`tokenize`.

        Returns:
            dict: ``words`` (B,L,D) the last hidden state, ``pooled`` (B,D) RoBERTa's pooler output or None without a
            pooler, ``padding_mask`` (B,L) True on padding.
        """
        input_ids, mask = (to_device(tokens[key], self.model.device) for key in ('input_ids', 'attention_mask'))
        attended = mask
        if self.model.device.type != 'cpu' and self.leaves_masks_unread:
            attended = _taken_as_it_is(tokens['attention_mask'], mask)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            output = self.model(input_ids=input_ids, attention_mask=attended)
        return dict(words=output.last_hidden_state, pooled=output.pooler_output, padding_mask=mask.ne(1))

    @property
    def leaves_masks_unread(self) -> bool:
        """Whether transformers, from 5 on, takes a mask (B,1,L,L) as it is.

        It reads one of (B,L) back from a GPU, to see whether there is any padding, and waits for all the GPU has to do.
        """
        import transformers

        sdpa = self.model.config._attn_implementation == 'sdpa'
        return sdpa and digit_version(transformers.__version__) >= digit_version('5.0.0')


class TextProjection(nn.Module):
    """Linear, LayerNorm (eps 1e-12), dropout: ReferFormer's "resizer", shared by words and sentence."""

    def __init__(self, in_features: int, out_features: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.fc = nn.Linear(in_features, out_features)
        self.norm = nn.LayerNorm(out_features, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return self.dropout(self.norm(self.fc(x)))


def load_tokenizers(model: nn.Module) -> None:
    """Load and check the tokenizers of a model in advance.

    Raises:
        InputError: One cannot be had, or does not fit.
    """
    for module in model.modules():
        if isinstance(module, RobertaTextEncoder):
            try:
                module.tokenizer  # noqa: B018
            except RuntimeError as error:
                raise InputError(str(error)) from error


def _taken_as_it_is(given: Tensor, mask: Tensor) -> Tensor | None:
    """Return a mask (B,L) as (B,1,L,L), or None if it is known without waiting that there is no padding.

    Args:
        given: The mask where the data loader left it.
        mask: The same on the device of the model.
    """
    if given.device.type == 'cpu' and given.all():
        return None
    return mask.bool()[:, None, None].expand(-1, -1, mask.shape[1], -1)


def _tokenizer_advice() -> str:
    return (
        f'Put {TOKENIZER_FILES} of https://huggingface.co/FacebookAI/roberta-base (about 2 MB; no weights are needed) '
        'into a folder and name it: --text-encoder FOLDER (text_encoder=, model.text_encoder.name in a config). '
        'Samples may also bring `text_tokens` in place of `text`.'
    )
