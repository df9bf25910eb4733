"""Resizing, as in the reference code and for small inputs."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import Resize
from mmdet.structures.mask import BitmapMasks

from ifirvos.registry import TRANSFORMS


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize without aliasing: halve while the result is still large enough, then interpolate.

    For 288x192 to 96x64 a third of the time of ``cv2.INTER_AREA``, which is vectorised for halving only.

    Args:
        image: uint8 (H,W,3).
        size: New size (W,H).
    """
    width, height = size
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Set the pixels of the new mask of which at least half is covered.

    Args:
        mask: uint8 (H,W), 0 or 1.
        size: New size (W,H).

    Returns:
        uint8, 0 or 1.
    """
    return (cv2.resize(mask * 255, size, interpolation=cv2.INTER_AREA) >= 128).view(np.uint8)


def reference_size(size: tuple[int, int], short: int, longest: int | None) -> tuple[int, int]:
    """Return the size that the reference resizes a picture to: truncated where mmcv's ``rescale_size`` rounds.

    Args:
        size: (H,W) of the picture.
        short: What its shorter side becomes, if the longer one then is no more than ``longest``.
        longest: None where there is no limit.

    Returns:
        The new (H,W).
    """
    low, high = min(size), max(size)
    if longest is not None and high / low * short > longest:
        short = round(longest * low / high)  # to even at .5, as there
    high = int(short * high / low)
    return (short, high) if size[0] < size[1] else (high, short)


@TRANSFORMS.register_module()
class ReferenceResize(Resize):
    """mmdet's Resize, by PIL and to the sizes of ReferFormer (datasets/transforms_video.py there).

    mmcv rounds the longer side, the reference truncates it: more than half of all sizes differ by a pixel.

    Args:
        scale: (longest, short): the shorter side becomes ``short``, unless the longer one would exceed ``longest``;
            None there is no limit, as in the reference's inference on videos.
        **kwargs: Passed on to mmdet's Resize, but ``keep_ratio``.
    """

    def __init__(self, scale: tuple[int | None, int] | None = None, backend: str = 'pillow', **kwargs) -> None:
        super().__init__(scale=(1, 1), backend=backend, keep_ratio=False, **kwargs)
        self.scale = scale  # RandomChoiceResize sets it for every clip

    def transform(self, results: dict) -> dict:
        """Resize one frame and its annotation."""
        asked = longest, short = self.scale
        height, width = reference_size(results['img'].shape[:2], short, longest)
        self.scale = (width, height)
        try:
            return super().transform(results)
        finally:
            self.scale = asked


@TRANSFORMS.register_module()
class ResizeByArea(BaseTransform):
    """Shrink to an exact size by averaging: for small network inputs.

    Unlike mmdet's Resize, which takes the top left source pixel for a mask: shrinking by 3 so shifts the mask by one
    source pixel, and a small object pays for that in J when the prediction is enlarged again.

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
        results['img'] = shrink_image(results['img'], self.scale)
        results.update(img_shape=(height, width), scale=self.scale, scale_factor=factor, keep_ratio=False)
        if 'gt_masks' in results:
            masks = [shrink_mask(mask, self.scale) for mask in results['gt_masks']]
            results['gt_masks'] = BitmapMasks(masks, height, width)
        if 'gt_bboxes' in results:
            results['gt_bboxes'] = results['gt_bboxes'] * np.array(factor * 2, dtype=np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale})'
