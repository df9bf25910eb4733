"""Drops clips that lost their object in augmentation."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import BaseBoxes
from mmdet.structures.mask import BitmapMasks

from ifirvos.errors import InputError
from ifirvos.registry import TRANSFORMS

_INSTANCE_KEYS = ('gt_masks', 'gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids')


PRESENCES = ('mask', 'box')


@TRANSFORMS.register_module()
class RequireVisibleObject(BaseTransform):
    """End of the training augmentation: the object, if there is one, must still be seen in at least one frame.

    A frame in which it is not present any more becomes a frame without the object. A clip with no other frame yields
    None, and the data set draws another record. A sentence that fits nothing (``obj_id`` 0, as SynthRVOS's `absent`)
    keeps its clip.

    Required keys: ``gt_masks``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_instances_ids`` (lists of T).

    Args:
        presence: ``'mask'``: a pixel of the mask is left. ``'box'`` is ReferFormer's (``Check`` there): a box with a
            width and a height is left, though a crop may have taken all of the mask; boxes go from the first pixel to
            the last, so an object that is one pixel wide is absent.
    """

    def __init__(self, presence: str = 'mask') -> None:
        if presence not in PRESENCES:
            raise InputError(f'presence must be one of {PRESENCES}, not {presence!r}')
        self.presence = presence

    def _visible(self, masks: BitmapMasks, boxes: BaseBoxes | np.ndarray) -> bool:
        if self.presence == 'mask':
            return bool(masks.masks.any())
        boxes = np.asarray(getattr(boxes, 'tensor', boxes))
        return bool((boxes[:, 2:] > boxes[:, :2]).all(1).any())

    def transform(self, results: dict) -> dict | None:
        """Empty the frames without the object; None if no frame has it though there is one."""
        visible = [self._visible(*frame) for frame in zip(results['gt_masks'], results['gt_bboxes'], strict=True)]
        if not any(visible) and set(results.get('obj_id', ())) != {0}:
            return None
        for frame, seen in enumerate(visible):
            if not seen:
                for key in _INSTANCE_KEYS:
                    results[key][frame] = results[key][frame][:0]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(presence={self.presence!r})'
