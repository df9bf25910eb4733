"""Resizing for small network inputs."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from ifirvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeByArea(BaseTransform):
    """Shrink to an exact size, picture and mask averaged over the area of each new pixel.

    Unlike mmdet's Resize, which takes the top left source pixel for a mask: shrinking by 3 so shifts the mask by one
    source pixel, and a small object pays for that in J when the prediction is enlarged again. Here a mask pixel is set
    where at least half of its area is covered. It is also quicker: boxes stay numpy arrays.

    Required keys: ``img``; ``gt_masks`` and ``gt_bboxes``, if any, follow.
    Added keys: ``img_shape`` (H,W), ``scale`` (W,H), ``scale_factor`` (w, h), ``keep_ratio``.

    Args:
        scale: Target size (W,H).
    """

    def __init__(self, scale: tuple[int, int]) -> None:
        self.scale = tuple(scale)

    def transform(self, results: dict) -> dict:
        """Resize one frame and its annotation."""
        width, height = self.scale
        old_height, old_width = results['img'].shape[:2]
        factor = (width / old_width, height / old_height)
        results['img'] = cv2.resize(results['img'], self.scale, interpolation=cv2.INTER_AREA)
        results.update(img_shape=(height, width), scale=self.scale, scale_factor=factor, keep_ratio=False)
        if 'gt_masks' in results:
            resized = [
                cv2.resize(mask * 255, self.scale, interpolation=cv2.INTER_AREA) >= 128 for mask in results['gt_masks']
            ]
            results['gt_masks'] = BitmapMasks([mask.view(np.uint8) for mask in resized], height, width)
        if 'gt_bboxes' in results:
            results['gt_bboxes'] = results['gt_bboxes'] * np.array(factor * 2, dtype=np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale})'
