"""Measures (`functional`), their summary (`summary`) and the metric classes that a config names."""

from .rvos_metric import RVOSMetric

__all__ = ['RVOSMetric']
