"""What is there of a data set, and what is wrong with it, before hours of training find out."""

from .checks import check_split
from .data_set_kinds import DATASET_KINDS
from .findings import KINDS

__all__ = ['DATASET_KINDS', 'KINDS', 'check_split']
