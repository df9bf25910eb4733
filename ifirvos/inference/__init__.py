"""From a video and sentences to masks, and to files of them."""

from .inferencer import RVOSInferencer
from .results import SentenceResult

__all__ = ['RVOSInferencer', 'SentenceResult']
