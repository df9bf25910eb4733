"""Referring video object segmentation on MMDetection: IFIRVOS and ReferFormer."""

from . import compat

compat.install()

from . import datasets, evaluation, models  # noqa: E402,F401

__version__ = '0.1.0'
