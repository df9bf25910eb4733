"""Colour augmentation that keeps pictures uint8."""

import numpy as np
from mmdet.datasets.transforms import PhotoMetricDistortion

from ifirvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PhotoMetricDistortionUint8(PhotoMetricDistortion):
    """mmdet's PhotoMetricDistortion, clipped to 0..255 and rounded back to uint8.

    mmdet's hands on float32 outside that range: four times the bytes between worker and model, and values no picture
    has. Mind the defaults: a sentence may name a colour, and swapped channels or a turned hue make it untrue.

    Args:
        swap_channels: Whether channels may be swapped (upstream's mmdet 3.3 has no such argument).
        *args, **kwargs: mmdet's.
    """

    def __init__(self, *args, swap_channels: bool = True, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.swap_channels = swap_channels

    def _random_flags(self) -> tuple:
        # Not decorated: mmcv would list the method, whose draws the parent already shares, a second time.
        flags = list(super()._random_flags())
        flags[5] = flags[5] and self.swap_channels
        return tuple(flags)

    def transform(self, results: dict) -> dict:
        """Distort ``img`` (uint8 (H,W,3) BGR)."""
        results = super().transform(results)
        results['img'] = np.clip(np.rint(results['img']), 0, 255).astype(np.uint8)
        return results
