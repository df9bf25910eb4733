"""Data sets: annotation parsing only; everything about pixels is in the pipeline (``transforms``)."""

from . import transforms
from .base_rvos_dataset import BaseRVOSDataset
from .ref_youtube_vos import RefYouTubeVOSDataset
from .synth_rvos import SynthRVOSDataset

__all__ = ['BaseRVOSDataset', 'RefYouTubeVOSDataset', 'SynthRVOSDataset', 'transforms']
