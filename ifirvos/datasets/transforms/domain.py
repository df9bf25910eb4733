"""Augmentation beyond SynthRVOS's own range: sizes of objects, and texture.

Sentences stay true: colours do not change, and sizes hardly change if the sentence mentions one.
"""

import re

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.structures.mask import BitmapMasks

from ifirvos.registry import TRANSFORMS

from .loading import mask_to_box

SIZE_WORDS = re.compile(r'\b(small|little|tiny|large|big)\b')


@TRANSFORMS.register_module()
class RandomZoom(BaseTransform):
    """Scales and shifts a frame about its middle; what comes in from outside repeats the border.

    Required keys: ``img``, and ``text`` if sizes may be named; ``gt_masks``, ``gt_bboxes`` and the other instance keys,
    if any, follow: a frame whose object is moved out becomes a frame without it.

    Args:
        prob: Probability of doing anything.
        scales: Lowest and highest factor.
        sized_scales: The same where the sentence says small or large: SynthRVOS's small objects have radii of 17 to 21
            pixels, its large ones of 30 to 36.
        shift: At most this share of the width and of the height.
    """

    INSTANCE_KEYS = ('gt_bboxes_labels', 'gt_instances_ids')

    def __init__(
        self,
        prob: float = 0.5,
        scales: tuple[float, float] = (0.65, 1.5),
        sized_scales: tuple[float, float] = (0.87, 1.15),
        shift: float = 0.1,
    ) -> None:
        self.prob = prob
        self.scales = tuple(scales)
        self.sized_scales = tuple(sized_scales)
        self.shift = shift

    @cache_randomness
    def _draw(self) -> tuple[bool, float, float, float]:
        """Draw whether, where in the range of scales (0 to 1), and the shifts (-1 to 1)."""
        return (np.random.rand() < self.prob, np.random.rand(), *np.random.uniform(-1, 1, 2))

    def transform(self, results: dict) -> dict:
        """Zoom one frame and its annotation."""
        active, place, dx, dy = self._draw()
        if not active:
            return results
        low, high = self.sized_scales if SIZE_WORDS.search(results.get('text', '')) else self.scales
        scale = low * (high / low) ** place
        height, width = results['img'].shape[:2]
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        offset = centre * (1 - scale) + self.shift * np.array([dx * width, dy * height])
        matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
        results['img'] = cv2.warpAffine(
            results['img'], matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if 'gt_masks' in results:
            self._zoom_masks(results, matrix)
        return results

    def _zoom_masks(self, results: dict, matrix: np.ndarray) -> None:
        height, width = results['gt_masks'].height, results['gt_masks'].width
        masks = [
            (cv2.warpAffine(mask * 255, matrix, (width, height), flags=cv2.INTER_LINEAR) >= 128).view(np.uint8)
            for mask in results['gt_masks'].masks
        ]
        seen = [bool(mask.any()) for mask in masks]
        masks = [mask for mask, there in zip(masks, seen, strict=True) if there]
        results['gt_masks'] = BitmapMasks(masks, height, width)
        boxes = [mask_to_box(mask) for mask in masks]
        results['gt_bboxes'] = np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32)
        for key in self.INSTANCE_KEYS:
            if key in results:
                results[key] = results[key][seen]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, scales={self.scales}, sized_scales={self.sized_scales})'


@TRANSFORMS.register_module()
class RandomTexture(BaseTransform):
    """Lays a smooth light and a grain over a frame, and blurs it: other lamps, lenses and surfaces.

    The light is the same in all three channels but for a tint, so that colours stay what they are called.

    Args:
        prob: Probability of each of the three.
        light: How far the light departs from 1 at most.
        tint: How far its channels differ at most.
        grain: Standard deviation of the noise at most, of 255.
        blur: Standard deviation of the blur at most, in pixels.
    """

    def __init__(
        self, prob: float = 0.4, light: float = 0.35, tint: float = 0.05, grain: float = 8.0, blur: float = 0.8
    ) -> None:
        self.prob = prob
        self.light = light
        self.tint = tint
        self.grain = grain
        self.blur = blur

    @cache_randomness
    def _draw(self) -> dict:
        """Draw what all frames of a clip share: the light, the strengths, the seed of the grain."""
        cells = tuple(np.random.randint(2, 8, 2))
        light = np.random.uniform(-1, 1, (*cells, 1)) * self.light * np.random.rand()
        tint = np.random.uniform(-self.tint, self.tint, (*cells, 3))
        active = np.random.rand(3) < self.prob
        return dict(
            light=(1 + light + tint).astype(np.float32) if active[0] else None,
            grain=np.random.rand() * self.grain if active[1] else 0.0,
            blur=np.random.uniform(0.3, max(0.3, self.blur)) if active[2] else 0.0,
            seed=int(np.random.randint(2**31)),
        )

    def transform(self, results: dict) -> dict:
        """Change ``img`` (uint8 (H,W,3))."""
        drawn, picture = self._draw(), results['img']
        if drawn['blur']:
            picture = cv2.GaussianBlur(picture, (0, 0), drawn['blur'])
        if drawn['light'] is not None or drawn['grain']:
            picture = picture.astype(np.float32)
            if drawn['light'] is not None:
                picture *= cv2.resize(drawn['light'], picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            if drawn['grain']:  # another one in every frame
                noise = np.random.default_rng([drawn['seed'], results.get('frame_id', 0)])
                picture += drawn['grain'] * noise.standard_normal(picture.shape, np.float32)
            picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        results['img'] = picture
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, light={self.light}, grain={self.grain}, blur={self.blur})'
