"""Video Swin Transformer (arXiv 2106.13230) as in ReferFormer: a feature map per frame, attention across frames."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ifirvos.checkpoint import load_checkpoint, load_strictly
from ifirvos.errors import CheckpointError
from ifirvos.registry import MODELS

Size = tuple[int, int, int]  # of T, h, w


class WindowPartition:
    """Partition of a clip's tokens into windows: attention masks and relative positions.

    A side no longer than the window is one window, and is not shifted.

    Args:
        size: (T,h,w) of the clip.
        window: The largest window.
        shifted: Windows are shifted cyclically by half their size; tokens that are neighbours only across the border
            do not attend to each other.
        device: Device of the clip.
    """

    def __init__(self, size: Size, window: Size, shifted: bool, device: torch.device) -> None:
        self.size = size
        self.window = tuple(map(min, size, window))
        self.shift = tuple(w // 2 if shifted and w < s else 0 for s, w in zip(size, window, strict=True))
        self.padded = tuple(-(-s // w) * w for s, w in zip(size, self.window, strict=True))
        self.offsets = self._offsets(window).to(device)
        self.groups = self._groups(device) if any(self.shift) else [(slice(None), None)]

    def _offsets(self, largest: Size) -> Tensor:
        """(N,N): the row of the table of biases for a pair of tokens, by how far the first is behind the second.

        As in the official code, the N tokens of a smaller window count as the first N of the largest. Where T alone is
        short that is where they are; on a map below 7x7 (frames below 224 pixels) it is not.
        """
        places = torch.cartesian_prod(*(torch.arange(w) for w in largest))[: math.prod(self.window)]
        ranges = [2 * w - 1 for w in largest]
        behind = places[:, None] - places + torch.tensor(largest) - 1
        return behind @ torch.tensor([ranges[1] * ranges[2], ranges[2], 1])

    def _groups(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Return up to eight groups: indices of windows with the same mask, and (N,N), True where masked."""
        wrapped = [torch.arange(p, device=device) >= p - s for p, s in zip(self.padded, self.shift, strict=True)]
        side = 4 * wrapped[0][:, None, None] + 2 * wrapped[1][:, None] + wrapped[2].int()
        sides = self._cut(side[None, ..., None])[:, 0, :, 0]
        kinds, kind_of = sides.unique(dim=0, return_inverse=True)
        return [((kind_of == i).nonzero()[:, 0], kind[:, None] != kind) for i, kind in enumerate(kinds)]

    def _cut(self, x: Tensor) -> Tensor:
        for axis, w in zip((1, 3, 5), self.window, strict=True):
            x = x.unflatten(axis, (-1, w))  # in the end B T/t t h/a a w/b b C
        return x.permute(1, 3, 5, 0, 2, 4, 6, 7).flatten(4, 6).flatten(0, 2)

    def cut(self, x: Tensor) -> Tensor:
        """(B,T,h,w,C) -> windows (W,B,N,C) of N tokens; padding is zero and not masked, as in the official code."""
        missing = [p - s for p, s in zip(self.padded, self.size, strict=True)]
        x = F.pad(x, (0, 0, 0, missing[2], 0, missing[1], 0, missing[0]))
        return self._cut(x.roll([-s for s in self.shift], (1, 2, 3)))

    def join(self, windows: Tensor) -> Tensor:
        """(W,B,N,C) -> (B,T,h,w,C): undoes :meth:`cut`."""
        grid = [p // w for p, w in zip(self.padded, self.window, strict=True)]
        x = windows.unflatten(0, grid).unflatten(4, self.window).permute(3, 0, 4, 1, 5, 2, 6, 7)
        x = x.reshape(len(x), *self.padded, -1).roll(self.shift, (1, 2, 3))
        return x[:, : self.size[0], : self.size[1], : self.size[2]]


class WindowAttention(nn.Module):
    """Self-attention inside windows, with a learnt bias for every offset (section 3.2)."""

    def __init__(self, embed_dims: int, num_heads: int, window: Size) -> None:
        super().__init__()
        self.num_heads = num_heads
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.empty(rows, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, partition: WindowPartition) -> Tensor:
        """Attend within the windows (W,B,N,C) of a partition; same shape."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)  # W B heads N C/heads
        # Contiguous, because other strides prevent CUDA's fused kernels.
        bias = self.relative_position_bias_table[partition.offsets].permute(2, 0, 1).contiguous().to(q)
        out = torch.empty_like(v)
        # One call per mask: a mask per window would take as much memory as all attention weights.
        for windows, apart in partition.groups:
            mask = bias if apart is None else bias.masked_fill(apart, -torch.inf)
            some = (part[windows].flatten(0, 1) for part in (q, k, v))
            out[windows] = F.scaled_dot_product_attention(*some, attn_mask=mask).unflatten(0, (-1, x.shape[1]))
        return self.proj(out.transpose(2, 3).flatten(3))


class VideoSwinBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, embed_dims: int, num_heads: int, window: Size, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = WindowAttention(embed_dims, num_heads, window)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(embed_dims)
        hidden = mlp_ratio * embed_dims
        self.mlp = nn.Sequential(  # mmcv's FFN has other names
            OrderedDict(fc1=nn.Linear(embed_dims, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, embed_dims))
        )

    def forward(self, x: Tensor, partition: WindowPartition) -> Tensor:
        """Transform (B,T,h,w,C); same shape."""
        x = x + self.drop_path(partition.join(self.attn(partition.cut(self.norm1(x)), partition)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """(B,T,h,w,C) -> (B,T,ceil(h/2),ceil(w/2),2C). mmdet's has the channels of a 2x2 square in another order."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * embed_dims)
        self.reduction = nn.Linear(4 * embed_dims, 2 * embed_dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        square = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(square, -1)))


class Stage(nn.Module):
    """Blocks with shifted windows in every second one, and the downsampling to the next stage."""

    def __init__(
        self, embed_dims: int, num_heads: int, window: Size, mlp_ratio: int, drop_paths: list[float], last: bool
    ) -> None:
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(VideoSwinBlock(embed_dims, num_heads, window, mlp_ratio, p) for p in drop_paths)
        self.downsample = None if last else PatchMerging(embed_dims)

    def forward(self, x: Tensor, with_cp: bool) -> Tensor:
        """Transform (B,T,h,w,C); same shape, before ``downsample``."""
        partitions = [WindowPartition(x.shape[1:4], self.window, shifted, x.device) for shifted in (False, True)]
        for index, block in enumerate(self.blocks):
            inputs = (x, partitions[index % 2])
            x = checkpoint(block, *inputs, use_reentrant=False) if with_cp else block(*inputs)
        return x


class PatchEmbed(nn.Module):
    """(B,3,T,H,W) -> (B,T',h,w,C); sides are padded to multiples of the patch."""

    def __init__(self, embed_dims: int, patch_size: Size) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv3d(3, embed_dims, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        t, h, w = (-side % patch for side, patch in zip(x.shape[2:], self.patch_size, strict=True))
        return self.norm(self.proj(F.pad(x, (0, w, 0, h, 0, t))).permute(0, 2, 3, 4, 1))


@MODELS.register_module()
class VideoSwinTransformer(BaseModule):
    """Video Swin Transformer for clips. Names and shapes of its weights are the official repository's.

    ======  ==========  =============  ===============
    .       embed_dims  depths         num_heads
    ======  ==========  =============  ===============
    tiny    96          (2, 2, 6, 2)   (3, 6, 12, 24)
    small   96          (2, 2, 18, 2)  (3, 6, 12, 24)
    base    128         (2, 2, 18, 2)  (4, 8, 16, 32)
    ======  ==========  =============  ===============

    Args:
        embed_dims: C at stride 4; every stage doubles it.
        depths: Blocks of every stage.
        num_heads: Attention heads of every stage.
        patch_size: Patch size over (T,H,W). The official one is (2,4,4); a time stride of 1 gives one map per frame.
        window_size: Tokens of (T,h,w).
        mlp_ratio: Width of the MLPs, in C.
        drop_path_rate: Drop path rate of the last block; it grows linearly from 0.
        out_indices: Stages to return, at strides 4, 8, 16, 32.
        final_norm: The official classifier's LayerNorm on the last stage's map. ReferFormer leaves it out, and
            neither has norms on the others.
        frozen_stages: -1: none; 0: the patch embedding; i: also the first i stages, with their ``downsample``.
        with_cp: Recompute the blocks in the backward pass, to save memory.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` reads a local file of the official
            repository, see :meth:`from_official`. None: random weights with a std of 0.02. Inflating a 2-D Swin is not
            supported, because published video weights exist.
    """

    takes_clips = True

    def __init__(
        self,
        embed_dims: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        patch_size: Sequence[int] = (1, 4, 4),
        window_size: Sequence[int] = (8, 7, 7),
        mlp_ratio: int = 4,
        drop_path_rate: float = 0.2,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        final_norm: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02))
        self.out_indices, self.frozen_stages, self.with_cp = tuple(out_indices), frozen_stages, with_cp
        self.patch_embed = PatchEmbed(embed_dims, tuple(patch_size))
        drop_paths = torch.linspace(0, drop_path_rate, sum(depths), device='cpu').split(list(depths))
        self.layers = nn.ModuleList(
            Stage(embed_dims * 2**i, heads, tuple(window_size), mlp_ratio, rates.tolist(), i == len(depths) - 1)
            for i, (heads, rates) in enumerate(zip(num_heads, drop_paths, strict=True))
        )
        self.norm = nn.LayerNorm(embed_dims * 2 ** (len(depths) - 1)) if final_norm else None
        for module in self._frozen():
            module.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [self.patch_embed, *self.layers[: self.frozen_stages]] if self.frozen_stages >= 0 else []

    def train(self, mode: bool = True) -> 'VideoSwinTransformer':
        """Frozen stages stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def init_weights(self) -> None:
        """Initialise from ``init_cfg``; an official file is loaded strictly.

        Raises:
            FileNotFoundError: No such file.
            CheckpointError: It does not fit, or is no checkpoint.
        """
        if self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        file = self.init_cfg['checkpoint']
        weights = self.from_official(load_checkpoint(file)['state_dict'])
        load_strictly(self, dict(state_dict=weights), str(file), 'the backbone')

    def from_official(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a Video-Swin-Transformer, a recognizer's or the bare backbone's -> this module's.

        Left out are the classifier with its ``norm`` and the constants ``relative_position_index``. The patch
        embedding of two frames becomes one of a single frame by summing its kernel over time, as in ReferFormer, so
        that a still image gives the same features.

        Raises:
            CheckpointError: There is no patch embedding, or a 2-D Swin's.
        """
        inner = {key.removeprefix('backbone.'): t for key, t in state_dict.items() if not key.startswith('cls_head.')}
        weights = {key: t for key, t in inner.items() if not key.endswith('relative_position_index')}
        if self.norm is None:
            weights = {key: t for key, t in weights.items() if not key.startswith('norm.')}
        kernel = weights.get('patch_embed.proj.weight')
        if kernel is None or kernel.ndim != 5:
            raise CheckpointError('These are no weights of a Video-Swin-Transformer: no 3-D patch_embed.proj.weight.')
        if self.patch_embed.patch_size[0] == 1:
            weights['patch_embed.proj.weight'] = kernel.sum(2, keepdim=True)
        return weights

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Clips (B,T,3,H,W) -> maps (B*T,C,h,w) of the stages ``out_indices``, clip by clip."""
        x = self.patch_embed(x.transpose(1, 2))
        maps = []
        for index, stage in enumerate(self.layers):
            x = stage(x, self.with_cp and self.training)
            if index == len(self.layers) - 1 and self.norm is not None:
                x = self.norm(x)
            if index in self.out_indices:
                maps.append(x.flatten(0, 1).permute(0, 3, 1, 2).contiguous())
            if stage.downsample is not None:
                x = stage.downsample(x)
        return tuple(maps)
