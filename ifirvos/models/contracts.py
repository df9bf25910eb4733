"""Interfaces of the parts of :class:`~ifirvos.models.ifirvos.IFIRVOS` that a config can replace.

Any module with the interface works, once it is registered in ``MODELS`` and imported by the config's
``custom_imports``; no base class is needed. Examples: docs/extending.md. Letters: B clips, T frames, N queries, L
tokens, C channels (``embed_dims``), h and w of a feature map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class TextEncoder(Protocol):
    """Encodes the sentences (``model.text_encoder``).

    If the constructor has an argument ``with_pooler``, it is set to whether ``pooled`` is used, unless the config sets
    it.

    Attributes:
        embed_dims: Width D of the output of :meth:`__call__`; a linear layer maps it to C.
    """

    embed_dims: int

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Tokenize B sentences, padded to the longest, for :meth:`__call__`."""

    def __call__(self, tokens: dict[str, Tensor]) -> dict[str, Tensor | None]:
        """Encode the output of :meth:`tokenize`, which may be on another device than the encoder.

        Returns:
            dict: ``words`` (B,L,D); ``padding_mask`` (B,L), True on padding; ``pooled`` (B,D), or None if the neck
            makes the sentence (``gives_sentence``).
        """

    def collate_tokens(self, token_lists: Sequence[dict]) -> dict[str, Tensor]:
        """Pad B token lists for :meth:`__call__`; only needed for samples with ``text_tokens``."""

    def token_spans(self, sentence: str) -> list[tuple[int, int]]:
        """Return (start, end) of each of the L tokens in the sentence; only needed to visualize attention to words."""


class InteractionNeck(Protocol):
    """Vision-language interaction before the transformer (``model.vli``).

    Attributes:
        gives_sentence: Whether it returns the sentence that initialises the queries. Default: False, the queries start
            from the text encoder's projected ``pooled``.
        reads_positions: False: the position encodings of the pixels are not computed. Default: True.
    """

    gives_sentence: bool
    reads_positions: bool

    def __call__(
        self,
        levels: list[Tensor],
        positions: list[Tensor],
        masks: list[Tensor | None],
        words: Tensor,
        word_position: Tensor,
        word_mask: Tensor,
        max_pixels: int | None = None,
    ) -> tuple[list[Tensor], Tensor | None]:
        """Enhance the levels, fine to coarse.

        Args:
            levels: F_v, all T frames of each level, (B,T*h*w,C).
            positions: Their 2-D encodings, same shape.
            masks: (B,T*h*w), True on padding; None where nothing is padded.
            words: F_l (B,L,C).
            word_position: 1-D encoding of the words (B,L,C).
            word_mask: (B,L), True on padding.
            max_pixels: At inference, the number of pixels to process at once, to bound memory; None: all.

        Returns:
            tuple: F'_v as ``levels``; the sentence (B,C) or None. A third element is read with ``fpn_text='lewv'``: a
            list of words (B,L,C), whose last entry goes to the pixel decoder.
        """


class TemporalModule(Protocol):
    """Interaction of the queries of a clip's frames after a decoder layer (``decoder.layer_cfg.ifi_cfg``).

    Its ``init_weights()``, if any, is called after the decoder's Xavier initialisation.
    """

    def __call__(self, query: Tensor, num_frames: int, centres: Tensor, query_pos: Tensor) -> Tensor:
        """Update the queries; returns (B*T,N,C).

        Args:
            query: (B*T,N,C), clip by clip.
            num_frames: T.
            centres: Centres of the queries' boxes (B*T,N,2), in [0,1].
            query_pos: The decoder's query positions (B*T,N,C).
        """


class PixelDecoder(Protocol):
    """Computes the features that masks are predicted from (``model.pixel_decoder``)."""

    def __call__(
        self,
        feats: list[Tensor],
        positions: list[Tensor],
        masks: list[Tensor | None],
        words: Tensor,
        word_pos: Tensor,
        word_mask: Tensor,
        num_frames: int,
        frame_chunk: int | None = None,
    ) -> Tensor:
        """Fuse the levels, strides 4, 8, 16 and 32.

        A decoder may also have a method ``fuse`` with the same arguments, which returns F_seg in parts, as
        :class:`~.pixel_decoder.FusedFrames`: prediction then never holds the whole.

        Args:
            feats: (B*T,C_i,h,w): the backbone's first level, then the encoder's memory.
            positions: Their 2-D encodings (B,C,h,w), which all frames of a clip share.
            masks: (B,h,w), True on padding; None where nothing is padded.
            words: F_l (B,L,C).
            word_pos: 1-D encoding of the words (B,L,C).
            word_mask: (B,L), True on padding.
            num_frames: T.
            frame_chunk: At inference, the number of frames to process at once where frames are independent; None: all.

        Returns:
            Tensor: F_seg (B*T,C,H/4,W/4).
        """
