"""Metrics as functions (`functional`) and classes (`metrics`), and files for evaluation servers (`submission`)."""

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
