"""Referring video object segmentation on MMDetection: IFIRVOS and ReferFormer. Importing it registers everything."""

from . import compat

compat.install()

from . import datasets, evaluation, models, training, visualization  # noqa: E402
from .inference import RVOSInferencer  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['RVOSInferencer', '__version__', 'datasets', 'evaluation', 'models', 'training', 'visualization']
