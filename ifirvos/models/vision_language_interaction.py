"""Vision-language interaction before the Transformer (paper 3.3, Figure 3)."""

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from torch import Tensor, nn

from ifirvos.errors import InputError
from ifirvos.registry import MODELS

from .attention import Attention

FUSIONS = ('multiply', 'ffn')
TEXTS = ('fixed', 'dynamic')
ORDERS = ('fine_to_coarse', 'coarse_to_fine')
POOLINGS = ('first', 'mean')
INITS = ('xavier', 'torch')


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f'{name} must be one of {allowed}, not {value!r}')


def _attention_inputs(features: Tensor, position: Tensor, value_pos: bool) -> tuple[Tensor, Tensor]:
    """Return key and value of the attention to features (B,K,C) with positions (B,K,C)."""
    key = features + position
    return key, key if value_pos else features


class CrossModalInteraction(BaseModule):
    """Attention of one modality to the other, fused with the query: the building block of VEwL and LEwV.

    ``multiply`` is eq. 2 and 4: ``attn(x, y) * x``, no residual, no norm. ``ffn`` is Table 5's "Attention+FFN":
    ``LN(x + attn)``, then ``LN(x + FFN(x))``.
    """

    def __init__(self, embed_dims: int, num_heads: int, fusion: str, feedforward_channels: int) -> None:
        super().__init__()
        _check('fusion', fusion, FUSIONS)
        self.fusion = fusion
        self.attn = Attention(embed_dims, num_heads)
        if fusion == 'ffn':
            self.ffn = FFN(embed_dims, feedforward_channels)
            self.norms = nn.ModuleList(nn.LayerNorm(embed_dims) for _ in range(2))

    def forward(self, x: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None) -> Tensor:
        """Map x (B,Q,C), key and value (B,K,C), key_padding_mask (B,K) True on padding -> (B,Q,C)."""
        attended = self.attn(x, key, value, key_padding_mask=key_padding_mask)[0]
        if self.fusion == 'multiply':
            return attended * x
        return self.norms[1](self.ffn(self.norms[0](x + attended)))


class LanguageEnhancementWithVision(BaseModule):
    """LEwV (eq. 1-2): the words attend to the levels of the clip one after the other; then the first token is pooled.

    Args:
        embed_dims: Channels C.
        num_heads: Heads of the attention that all iterations share.
        fusion: See :class:`CrossModalInteraction`.
        feedforward_channels: Hidden channels of the FFN of ``fusion='ffn'``.
        residual: ``F + attn * F``. Not in the paper; keeps the scale of F at initialisation.
        post_norm: LayerNorm of the pooled words, before the linear layer. Not in the paper, off by default.
        text_gate: Add the pooled words from before the first iteration, times one weight per channel that starts at
            zero. Not in the paper; keeps sentences distinct where the iterations make them alike.
        value_pos: Add positions to the values too, not only to the keys: the paper's "added to the visual features
            before the cross-attention" can mean either.
        order: Order of the levels: ``'fine_to_coarse'`` or ``'coarse_to_fine'``.
        pooling: Pooling of the words: the ``'first'`` token, as in RoBERTa, or the ``'mean'`` of all.
        gate: Start the queries from RoBERTa's pooled output, as in ReferFormer, plus F_l^s times one weight per
            channel that starts at zero (:meth:`IFIRVOS.interact`). Not in the paper; with ReferFormer's weights the
            first forward then equals ReferFormer's.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        fusion: str = 'multiply',
        feedforward_channels: int = 2048,
        residual: bool = False,
        post_norm: bool = False,
        text_gate: bool = False,
        value_pos: bool = False,
        order: str = 'fine_to_coarse',
        pooling: str = 'first',
        gate: bool = False,
    ) -> None:
        super().__init__()
        _check('order', order, ORDERS)
        _check('pooling', pooling, POOLINGS)
        self.value_pos, self.order, self.pooling = value_pos, order, pooling
        self.interaction = CrossModalInteraction(embed_dims, num_heads, fusion, feedforward_channels)
        self.residual = residual
        self.norm = nn.LayerNorm(embed_dims) if post_norm else nn.Identity()
        self.pool = nn.Linear(embed_dims, embed_dims)
        self.text_gate = nn.Parameter(torch.zeros(embed_dims)) if text_gate else None
        self.gate = nn.Parameter(torch.zeros(embed_dims)) if gate else None

    def _poolout(self, words: Tensor, word_mask: Tensor | None) -> Tensor:
        """Pool words (B,L,C) by ``pooling`` -> (B,C), then linear layer and tanh: RoBERTa's "poolout"."""
        if self.pooling == 'first':
            pooled = words[:, 0]
        else:
            valid = torch.ones_like(words[..., :1]) if word_mask is None else (~word_mask)[..., None].to(words)
            pooled = (words * valid).sum(1) / valid.sum(1)
        return self.pool(self.norm(pooled)).tanh()

    def forward(
        self,
        words: Tensor,
        levels: list[Tensor],
        positions: list[Tensor],
        masks: list[Tensor | None],
        word_mask: Tensor | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """Iterate over the levels in ``order``.

        Args:
            words: F_l (B,L,C).
            levels: All T frames of each level, fine to coarse, (B,T*h*w,C).
            positions: Their 2-D encodings, same shape.
            masks: (B,T*h*w), True on padding.
            word_mask: (B,L), True on padding; None where no sentence is padded.

        Returns:
            tuple: F_l before and after each of the N_l iterations, N_l + 1 times (B,L,C), and the sentence (B,C).
        """
        # The product shrinks F about fiftyfold at initialisation, so gradients would underflow in fp16.
        with torch.autocast(words.device.type, enabled=False):
            dtype = self.pool.weight.dtype
            texts = [words.to(dtype)]
            inputs = list(zip(levels, positions, masks, strict=True))
            for level, position, mask in inputs if self.order == 'fine_to_coarse' else reversed(inputs):
                key, value = _attention_inputs(level.to(dtype), position.to(dtype), self.value_pos)
                text = self.interaction(texts[-1], key, value, mask)
                texts.append(texts[-1] + text if self.residual else text)
            sentence = self._poolout(texts[-1], word_mask)
            if self.text_gate is not None:
                sentence = sentence + self.text_gate * self._poolout(texts[0], word_mask)
        return texts, sentence


class VisionEnhancementWithLanguage(BaseModule):
    """VEwL (eq. 3-4): every pixel attends to the words; one attention is shared by all levels.

    Args:
        embed_dims: Channels C.
        num_heads: Heads of the attention.
        fusion: See :class:`CrossModalInteraction`.
        feedforward_channels: Hidden channels of the FFN of ``fusion='ffn'``.
        value_pos: Add positions to the values too, not only to the keys.
        out_proj_init: Initialisation of the attention's output projection: ``'xavier'``, as in the transformer
            (std 0.062 at C=256), or ``'torch'``, PyTorch's default, as in ReferFormer (std 0.036).
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        fusion: str = 'multiply',
        feedforward_channels: int = 2048,
        value_pos: bool = False,
        out_proj_init: str = 'xavier',
    ) -> None:
        super().__init__()
        _check('out_proj_init', out_proj_init, INITS)
        self.value_pos, self.out_proj_init = value_pos, out_proj_init
        self.interaction = CrossModalInteraction(embed_dims, num_heads, fusion, feedforward_channels)

    def forward(self, level: Tensor, words: Tensor, position: Tensor, padding_mask: Tensor) -> Tensor:
        """Map level (B,T*h*w,C), words and position (B,L,C), padding_mask (B,L) True on padding -> (B,T*h*w,C)."""
        return self.interaction(level, *_attention_inputs(words, position, self.value_pos), padding_mask)


@MODELS.register_module()
class VisionLanguageInteraction(BaseModule):
    """VEwL and LEwV; either may be None (off).

    Args:
        vewl: Arguments of :class:`VisionEnhancementWithLanguage`.
        lewv: Arguments of :class:`LanguageEnhancementWithVision`.
        embed_dims: Channels C of both.
        num_heads: Attention heads of both.
        fusion: 'multiply' (paper) or 'ffn', of both (Table 5).
        feedforward_channels: Hidden channels of the FFN of ``fusion='ffn'``.
        text: Which words VEwL attends to: 'fixed', the raw words (paper), or 'dynamic', for level i LEwV's words after
            i iterations (Table 5).
    """

    def __init__(
        self,
        vewl: dict | None,
        lewv: dict | None,
        embed_dims: int = 256,
        num_heads: int = 8,
        fusion: str = 'multiply',
        feedforward_channels: int = 2048,
        text: str = 'fixed',
    ) -> None:
        super().__init__()
        _check('text', text, TEXTS)
        if text == 'dynamic' and (lewv is None or vewl is None):
            raise InputError("text='dynamic' needs both vewl and lewv: it is LEwV that updates the text VEwL reads")
        shared = dict(
            embed_dims=embed_dims, num_heads=num_heads, fusion=fusion, feedforward_channels=feedforward_channels
        )
        self.text = text
        self.vewl = None if vewl is None else VisionEnhancementWithLanguage(**{**shared, **vewl})
        self.lewv = None if lewv is None else LanguageEnhancementWithVision(**{**shared, **lewv})

    @property
    def gives_sentence(self) -> bool:
        """Whether :meth:`forward` returns the complete sentence: with LEwV and without a gate."""
        return self.lewv is not None and self.lewv.gate is None

    @property
    def reads_positions(self) -> bool:
        """Whether :meth:`forward` uses the position encodings of the pixels: LEwV does."""
        return self.lewv is not None

    def init_weights(self) -> None:
        """Initialise every matrix with Xavier, as in the transformer, except for ``out_proj_init``."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if self.vewl is not None and self.vewl.out_proj_init == 'torch':
            self.vewl.interaction.attn.out_proj.reset_parameters()
            nn.init.zeros_(self.vewl.interaction.attn.out_proj.bias)

    def forward(
        self,
        levels: list[Tensor],
        positions: list[Tensor],
        masks: list[Tensor | None],
        words: Tensor,
        word_position: Tensor,
        word_mask: Tensor,
        max_pixels: int | None = None,
    ) -> tuple[list[Tensor], Tensor | None, list[Tensor]]:
        """F_v, F_l -> F'_v and the sentence F_l^s.

        Args:
            levels: F_v, all T frames of each level, (B,T*h*w,C).
            positions: Their 2-D encodings, same shape.
            masks: (B,T*h*w), True on padding; None where nothing is padded.
            words: F_l (B,L,C).
            word_position: 1-D encoding of the words (B,L,C).
            word_mask: (B,L), True on padding.
            max_pixels: Number of pixels that VEwL processes at once, to bound its memory; None: all.

        Returns:
            tuple: F'_v as ``levels``; F_l^s (B,C), None without LEwV; F_l after each of 0 to N_l iterations, (B,L,C)
            each (without LEwV only F_l itself).
        """
        texts, sentence = [words], None
        if self.lewv is not None:
            texts, sentence = self.lewv(words, levels, positions, masks, word_mask)
        if self.vewl is not None:
            frozen = not any(parameter.requires_grad for parameter in self.vewl.parameters())
            enhanced = []
            coarse_first = self.lewv is not None and self.lewv.order == 'coarse_to_fine'
            for index, level in enumerate(levels):
                read = texts[len(levels) - 1 - index if coarse_first else index] if self.text == 'dynamic' else words
                read = read.detach() if frozen else read  # no gradient from frozen modules to the words
                parts = level.split(max_pixels, 1) if max_pixels else [level]
                learns = not frozen or level.requires_grad  # if not, it computes as in prediction
                with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
                    enhanced.append(torch.cat([self.vewl(part, read, word_position, word_mask) for part in parts], 1))
            levels = enhanced
        return levels, sentence, texts
