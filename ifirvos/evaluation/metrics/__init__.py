"""The metric classes of the configs, and the summary of their results."""

from .a2d_metric import A2DMetric
from .absence_metric import AbsenceMetric
from .ref_davis_metric import RefDAVISMetric
from .refcoco_metric import RefCOCOMetric
from .rvos_metric import RVOSMetric

__all__ = ['A2DMetric', 'AbsenceMetric', 'RVOSMetric', 'RefCOCOMetric', 'RefDAVISMetric']
