"""Measures (`functional`, `davis17`, `coco_map`), their summary (`summary`) and the metric classes of the configs."""

from .a2d_metric import A2DMetric
from .ref_davis_metric import RefDAVISMetric
from .refcoco_metric import RefCOCOMetric
from .rvos_metric import RVOSMetric
from .submission_loop import SubmissionLoop
from .submission_metric import SubmissionWriter

__all__ = ['A2DMetric', 'RVOSMetric', 'RefCOCOMetric', 'RefDAVISMetric', 'SubmissionLoop', 'SubmissionWriter']
