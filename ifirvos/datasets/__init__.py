"""Data sets: annotation parsing only; pixels are loaded and augmented by ``transforms``."""

from . import transforms
from .a2d_sentences import A2DSentencesDataset
from .base_rvos_dataset import BaseRVOSDataset
from .jhmdb_sentences import JHMDBSentencesDataset
from .mevis import MeViSDataset
from .paired_expressions import PairedExpressions, pair_collate
from .ref_davis17 import RefDAVIS17Dataset
from .ref_youtube_vos import RefYouTubeVOSDataset
from .refcoco_clip import RefCOCOClipDataset
from .synth_rvos import SynthRVOSDataset

__all__ = [
    'A2DSentencesDataset',
    'BaseRVOSDataset',
    'JHMDBSentencesDataset',
    'MeViSDataset',
    'PairedExpressions',
    'RefCOCOClipDataset',
    'RefDAVIS17Dataset',
    'RefYouTubeVOSDataset',
    'SynthRVOSDataset',
    'pair_collate',
    'transforms',
]
