"""The order of a clip's tokens: frame by frame, row by row, and back."""

import torch

from ifirvos.models.clip_tokens import clip_tokens, frame_maps

B, T, C, H, W = 2, 3, 4, 2, 5


def test_tokens_follow_frames_rows_and_columns():
    maps = torch.arange(B * T * C * H * W).view(B * T, C, H, W)
    tokens = clip_tokens(maps, T)
    assert tokens.shape == (B, T * H * W, C)
    for b in range(B):
        for t in range(T):
            for y in range(H):
                for x in range(W):
                    assert torch.equal(tokens[b, (t * H + y) * W + x], maps[b * T + t, :, y, x])


def test_maps_come_back():
    maps = torch.rand(B * T, C, H, W)
    assert torch.equal(frame_maps(clip_tokens(maps, T), T, (H, W)), maps)
