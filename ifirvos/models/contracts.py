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

    An encoder whose constructor has an argument ``with_pooler`` is told by it whether anything reads ``pooled``, unless
    the config says so itself.

    Attributes:
        embed_dims: Width D of what :meth:`__call__` gives; a linear layer brings it to C.
    """

    embed_dims: int

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Turn B sentences into whatever :meth:`__call__` takes, padded to the longest."""

    def __call__(self, tokens: dict[str, Tensor]) -> dict[str, Tensor | None]:
        """Encode what :meth:`tokenize` gave. It may lie on another device than the encoder.

        Returns:
            dict: ``words`` (B,L,D); ``padding_mask`` (B,L), True on padding; ``pooled`` (B,D), or None if the neck
            makes the sentence (``gives_sentence``).
        """

    def collate_tokens(self, token_lists: Sequence[dict]) -> dict[str, Tensor]:
        """Pad B unpadded token lists to what :meth:`__call__` takes: only for samples that bring ``text_tokens``."""

    def token_spans(self, sentence: str) -> list[tuple[int, int]]:
        """Give (start, end) of each of the L tokens in the sentence: only for pictures of the attention to words."""


class InteractionNeck(Protocol):
    """Lets vision and language interact before the Transformer (``model.vli``).

    Attributes:
        gives_sentence: Whether it makes the sentence that the queries start from. Absent: False, the text encoder's
            ``pooled`` is projected to C.
        reads_positions: False spares the encodings of all pixels of all frames, where they are not read. Absent: True.
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
            max_pixels: At inference, how many pixels may go through at a time, where that bounds memory.

        Returns:
            tuple: F'_v as ``levels``; the sentence (B,C) or None. What follows them is not read.
        """


class TemporalModule(Protocol):
    """Lets the queries of a clip's frames interact after a decoder layer (``decoder.layer_cfg.ifi_cfg``).

    An ``init_weights()`` of its own is called after the decoder's matrices have been drawn (Xavier).
    """

    def __call__(self, query: Tensor, num_frames: int, centres: Tensor, query_pos: Tensor) -> Tensor:
        """Map the queries to others of the same shape.

        Args:
            query: (B*T,N,C), frame after frame of one clip after the other.
            num_frames: T.
            centres: (B*T,N,2), where the queries' boxes are, in [0,1].
            query_pos: (B*T,N,C), the decoder's query positions.
        """


class PixelDecoder(Protocol):
    """Makes the features that the masks are read from (``model.pixel_decoder``)."""

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

        Args:
            feats: (B*T,C_i,h,w): the backbone's first level, then the encoder's memory.
            positions: Their 2-D encodings (B,C,h,w), which all frames of a clip share.
            masks: (B,h,w), True on padding; None where nothing is padded.
            words: F_l (B,L,C).
            word_pos: 1-D encoding of the words (B,L,C).
            word_mask: (B,L), True on padding.
            num_frames: T.
            frame_chunk: At inference, how many frames may go through at a time, where frames do not depend on one
                another.

        Returns:
            Tensor: F_seg (B*T,C,H/4,W/4).

        A decoder may also have a method ``fuse`` with the same arguments, which gives F_seg in parts, as
        :class:`~.pixel_decoder.FusedFrames`: prediction then never holds the whole.
        """
