"""Colour augmentation on uint8 images."""

import mmcv
import numpy as np
from mmdet.datasets.transforms import PhotoMetricDistortion

from ifirvos.errors import InputError
from ifirvos.registry import TRANSFORMS

OVERFLOWS = ('clip', 'wrap')


@TRANSFORMS.register_module()
class PhotoMetricDistortionUint8(PhotoMetricDistortion):
    """mmdet's PhotoMetricDistortion, back in uint8.

    mmdet's hands on float32 outside that range: four times the bytes between worker and model, and values no picture
    has. Mind the defaults: a sentence may name a colour, and swapped channels or a turned hue make it untrue.

    Args:
        overflow: ``'clip'`` rounds and clips to 0..255. ``'wrap'`` is ReferFormer's: saturation may exceed 1, and the
            float picture is cast as it is, so that 260 becomes 4; in two of five frames that changes more than a
            hundredth of the pixels. What either does to J&F is not known.
        swap_channels: Whether channels may be swapped (upstream's mmdet 3.3 has no such argument).
        *args: Arguments of mmdet's.
        **kwargs: Arguments of mmdet's.
    """

    def __init__(self, *args, overflow: str = 'clip', swap_channels: bool = True, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if overflow not in OVERFLOWS:
            raise InputError(f'overflow must be one of {OVERFLOWS}, not {overflow!r}')
        self.overflow = overflow
        self.swap_channels = swap_channels

    def _random_flags(self) -> tuple:
        # Not decorated: mmcv would list the method, whose draws the parent already shares, a second time.
        flags = list(super()._random_flags())
        flags[5] = flags[5] and self.swap_channels
        return tuple(flags)

    def transform(self, results: dict) -> dict:
        """Distort ``img`` (uint8 (H,W,3) BGR)."""
        if self.overflow == 'wrap':
            image = self._without_limits(results['img'].astype(np.float32), *self._random_flags())
            results['img'] = image.astype(np.int64).astype(np.uint8)  # truncated, then modulo 256
        else:
            results = super().transform(results)
            results['img'] = np.clip(np.rint(results['img']), 0, 255).astype(np.uint8)
        return results

    @staticmethod
    def _without_limits(
        image: np.ndarray,
        contrast_first: int,
        brightness_flag: int,
        contrast_flag: int,
        saturation_flag: int,
        hue_flag: int,
        swap_flag: int,
        brightness: float,
        contrast: float,
        saturation: float,
        hue: float,
        order: np.ndarray,
    ) -> np.ndarray:
        """Do what the reference does, with mmdet's draws: float32 (H,W,3), in the end beyond 0..255 too."""
        if brightness_flag:
            image = image + np.float32(brightness)
        if contrast_flag and contrast_first:
            image = image * np.float32(contrast)
        image = mmcv.bgr2hsv(image)
        if saturation_flag:
            image[..., 1] *= saturation
        if hue_flag:
            image[..., 0] += hue
            image[..., 0][image[..., 0] > 360] -= 360
            image[..., 0][image[..., 0] < 0] += 360
        image = mmcv.hsv2bgr(image)
        if contrast_flag and not contrast_first:
            image = image * np.float32(contrast)
        return image[..., order] if swap_flag else image
