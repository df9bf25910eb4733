"""The cross-modal FPN: top-down fusion in which every level also looks at the clip and at the words (ReferFormer)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ifirvos.registry import MODELS


class VisionLanguageBlock(BaseModule):
    """Spatio-temporal self-attention at reduced size, cross-attention to the words, FFN; all post-norm.

    Args:
        embed_dims: Channels C.
        num_heads: Heads of both attentions.
        feedforward_channels: Width of the FFN.
        dropout: As in a Transformer decoder layer.
        reduction: Queries, keys and values of the self-attention are taken at 1/reduction of the level's size.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, feedforward_channels: int, dropout: float, reduction: int
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.self_attn = nn.MultiheadAttention(embed_dims, num_heads, dropout, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(embed_dims, num_heads, dropout, batch_first=True)
        self.ffn = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def _reduce(self, x: Tensor) -> Tensor:
        """(..., C or 1, h, w) -> the same at 1/reduction, nearest."""
        size = [max(1, side // self.reduction) for side in x.shape[-2:]]
        return x if self.reduction == 1 else F.interpolate(x, size=size, mode='nearest')

    def _look_at_clip(self, x: Tensor, pos: Tensor, mask: Tensor | None, num_frames: int) -> Tensor:
        """Attend: x and pos (B*T,C,h,w) -> what the self-attention adds, (B*T,C,h,w)."""
        value, position = self._reduce(x), self._reduce(pos)
        size = value.shape[-2:]
        if mask is not None:
            mask = self._reduce(mask[:, None].to(value)).bool().view(-1, num_frames * size.numel())

        def tokens(maps: Tensor) -> Tensor:  # B*T C h w -> B T*h*w C
            return maps.unflatten(0, (-1, num_frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)

        query, value = tokens(value + position), tokens(value)
        found = self.self_attn(query, query, value, key_padding_mask=mask, need_weights=False)[0]
        found = found.reshape(len(x), *size, -1).permute(0, 3, 1, 2)
        if self.reduction == 1:
            return found
        return F.interpolate(found, size=x.shape[-2:], mode='bilinear', align_corners=False)

    def _look_at_words(
        self, x: Tensor, found: Tensor, pos: Tensor, words: Tensor, word_pos: Tensor, word_mask: Tensor
    ) -> Tensor:
        """x, found and pos (F,C,h,w), words and word_pos (F,L,C), word_mask (F,L) -> (F,C,h,w), frame by frame."""
        size = x.shape[-2:]
        x, found, pos = (maps.flatten(2).transpose(1, 2) for maps in (x, found, pos))  # F h*w C
        x = self.norms[0](x + self.dropout(found))
        read = self.cross_attn(x + pos, words + word_pos, words, key_padding_mask=word_mask, need_weights=False)[0]
        x = self.norms[1](x + self.dropout(read))
        x = self.norms[2](self.ffn(x))
        return x.transpose(1, 2).unflatten(2, size)

    def forward(
        self,
        x: Tensor,
        pos: Tensor,
        mask: Tensor | None,
        words: Tensor,
        word_pos: Tensor,
        word_mask: Tensor,
        num_frames: int,
        frame_chunk: int | None = None,
    ) -> Tensor:
        """One level.

        Args:
            x: (B*T,C,h,w).
            pos: Its 2-D encoding, same shape.
            mask: (B*T,h,w), True on padding.
            words: F_l (B,L,C).
            word_pos: (B,L,C).
            word_mask: (B,L), True on padding.
            num_frames: T.
            frame_chunk: Frames at a time in the part that looks at the words.

        Returns:
            Tensor: (B*T,C,h,w).
        """
        found = self._look_at_clip(x, pos, mask, num_frames)
        of_frame = [text.repeat_interleave(num_frames, 0) for text in (words, word_pos, word_mask)]
        parts = zip(*(t.split(frame_chunk or len(x)) for t in (x, found, pos, *of_frame)), strict=True)
        return torch.cat([self._look_at_words(*part) for part in parts])


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
        mask_stride: Stride of F_seg: 4 (paper), or 2, ours for small frames: F_seg enlarged bilinearly, and every pixel
            adds to its four parts what a 1x1 convolution, which starts at zero, makes of it. The mask head's ``stride``
            must be the same.

    Raises:
        ValueError: If ``mask_stride`` is neither 4 nor 2.
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
            raise ValueError(f'mask_stride must be 4 or 2, not {mask_stride!r}')
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
        """Xavier for the matrices of the blocks; He with a=1 for the convolutions, as the reference."""
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

    def _draw(self, out: Tensor) -> Tensor:
        """Draw the finest level (F,C,h,w) -> F_seg (F,C,h,w), or (F,C,2h,2w) with ``mask_stride=2``."""
        features = self.mask_features(out)
        if self.finer is None:
            return features
        features = F.interpolate(features, scale_factor=2, mode='bilinear', align_corners=False)
        return features + F.pixel_shuffle(self.finer(out), 2)

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
        """Top down.

        Args:
            feats: (B*T,C_i,h,w), strides 4, 8, 16, 32.
            positions: 2-D encodings (B*T,C,h,w).
            masks: (B*T,h,w), True on padding.
            words: F_l (B,L,C), raw.
            word_pos: (B,L,C).
            word_mask: (B,L), True on padding.
            num_frames: T.
            frame_chunk: Frames at a time, where frames do not depend on one another.

        Returns:
            Tensor: F_seg (B*T,C,H/4,W/4), or of H/2, W/2.
        """

        def by_chunk(convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
            return torch.cat([convolution(part) for part in x.split(frame_chunk or len(x))])

        out = None
        for level in reversed(range(len(feats))):
            x = by_chunk(self.lateral_convs[level], feats[level])
            x = self.blocks[level](
                x, positions[level], masks[level], words, word_pos, word_mask, num_frames, frame_chunk
            )
            if out is not None:
                x = x + F.interpolate(out, size=x.shape[-2:], mode='nearest')
            out = by_chunk(self.fpn_convs[level], x)
        return by_chunk(self._draw, out)
