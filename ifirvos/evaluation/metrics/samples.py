"""Access to the fields of a sample (a ``TrackDataSample`` as a dict), with errors that name missing ones."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from ifirvos.errors import MissingKeyError
from ifirvos.structures import stack

NO_GROUP = '(none)'


def meta(sample: dict, key: str) -> object:
    """Return a value of the clip's metainfo.

    Raises:
        KeyError: if the sample does not have the key.
    """
    if key not in sample:
        raise MissingKeyError(f"a sample has no metainfo '{key}': add it to clip_keys of the pipeline's last transform")
    return sample[key]


def group_name(sample: dict, group_by: str | None) -> str | None:
    """Return the value that the sample is grouped by, as text; ``NO_GROUP`` for an empty one, None without grouping."""
    return None if group_by is None else str(meta(sample, group_by)) or NO_GROUP


def prediction(frame: DetDataSample, key: str, field: str = 'pred_track_instances', remedy: str = '') -> torch.Tensor:
    """Return one entry of a frame's predictions.

    Raises:
        KeyError: if the model has not filled it; ``remedy`` says what to do.
    """
    instances = frame.get(field)
    if instances is None or key not in instances:
        raise MissingKeyError(f'{_path(frame)} has no prediction: {field}.{key} is missing{remedy and "; " + remedy}')
    return instances[key]


def is_annotated(frame: DetDataSample) -> bool:
    """Return whether the frame's masks are known (there may be none in it)."""
    instances = frame.get('gt_instances')
    return instances is not None and 'masks' in instances


def annotation(frame: DetDataSample) -> InstanceData:
    """Return the annotated instances of a frame, none if the object is absent.

    Raises:
        KeyError: if the frame is not annotated.
    """
    if not is_annotated(frame):
        raise MissingKeyError(f'{_path(frame)} has no annotation: gt_instances.masks is missing')
    return frame.gt_instances


def mask_pair(frame: DetDataSample) -> tuple[np.ndarray, np.ndarray]:
    """Return the annotated and the predicted mask of a frame, bool (H, W) each; several instances count as their union.

    Raises:
        KeyError: if the frame lacks one of them.
        ValueError: if their sizes differ.
    """
    gt, pred = union(annotation(frame).masks), union(prediction(frame, 'masks'))
    check_size(frame, gt, pred)
    return gt, pred


def union(masks) -> np.ndarray:
    """Return the union of N masks (a tensor, an array (N, H, W) or mmdet's masks) as bool (H, W); empty for N = 0."""
    return stack(masks).any(axis=0)


def check_size(frame: DetDataSample, gt: np.ndarray, pred: np.ndarray) -> None:
    """Raise ValueError if the masks (..., H, W) differ in size."""
    if gt.shape[-2:] != pred.shape[-2:]:
        raise ValueError(
            f'{_path(frame)}: the annotated mask is {gt.shape[-2:]} but the predicted one {pred.shape[-2:]}; '
            'both must have the original size, so load annotations after the resize'
        )


def _path(frame: DetDataSample) -> str:
    return str(frame.get('img_path'))
