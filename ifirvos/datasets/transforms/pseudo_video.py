"""A clip out of one picture."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from ifirvos.registry import TRANSFORMS

from .loading import mask_to_box


def affine_matrix(size: tuple[int, int], angle: float, shift: tuple[float, float], scale: float) -> np.ndarray:
    """The motion that turns and scales a picture about its middle, then shifts it.

    Args:
        size: (H,W).
        angle: In degrees, counter-clockwise.
        shift: x and y as shares of W and H.
        scale: 1 keeps the size.

    Returns:
        float64 (2,3), from old to new pixel coordinates.
    """
    height, width = size
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += (shift[0] * width, shift[1] * height)
    return matrix


@TRANSFORMS.register_module()
class PseudoVideo(BaseTransform):
    """Turn a clip of one picture into one of T frames by random affine motion, picture and mask together.

    As ReferFormer's pseudo-videos for joint training (datasets/refexp2seq.py): one frame is the picture itself, every
    other one is moved by its own draw, in random order; what comes in from outside is black. Left out are its slight
    perspective and motion blur; brightness and hue are `PhotoMetricDistortionUint8`'s business. Draws come from numpy's
    global generator.

    It stands after the broadcaster that loads picture and mask. Every key of the clip is repeated T times.

    Required keys (lists of 1): ``img``, ``gt_masks``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_instances_ids``.
    Changed keys: those, ``frame_id`` (0..T-1), ``video_length`` and ``ori_video_length``.

    Args:
        num_frames: T.
        rotation: Largest angle in degrees, either way.
        translation: Largest shift, either way, as a share of width and height.
        scale: Smallest and largest factor.

    Raises:
        ValueError: If ``num_frames`` is below 1, or the clip has not exactly one frame.
    """

    def __init__(
        self,
        num_frames: int,
        rotation: float = 20.0,
        translation: float = 0.1,
        scale: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        if num_frames < 1:
            raise ValueError(f'PseudoVideo needs num_frames >= 1, got {num_frames}.')
        self.num_frames = num_frames
        self.rotation = rotation
        self.translation = translation
        self.scale = tuple(scale)

    def transform(self, results: dict) -> dict:
        """Make the clip."""
        if len(results['img']) != 1:
            raise ValueError(
                f'PseudoVideo makes a clip of one picture, not of {len(results["img"])}: sample T=1 first.'
            )
        frames = [self._move(results) for _ in range(self.num_frames - 1)]
        still = {key: values[0] for key, values in results.items()}
        frames.insert(np.random.randint(self.num_frames), still)
        for index, frame in enumerate(frames):
            frame.update(frame_id=index, video_length=self.num_frames, ori_video_length=self.num_frames)
        return {key: [frame[key] for frame in frames] for key in still}

    def _move(self, results: dict) -> dict:
        frame = {key: values[0] for key, values in results.items()}
        height, width = frame['img'].shape[:2]
        matrix = affine_matrix(
            (height, width),
            np.random.uniform(-self.rotation, self.rotation),
            tuple(np.random.uniform(-self.translation, self.translation, 2)),
            np.random.uniform(*self.scale),
        )
        frame['img'] = cv2.warpAffine(frame['img'], matrix, (width, height), flags=cv2.INTER_LINEAR)
        mask = np.zeros((height, width), dtype=np.uint8)
        if len(frame['gt_masks']):
            mask = cv2.warpAffine(frame['gt_masks'].masks[0], matrix, (width, height), flags=cv2.INTER_NEAREST)
        boxes = mask_to_box(mask)
        seen = len(boxes)
        frame.update(
            gt_masks=BitmapMasks(mask[None][:seen], height, width),
            gt_bboxes=boxes,
            gt_bboxes_labels=frame['gt_bboxes_labels'][:seen],
            gt_instances_ids=frame['gt_instances_ids'][:seen],
        )
        return frame

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_frames={self.num_frames}, rotation={self.rotation}, '
            f'translation={self.translation}, scale={self.scale})'
        )
