"""The sentence encoder: RoBERTa and the projection of its features to the width of the visual ones."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from ifirvos.registry import MODELS

_ASSETS = Path(__file__).parents[1] / 'assets'


@MODELS.register_module()
class RobertaTextEncoder(BaseModule):
    """RoBERTa from ``transformers``, with its tokenizer.

    Args:
        name: A hub name, a local folder, or the name of a folder that ships with the package. The tokenizer
            always comes from there, and is not loaded before a sentence has to be tokenised.
        pretrained: Load the weights from ``name``; False builds ``RobertaConfig(**config)`` with random weights
            and reads no file.
        config: Fields of ``RobertaConfig``; with ``pretrained`` they override the stored ones.
        with_pooler: Keep RoBERTa's pooler. Off where nothing reads it (LEwV pools its own text), so that
            distributed training has no parameter without a gradient.
        frozen: Give the parameters no gradient. As in the reference, dropout stays on in training mode.
        max_length: Longer sentences are cut to this many tokens (RoBERTa has 512 positions).
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
        self.max_length = max_length
        self.frozen = frozen
        self.model = self._build(pretrained, dict(config or {}), with_pooler)
        self.pad_token_id = self.model.config.pad_token_id
        self._tokenizer = None
        self._said_cut = False
        if frozen:
            self.requires_grad_(False)

    @staticmethod
    def _resolve(name: str) -> str:
        shipped = _ASSETS / name
        return str(shipped) if not Path(name).is_dir() and shipped.is_dir() else name

    def _build(self, pretrained: bool, config: dict, with_pooler: bool) -> nn.Module:
        from transformers import RobertaConfig, RobertaModel

        if not pretrained:
            return RobertaModel(RobertaConfig(**config), add_pooling_layer=with_pooler)
        try:
            return RobertaModel.from_pretrained(self.name, add_pooling_layer=with_pooler, **config)
        except (OSError, ValueError) as error:
            raise RuntimeError(
                f'The text encoder {self.name!r} could not be loaded. Set model.text_encoder.name to a folder that '
                'holds it (config.json, weights, tokenizer files), or make the hub reachable.'
            ) from error

    def init_weights(self) -> None:
        """Nothing: the weights come from ``from_pretrained`` or from transformers' own initialisation."""

    @property
    def embed_dims(self) -> int:
        """Width of the hidden states."""
        return self.model.config.hidden_size

    @property
    def tokenizer(self):
        """Tokenizer of transformers, loaded when it is first asked for."""
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            try:
                self._tokenizer = AutoTokenizer.from_pretrained(self.name)
            except (OSError, ValueError) as error:
                raise RuntimeError(
                    f'The tokenizer {self.name!r} could not be loaded. Set model.text_encoder.name to a folder that '
                    'holds its files, or give the samples `text_tokens` in place of `text`.'
                ) from error
        return self._tokenizer

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """B sentences -> ``input_ids`` and ``attention_mask`` (1 = token), both (B,L), padded to the longest."""
        tokens = self.tokenizer(
            list(sentences), padding='longest', truncation=True, max_length=self.max_length, return_tensors='pt'
        )
        if tokens['input_ids'].shape[1] >= self.max_length and not self._said_cut:
            self._warn_of_a_cut(sentences)
        return {key: tokens[key] for key in ('input_ids', 'attention_mask')}

    def _warn_of_a_cut(self, sentences: Sequence[str]) -> None:
        """Say once that a sentence was cut."""
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
        """Return where each of the sentence's L tokens stands in it, (start, end); (0, 0) for special tokens."""
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
        """Encode what :meth:`tokenize` gave.

        Returns:
            dict: ``words`` (B,L,D) the last hidden state, ``pooled`` (B,D) RoBERTa's pooler output or None without a
            pooler, ``padding_mask`` (B,L) True on padding.
        """
        tokens = {key: value.to(self.model.device) for key, value in tokens.items()}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            output = self.model(**tokens)
        return dict(
            words=output.last_hidden_state,
            pooled=output.pooler_output,
            padding_mask=tokens['attention_mask'].ne(1),
        )


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
