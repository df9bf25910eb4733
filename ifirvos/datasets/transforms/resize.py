"""Resizing for small network inputs."""

import cv2
import numpy as np
from mmdet.datasets.transforms import Resize
from mmdet.structures.mask import BitmapMasks

from ifirvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeByArea(Resize):
    """mmdet's Resize, with picture and mask averaged over the area of each new pixel.

    mmdet takes the top left source pixel for a mask. Shrinking by 3 shifts the mask by one source pixel that way,
    which a small object pays for in J when the prediction is enlarged again. A mask pixel is set here where at least
    half of its area is covered. Meant for shrinking to an exact size.

    Args:
        scale: Target size (W,H).

    Raises:
        ValueError: If ``keep_ratio`` is asked for.
    """

    def __init__(self, scale: tuple[int, int], interpolation: str = 'area', **kwargs) -> None:
        super().__init__(scale=scale, interpolation=interpolation, **kwargs)
        if self.keep_ratio:
            raise ValueError('ResizeByArea goes to an exact size: use mmdet.Resize where the ratio must be kept.')

    def _resize_masks(self, results: dict) -> None:
        masks = results.get('gt_masks')
        if masks is None:
            return
        height, width = results['img_shape']
        resized = [cv2.resize(mask * 255, (width, height), interpolation=cv2.INTER_AREA) >= 128 for mask in masks]
        results['gt_masks'] = BitmapMasks([mask.view(np.uint8) for mask in resized], height, width)
