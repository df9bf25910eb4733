"""Inference on videos, and writing of results."""

from .exporters import refine_with_sam2, to_supervision
from .inferencer import RVOSInferencer
from .results import SentenceResult

__all__ = ['RVOSInferencer', 'SentenceResult', 'refine_with_sam2', 'to_supervision']
