"""Reading and writing of videos: files, folders of frames, URLs, webcams, sound."""

from .reader import VideoReader
from .writer import VideoWriter

__all__ = ['VideoReader', 'VideoWriter']
