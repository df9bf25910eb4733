"""Between the feature maps of frames and the tokens of clips."""

from torch import Tensor


def clip_tokens(maps: Tensor, num_frames: int) -> Tensor:
    """Feature maps of frames (B*T,C,h,w) -> tokens of clips (B,T*h*w,C): frame by frame, row by row."""
    return maps.unflatten(0, (-1, num_frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)


def frame_maps(tokens: Tensor, num_frames: int, size: tuple[int, int]) -> Tensor:
    """Tokens of clips (B,T*h*w,C) -> feature maps of frames (B*T,C,h,w), with ``size`` (h, w); undoes the former."""
    return tokens.unflatten(1, (num_frames, *size)).flatten(0, 1).permute(0, 3, 1, 2)
