"""Drop what augmentation has cut away."""

from mmcv.transforms import BaseTransform

from ifirvos.registry import TRANSFORMS

_INSTANCE_KEYS = ('gt_masks', 'gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids')


@TRANSFORMS.register_module()
class RequireVisibleObject(BaseTransform):
    """End of the training augmentation: the object, if there is one, must still be seen in at least one frame.

    A frame whose mask a crop or a resize has emptied becomes a frame without the object, though a corner of its box
    may be left. A clip with no such frame yields None, and the data set draws another record. A sentence that fits
    nothing (``obj_id`` 0, as SynthRVOS's `absent`) keeps its clip.

    Required keys: ``gt_masks``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_instances_ids`` (lists of T).
    """

    def transform(self, results: dict) -> dict | None:
        """Empty the frames without an object pixel; None if no frame has one though there is an object."""
        visible = [masks.masks.any() for masks in results['gt_masks']]
        if not any(visible) and set(results.get('obj_id', ())) != {0}:
            return None
        for frame, seen in enumerate(visible):
            if not seen:
                for key in _INSTANCE_KEYS:
                    results[key][frame] = results[key][frame][:0]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
