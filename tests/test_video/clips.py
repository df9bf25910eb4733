"""Clips that the tests of videos share."""

import numpy as np

from ifirvos.video import VideoWriter


def moving_bar(num_frames=12, height=48, width=64):
    """Grey frames with a white bar whose left edge is at 4 * t."""
    frames = np.full((num_frames, height, width, 3), 60, np.uint8)
    for t, frame in enumerate(frames):
        frame[:, 4 * t : 4 * t + 8] = 255
    return frames


def write(path, frames, fps=10, **kwargs):
    with VideoWriter(path, fps, **kwargs) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def matrix_in(data):
    """Where the display matrix of an mp4's track begins: tkhd's version 0 has 40 bytes before it."""
    return data.index(b'tkhd') + 44
