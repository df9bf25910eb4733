"""Vision-language interaction before the Transformer (paper 3.3, Figure 3)."""

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from torch import Tensor, nn

from ifirvos.registry import MODELS

FUSIONS = ('multiply', 'ffn')
TEXTS = ('fixed', 'dynamic')


class CrossModalInteraction(BaseModule):
    """One modality attends to the other and is fused with what it found: the block that VEwL and LEwV are both made of.

    ``multiply`` is eq. 2 and 4: ``attn(x, y) * x``, no residual, no norm. ``ffn`` is Table 5's "Attention+FFN":
    ``LN(x + attn)``, then ``LN(x + FFN(x))``.
    """

    def __init__(self, embed_dims: int, num_heads: int, fusion: str, feedforward_channels: int) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f'fusion must be one of {FUSIONS}, not {fusion!r}')
        self.fusion = fusion
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        if fusion == 'ffn':
            self.ffn = FFN(embed_dims, feedforward_channels)
            self.norms = nn.ModuleList(nn.LayerNorm(embed_dims) for _ in range(2))

    def forward(self, x: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None) -> Tensor:
        """Map x (B,Q,C), key and value (B,K,C), key_padding_mask (B,K) True on padding -> (B,Q,C)."""
        attended = self.attn(x, key, value, key_padding_mask=key_padding_mask, need_weights=False)[0]
        if self.fusion == 'multiply':
            return attended * x
        return self.norms[1](self.ffn(self.norms[0](x + attended)))


class LanguageEnhancementWithVision(BaseModule):
    """LEwV (eq. 1-2): the words look at one level of the clip after the other, then the first token is pooled.

    Args:
        embed_dims: Channels C.
        num_heads: Heads of the attention that all iterations share.
        fusion: See :class:`CrossModalInteraction`.
        feedforward_channels: Hidden channels of the FFN of ``fusion='ffn'``.
        residual: ``F + attn * F``. Not in the paper; keeps F's size at initialisation.
        post_norm: LayerNorm before the pooling. Not in the paper, off by default.
        text_gate: Adds what the same pooling makes of the words before the first iteration, times a weight for every
            channel that starts at zero. Not in the paper; lets a sentence through where the iterations have made all
            of them alike.
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
    ) -> None:
        super().__init__()
        self.interaction = CrossModalInteraction(embed_dims, num_heads, fusion, feedforward_channels)
        self.residual = residual
        self.norm = nn.LayerNorm(embed_dims) if post_norm else nn.Identity()
        self.pool = nn.Linear(embed_dims, embed_dims)
        self.text_gate = nn.Parameter(torch.zeros(embed_dims)) if text_gate else None

    def _poolout(self, text: Tensor) -> Tensor:
        """(B,L,C) -> (B,C), RoBERTa's "poolout" of the first token."""
        return self.pool(self.norm(text[:, 0])).tanh()

    def forward(
        self, words: Tensor, levels: list[Tensor], positions: list[Tensor], masks: list[Tensor | None]
    ) -> tuple[list[Tensor], Tensor]:
        """Iterate over the levels, fine to coarse.

        Args:
            words: F_l (B,L,C).
            levels: All T frames of each level, (B,T*h*w,C).
            positions: Their 2-D encodings, same shape.
            masks: (B,T*h*w), True on padding.

        Returns:
            tuple: F_l before and after each of the N_l iterations, N_l + 1 times (B,L,C), and the sentence (B,C).
        """
        # The product shrinks F about fiftyfold at initialisation: below what fp16 can carry a gradient for.
        with torch.autocast(words.device.type, enabled=False):
            dtype = self.pool.weight.dtype
            texts = [words.to(dtype)]
            for level, position, mask in zip(levels, positions, masks, strict=True):
                level = level.to(dtype)
                text = self.interaction(texts[-1], level + position.to(dtype), level, mask)
                texts.append(texts[-1] + text if self.residual else text)
            sentence = self._poolout(texts[-1])
            if self.text_gate is not None:
                sentence = sentence + self.text_gate * self._poolout(texts[0])
        return texts, sentence


class VisionEnhancementWithLanguage(BaseModule):
    """VEwL (eq. 3-4): every pixel looks at the words; one attention shared by all levels."""

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        fusion: str = 'multiply',
        feedforward_channels: int = 2048,
    ) -> None:
        super().__init__()
        self.interaction = CrossModalInteraction(embed_dims, num_heads, fusion, feedforward_channels)

    def forward(self, level: Tensor, words: Tensor, position: Tensor, padding_mask: Tensor) -> Tensor:
        """Map level (B,T*h*w,C), words and position (B,L,C), padding_mask (B,L) True on padding -> (B,T*h*w,C)."""
        return self.interaction(level, words + position, words, padding_mask)


@MODELS.register_module()
class VisionLanguageInteraction(BaseModule):
    """The two submodules side by side; either may be None (off).

    Args:
        vewl: Arguments of :class:`VisionEnhancementWithLanguage`.
        lewv: Arguments of :class:`LanguageEnhancementWithVision`.
        embed_dims: Channels C of both.
        num_heads: Attention heads of both.
        fusion: 'multiply' (paper) or 'ffn', of both (Table 5).
        feedforward_channels: Hidden channels of the FFN of ``fusion='ffn'``.
        text: What VEwL reads: 'fixed', the raw words (paper), or 'dynamic', for level i LEwV's words after i
            iterations (Table 5).
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
        if text not in TEXTS:
            raise ValueError(f'text must be one of {TEXTS}, not {text!r}')
        if text == 'dynamic' and (lewv is None or vewl is None):
            raise ValueError("text='dynamic' needs both vewl and lewv: it is LEwV that updates the text VEwL reads")
        shared = dict(
            embed_dims=embed_dims, num_heads=num_heads, fusion=fusion, feedforward_channels=feedforward_channels
        )
        self.text = text
        self.vewl = None if vewl is None else VisionEnhancementWithLanguage(**{**shared, **vewl})
        self.lewv = None if lewv is None else LanguageEnhancementWithVision(**{**shared, **lewv})

    @property
    def gives_sentence(self) -> bool:
        """Whether :meth:`forward` pools the words: LEwV does."""
        return self.lewv is not None

    @property
    def reads_positions(self) -> bool:
        """Whether :meth:`forward` reads the encodings of the pixels: LEwV does."""
        return self.lewv is not None

    def init_weights(self) -> None:
        """Xavier for every matrix, as the Transformer that the module stands before."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

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
        """F_v, F_l -> F'_v and the sentence.

        Args:
            levels: F_v, all T frames of each level, (B,T*h*w,C).
            positions: Their 2-D encodings, same shape.
            masks: (B,T*h*w), True on padding; None where nothing is padded.
            words: F_l (B,L,C).
            word_position: 1-D encoding of the words (B,L,C).
            word_mask: (B,L), True on padding.
            max_pixels: VEwL goes through so many pixels at a time: bounds its memory.

        Returns:
            tuple: F'_v as ``levels``; F_l^s (B,C), None without LEwV; F_l after 0..N_l iterations (0 without LEwV).
        """
        texts, sentence = [words], None
        if self.lewv is not None:
            texts, sentence = self.lewv(words, levels, positions, masks)
        if self.vewl is not None:
            frozen = not any(parameter.requires_grad for parameter in self.vewl.parameters())
            enhanced = []
            for iteration, level in enumerate(levels):
                read = texts[iteration] if self.text == 'dynamic' else words
                read = read.detach() if frozen else read  # what is frozen must not pull at the words
                parts = level.split(max_pixels or level.shape[1], 1)
                enhanced.append(torch.cat([self.vewl(part, read, word_position, word_mask) for part in parts], 1))
            levels = enhanced
        return levels, sentence, texts
