"""The cross-modal FPN: top-down fusion in which every level also attends to the clip and to the words (ReferFormer)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ifirvos.errors import InputError
from ifirvos.registry import MODELS

from .attention import Attention
from .clip_tokens import clip_tokens, frame_maps
from .feed_forward import TokenwiseFFN

KEPT_BYTES = 2**27  # largest maps that are kept for their second use


class VisionLanguageBlock(BaseModule):
    """Spatio-temporal self-attention at reduced size, cross-attention to the words, FFN; all post-norm.

    Args:
        embed_dims: Channels C.
        num_heads: Heads of both attentions.
        feedforward_channels: Width of the FFN.
        dropout: As in a Transformer decoder layer.
        reduction: The self-attention runs at 1/reduction of the level's size.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, feedforward_channels: int, dropout: float, reduction: int
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.self_attn = Attention(embed_dims, num_heads, dropout)
        self.cross_attn = Attention(embed_dims, num_heads, dropout)
        self.ffn = TokenwiseFFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def reduce(self, x: Tensor) -> Tensor:
        """(..., C or 1, h, w) -> the same at 1/reduction, nearest."""
        size = [max(1, side // self.reduction) for side in x.shape[-2:]]
        return x if self.reduction == 1 else F.interpolate(x, size=size, mode='nearest')

    def attend_to_clip(self, value: Tensor, position: Tensor, mask: Tensor | None, num_frames: int) -> Tensor:
        """Self-attention over all frames of a clip, at reduced size.

        Args:
            value: Reduced maps (B*T,C,h,w).
            position: 2-D encoding (B,C,h,w) of each clip.
            mask: (B,h,w), True on padding.
            num_frames: T.

        Returns:
            Output of the self-attention before the residual, (B*T,C,h,w).
        """
        with_position = value.unflatten(0, (-1, num_frames)) + position[:, None]  # B T C h w
        query, tokens = clip_tokens(with_position.flatten(0, 1), num_frames), clip_tokens(value, num_frames)
        if mask is not None:
            mask = mask.flatten(1).repeat(1, num_frames)
        attended = self.self_attn(query, query, tokens, key_padding_mask=mask)[0]
        return frame_maps(attended, num_frames, value.shape[-2:])

    def forward(
        self, x: Tensor, attended: Tensor, pos: Tensor, words: Tensor, word_pos: Tensor, word_mask: Tensor
    ) -> Tensor:
        """Add the output of :meth:`attend_to_clip`, attend to the words, and apply the FFN, per frame.

        Args:
            x: Maps of some frames (F,C,h,w).
            attended: Output of :meth:`attend_to_clip` for them, at reduced size.
            pos: Their 2-D encodings (F,C,h,w).
            words: F_l (F,L,C).
            word_pos: (F,L,C).
            word_mask: (F,L), True on padding.

        Returns:
            (F,C,h,w).
        """
        size = x.shape[-2:]
        if self.reduction > 1:
            attended = F.interpolate(attended, size=size, mode='bilinear', align_corners=False)
        x, attended, pos = (maps.flatten(2).transpose(1, 2) for maps in (x, attended, pos))  # F h*w C
        x = self.norms[0](x + self.dropout(attended))
        text = self.cross_attn(x + pos, words + word_pos, words, key_padding_mask=word_mask)[0]
        x = self.norms[1](x + self.dropout(text))
        x = self.norms[2](self.ffn(x))
        return x.transpose(1, 2).unflatten(2, size)


@MODELS.register_module()
class CrossModalFPN(BaseModule):
    """F_seg from the memory at strides 32, 16, 8 and the backbone's stride-4 feature (paper 3.4; ReferFormer's).

    Args:
        in_channels: Channels of the inputs, strides 4, 8, 16, 32.
        embed_dims: Channels C of everything after the first convolution, and of F_seg.
        num_heads: Attention heads.
        feedforward_channels: Width of the FFNs.
        dropout: Dropout probability of the blocks.
        num_groups: Number of groups of the GroupNorms.
        reductions: Reduction of the keys in the self-attention of each level (see :class:`VisionLanguageBlock`).
        mask_stride: Stride of F_seg: 4 (paper), or 2 (ours, for small frames): F_seg is upsampled bilinearly, plus a
            1x1 convolution to the four sub-pixels that starts at zero. The mask head's ``stride`` must be the same.

    Raises:
        ValueError: ``mask_stride`` is neither 4 nor 2, or ``reductions`` has not a number for each level.
    """

    def __init__(
        self,
        in_channels: list[int],
        embed_dims: int = 256,
        num_heads: int = 8,
        feedforward_channels: int = 2048,
        dropout: float = 0.1,
        num_groups: int = 8,
        reductions: tuple[int, ...] = (8, 4, 2, 1),
        mask_stride: int = 4,
    ) -> None:
        super().__init__()
        if mask_stride not in (4, 2):
            raise InputError(f'mask_stride must be 4 or 2, not {mask_stride!r}')
        if len(reductions) != len(in_channels):
            raise InputError(f'reductions has {len(reductions)} numbers, in_channels {len(in_channels)}: one a level')
        self.mask_stride = mask_stride
        norm_cfg = dict(type='GN', num_groups=num_groups)
        self.lateral_convs = ModuleList(
            ConvModule(channels, embed_dims, 1, bias=False, norm_cfg=norm_cfg, act_cfg=None) for channels in in_channels
        )
        self.blocks = ModuleList(
            VisionLanguageBlock(embed_dims, num_heads, feedforward_channels, dropout, reduction)
            for reduction in reductions
        )
        self.fpn_convs = ModuleList(
            ConvModule(embed_dims, embed_dims, 3, padding=1, bias=False, norm_cfg=norm_cfg) for _ in in_channels
        )
        self.mask_features = nn.Conv2d(embed_dims, embed_dims, 3, padding=1)
        self.finer = nn.Conv2d(embed_dims, 4 * embed_dims, 1) if mask_stride == 2 else None

    def init_weights(self) -> None:
        """Initialise the blocks' matrices with Xavier, convolutions with He (a=1), as the reference code."""
        for parameter in self.blocks.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.finer is not None:
            nn.init.zeros_(self.finer.weight)

    def draw(self, fused: Tensor) -> Tensor:
        """Map the finest level (F,C,h,w) to F_seg (F,C,h,w), or (F,C,2h,2w) with ``mask_stride=2``."""
        features = self.mask_features(fused)
        if self.finer is None:
            return features
        features = F.interpolate(features, scale_factor=2, mode='bilinear', align_corners=False)
        return features + F.pixel_shuffle(self.finer(fused), 2)

    def forward(
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
        """Fuse top down.

        Args:
            feats: (B*T,C_i,h,w), strides 4, 8, 16, 32.
            positions: 2-D encodings (B,C,h,w) of each clip.
            masks: (B,h,w), True on padding; None without padding.
            words: F_l (B,L,C).
            word_pos: (B,L,C).
            word_mask: (B,L), True on padding.
            num_frames: T.
            frame_chunk: Number of frames to process at once where frames are independent; None: all.

        Returns:
            Tensor: F_seg (B*T,C,H/4,W/4), or of H/2, W/2.
        """
        return self.fuse(feats, positions, masks, words, word_pos, word_mask, num_frames, frame_chunk).drawn()

    def fuse(
        self,
        feats: list[Tensor],
        positions: list[Tensor],
        masks: list[Tensor | None],
        words: Tensor,
        word_pos: Tensor,
        word_mask: Tensor,
        num_frames: int,
        frame_chunk: int | None = None,
    ) -> FusedFrames:
        """Fuse all levels but the finest, which is computed on demand. Arguments as :meth:`forward`.

        ``feats[0]`` may have only the T frames of one video, shared by the B clips.
        """
        total = feats[-1].shape[0]
        step = frame_chunk or total
        starts = range(0, total, step) if frame_chunk else (0,)
        chunks = [slice(first, min(first + step, total)) for first in starts]
        of_frame = [text.repeat_interleave(num_frames, 0) for text in (words, word_pos, word_mask)]
        above = None
        for level in reversed(range(len(feats))):
            frames = FusedFrames(
                self, level, feats[level], positions[level], masks[level], of_frame, above, num_frames, chunks
            )
            if level:
                parts = [frames(chunk) for chunk in chunks]
                above = parts[0] if len(parts) == 1 else torch.cat(parts)
        return frames


class FusedFrames:
    """The finest level of the FPN, computed on demand.

    Only the self-attention needs all frames, at reduced size; the rest is per frame. So a long clip is never in memory
    at the size of the finest level.

    Attributes:
        chunks: Slices of frames that are computed together.
    """

    def __init__(
        self,
        fpn: CrossModalFPN,
        level: int,
        feat: Tensor,
        position: Tensor,
        mask: Tensor | None,
        text: list[Tensor],
        above: Tensor | None,
        num_frames: int,
        chunks: list[slice],
    ) -> None:
        self.fpn, self.level, self.feat, self.position = fpn, level, feat, position
        self.text, self.above, self.num_frames, self.chunks = text, above, num_frames, chunks
        self._made: dict[int, Tensor] = {}
        device = feat.device.type
        self._precision = dict(
            device_type=device,
            dtype=torch.get_autocast_dtype(device),
            enabled=torch.is_autocast_enabled(device),
        )
        block = fpn.blocks[level]
        laterals = [self._lateral(chunk) for chunk in chunks]
        # They are needed again by __call__. For a long clip, computing them twice is cheaper than keeping them.
        small = len(chunks) == 1 or sum(lateral.nbytes for lateral in laterals) <= KEPT_BYTES
        self._kept = {chunk.start: lateral for chunk, lateral in zip(chunks, laterals, strict=True)} if small else {}
        reduced = [block.reduce(lateral) for lateral in laterals]
        self._attended = block.attend_to_clip(
            reduced[0] if len(reduced) == 1 else torch.cat(reduced),
            block.reduce(position),
            None if mask is None else block.reduce(mask[:, None].to(position)).bool(),
            num_frames,
        )

    def _lateral(self, frames: slice) -> Tensor:
        total = self.text[0].shape[0]
        feat = self.feat
        if feat.shape[0] == total:
            return self.fpn.lateral_convs[self.level](feat[frames])
        index = torch.arange(total, device=feat.device)[frames] % len(feat)
        return self.fpn.lateral_convs[self.level](feat[index])

    @property
    def last_convolution(self) -> nn.Conv2d | None:
        """The convolution from :meth:`parts` to F_seg; None if they are F_seg already."""
        return self.fpn.mask_features if self.fpn.finer is None else None

    def drawn(self) -> Tensor:
        """Return F_seg of all frames, (B*T,C,h,w)."""
        chunks = [self._draw(chunk) for chunk in self.chunks]
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks)

    def parts(self, frames: slice | None = None) -> Iterator[Tensor]:
        """Compute frames in chunks, before :attr:`last_convolution`.

        Chunks of a slice are cached, because they are needed again when all frames are.

        Args:
            frames: Which frames; None: all.

        Yields:
            (F,C,h,w), in order.
        """
        for chunk in self.chunks:
            wanted = chunk if frames is None else slice(max(chunk.start, frames.start), min(chunk.stop, frames.stop))
            if wanted.start >= wanted.stop:
                continue
            made = self._made.pop(chunk.start, None)
            if made is None:
                made = self(chunk) if self.fpn.finer is None else self._draw(chunk)
            if frames is not None:
                self._made[chunk.start] = made
            yield made[wanted.start - chunk.start : wanted.stop - chunk.start]

    def _draw(self, frames: slice) -> Tensor:
        with torch.autocast(**self._precision):
            return self.fpn.draw(self(frames))

    def __call__(self, frames: slice) -> Tensor:
        """Compute a chunk of :attr:`chunks`: (F,C,h,w), the input of ``mask_features``."""
        with torch.autocast(**self._precision):
            x = self._kept.get(frames.start)
            x = self._lateral(frames) if x is None else x
            clip = torch.arange(self.text[0].shape[0], device=x.device)[frames] // self.num_frames
            position = self.position[clip] if len(self.position) > 1 else self.position.expand(x.shape[0], -1, -1, -1)
            x = self.fpn.blocks[self.level](x, self._attended[frames], position, *(text[frames] for text in self.text))
            if self.above is not None:
                x = x + F.interpolate(self.above[frames], size=x.shape[-2:], mode='nearest')
            return self.fpn.fpn_convs[self.level](x)
