"""Runs a metric as a test loop does."""

from collections.abc import Sequence

from mmdet.structures import TrackDataSample
from mmengine.evaluator import Evaluator

from ifirvos.registry import METRICS


def evaluate(metric: str, samples: Sequence[TrackDataSample], size: int | None = None, **config) -> dict[str, float]:
    """Of samples in one batch; a ``size`` below their number leaves out the last, which a sampler has repeated."""
    evaluator = Evaluator(METRICS.build(dict(type=metric, **config)))
    evaluator.process(samples)
    return evaluator.evaluate(len(samples) if size is None else size)
