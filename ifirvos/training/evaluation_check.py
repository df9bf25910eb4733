"""Checks at the start that everything an evaluation needs exists."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mmengine.evaluator import BaseMetric
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import Dataset

from ifirvos.datasets import BaseRVOSDataset
from ifirvos.errors import AnnotationError, MissingFileError
from ifirvos.evaluation.metrics.expression_metric import ExpressionMetric


def check_evaluation(loop: BaseLoop) -> None:
    """Check that all ground-truth masks for the metrics of a loop exist.

    Args:
        loop: A loop with an evaluator; builds the data set, but reads no frames.

    Raises:
        MissingFileError: a mask is missing; names it.
        AnnotationError: a metric scores masks, and the data set has none.
    """
    for metric in loop.evaluator.metrics:
        check_annotations(loop.dataloader.dataset, metric)


def check_annotations(dataset: Dataset, metric: BaseMetric) -> None:
    """Check that a data set has the masks that a metric needs; see :func:`check_evaluation`."""
    if scores_masks(metric):
        for part in leaves(dataset):
            check_masks(part, metric)


def scores_masks(metric: BaseMetric) -> bool:
    """Return whether a metric needs the masks of all frames."""
    return isinstance(metric, ExpressionMetric) and getattr(metric, 'unannotated', 'error') == 'error'


def leaves(dataset: Dataset) -> Iterator[BaseRVOSDataset]:
    """Yield the data sets inside wrappers (ConcatDataset, Subset, RepeatDataset)."""
    if isinstance(dataset, BaseRVOSDataset):
        yield dataset
    for inner in getattr(dataset, 'datasets', None) or filter(None, [getattr(dataset, 'dataset', None)]):
        yield from leaves(inner)


def check_masks(dataset: BaseRVOSDataset, metric: BaseMetric) -> None:
    """Look for the mask files of all evaluated frames; see :func:`check_evaluation`."""
    seen = set()
    for expression in dataset.expressions:
        key_frame = expression.get('key_frame_id')
        names = dataset.videos[expression['video_id']] if key_frame is None else [key_frame + 1]
        for name in names:
            path = dataset.frame_info(expression, name)['mask_path']
            if path is None:
                folder = (
                    getattr(dataset, 'mask_root', None) or (dataset.data_prefix or {}).get('mask_path') or 'the split'
                )
                hint = ''
                if os.path.isdir(str(folder).replace('Annotations_unsupervised', 'Annotations')):
                    hint = (
                        ' Its Annotations are those of the semi-supervised task, with other objects: unpack '
                        'DAVIS-2017-Unsupervised-trainval-480p.zip beside them.'
                    )
                raise AnnotationError(
                    f'{type(metric).__name__} compares with masks, and {type(dataset).__name__} has none of video '
                    f'{expression["video_id"]}: {folder} is missing.{hint} A split whose masks are secret is '
                    'predicted with --cfg-options test_evaluator.type=SubmissionWriter.'
                )
            if path not in seen and not os.path.isfile(path):
                raise MissingFileError(f'Mask {path} is missing, which {type(metric).__name__} compares with.')
            seen.add(path)
