"""Backbones from the official weights by other means: no windows, no modules, nothing of this package or of mmdet."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BODY = 'backbone.0.body.'


def body_of(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's weights in an official state dict, under the names of its own repository."""
    return {name.removeprefix(BODY): tensor for name, tensor in state_dict.items() if name.startswith(BODY)}


def resnet(x: Tensor, weights: Mapping[str, Tensor], depths: Sequence[int]) -> list[Tensor]:
    """Frames (F,3,H,W) -> maps of the four stages: bottlenecks with frozen BatchNorms (eps 1e-5)."""

    def conv(x: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        kernel = weights[f'{name}.weight']
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        mean, var, gain, bias = (
            weights[f'{norm}.{part}'][:, None, None] for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / (var + 1e-5).sqrt() * gain + bias

    x = F.max_pool2d(conv(x, 'conv1', 'bn1', 2).relu(), 3, 2, 1)
    maps = []
    for stage, depth in enumerate(depths):
        for block in range(depth):
            name, stride = f'layer{stage + 1}.{block}', 2 if stage and not block else 1
            y = conv(x, f'{name}.conv1', f'{name}.bn1').relu()
            y = conv(conv(y, f'{name}.conv2', f'{name}.bn2', stride).relu(), f'{name}.conv3', f'{name}.bn3')
            x = x if block else conv(x, f'{name}.downsample.0', f'{name}.downsample.1', stride)
            x = (x + y).relu()
        maps.append(x)
    return maps


def swin(clip: Tensor, weights: Mapping[str, Tensor], heads: Sequence[int], window: Sequence[int]) -> list[Tensor]:
    """One clip (T,3,H,W) -> maps (T,C,h,w) of the stages, by attention of all tokens to all, masked.

    A window of (7,7) is the 2-D Swin: frames alone, windows always of full size and always shifted, a norm behind every
    stage. With (8,7,7) it is the video's.
    """
    image = len(window) == 2

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], weights[f'{name}.weight'], weights[f'{name}.bias'])

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, weights[f'{name}.weight'], weights.get(f'{name}.bias'))

    def attention(x: Tensor, name: str, heads: int, shifted: bool) -> Tensor:
        """Of the tokens of one frame (h,w,C) or clip (T,h,w,C)."""
        size = x.shape[:-1]
        cell = list(window) if image else [min(s, w) for s, w in zip(size, window)]
        shift = [w // 2 if shifted and (image or s > w) else 0 for s, w in zip(size, window)]
        whole = [-(-s // c) * c for s, c in zip(size, cell)]
        padding = [n for s, p in zip(reversed(size), reversed(whole)) for n in (0, p - s)]
        tokens = F.pad(x, (0, 0, *padding)).flatten(0, -2)
        where = torch.stack(torch.meshgrid(*map(torch.arange, whole), indexing='ij'), -1).flatten(0, -2)
        moved = where - torch.tensor(shift)
        met = torch.div(moved, torch.tensor(cell), rounding_mode='floor')
        inside = (moved % torch.tensor(cell)).unbind(-1)
        number = inside[0]  # of the token in its window, row by row
        for c, at in zip(cell[1:], inside[1:]):
            number = number * c + at
        place = torch.stack(torch.unravel_index(number, tuple(window)), -1)  # as the official code looks it up
        spans = torch.tensor([2 * w - 1 for w in window])
        behind = place[:, None] - place + torch.tensor(window) - 1
        row = (behind * spans.flip(0).cumprod(0).roll(1).index_fill(0, torch.tensor(0), 1).flip(0)).sum(-1)
        apart = (met[:, None] != met).any(-1)
        rows = row.masked_fill(apart, 0)
        bias = weights[f'{name}.relative_position_bias_table'][rows].permute(2, 0, 1)
        q, k, v = linear(tokens, f'{name}.qkv').unflatten(-1, (3, heads, -1)).permute(1, 2, 0, 3)
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias
        out = scores.masked_fill(apart, -torch.inf).softmax(-1) @ v
        out = linear(out.transpose(0, 1).flatten(1), f'{name}.proj').unflatten(0, whole)
        return out[tuple(slice(s) for s in size)]

    patches = weights['patch_embed.proj.weight'].reshape(len(weights['patch_embed.proj.weight']), 3, 4, 4)
    x = F.conv2d(clip, patches, weights['patch_embed.proj.bias'], stride=4)
    x = norm(x.permute(0, 2, 3, 1), 'patch_embed.norm')  # T h w C
    maps = []
    for stage, heads_of_stage in enumerate(heads):
        block = 0
        while f'layers.{stage}.blocks.{block}.norm1.weight' in weights:
            name = f'layers.{stage}.blocks.{block}'
            parts = list(norm(x, f'{name}.norm1')) if image else [norm(x, f'{name}.norm1')]
            found = [attention(part, f'{name}.attn', heads_of_stage, block % 2 == 1) for part in parts]
            x = x + (torch.stack(found) if image else found[0])
            x = x + linear(F.gelu(linear(norm(x, f'{name}.norm2'), f'{name}.mlp.fc1')), f'{name}.mlp.fc2')
            block += 1
        maps.append((norm(x, f'norm{stage}') if image else x).permute(0, 3, 1, 2))
        merge = f'layers.{stage}.downsample' if image else f'downsamples.{stage}'
        if stage < len(heads) - 1:
            x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
            square = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
            x = linear(norm(torch.cat(square, -1), f'{merge}.norm'), f'{merge}.reduction')
    return maps
