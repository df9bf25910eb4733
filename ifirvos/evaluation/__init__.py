"""Measures (`functional`), metric classes of the configs (`metrics`), files for evaluation servers (`submission`)."""

from .metrics import A2DMetric, AbsenceMetric, RefCOCOMetric, RefDAVISMetric, RVOSMetric
from .submission import SubmissionLoop, SubmissionWriter

__all__ = [
    'A2DMetric',
    'AbsenceMetric',
    'RVOSMetric',
    'RefCOCOMetric',
    'RefDAVISMetric',
    'SubmissionLoop',
    'SubmissionWriter',
]
