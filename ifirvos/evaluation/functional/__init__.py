"""Metrics as functions on numpy arrays, without mmengine."""

from .masks import (
    bootstrap_interval,
    contour_accuracy,
    mean_iou,
    overall_iou,
    precision_at_k,
    region_similarity,
    sequence_statistics,
)

__all__ = [
    'bootstrap_interval',
    'contour_accuracy',
    'mean_iou',
    'overall_iou',
    'precision_at_k',
    'region_similarity',
    'sequence_statistics',
]
