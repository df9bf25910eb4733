"""Checks of a data set before training."""

from .checks import check_split
from .data_set_kinds import DATASET_KINDS, splits_there
from .findings import KINDS

__all__ = ['DATASET_KINDS', 'KINDS', 'check_split', 'splits_there']
