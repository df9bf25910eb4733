"""Video in and out: files, folders of frames, addresses, webcams, sound."""

from .reader import VideoReader
from .writer import VideoWriter

__all__ = ['VideoReader', 'VideoWriter']
