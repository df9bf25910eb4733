"""Turns an image into a clip."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from ifirvos.errors import InputError
from ifirvos.registry import TRANSFORMS

from .loading import mask_to_box


def affine_matrix(size: tuple[int, int], angle: float, shift: tuple[float, float], scale: float) -> np.ndarray:
    """Return the motion that turns and scales a picture about its middle, then shifts it.

    Args:
        size: (H,W).
        angle: Angle in degrees, counter-clockwise.
        shift: X and y as shares of W and H.
        scale: 1 keeps the size.

    Returns:
        float64 (2,3), from old to new pixel coordinates.
    """
    height, width = size
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += (shift[0] * width, shift[1] * height)
    return matrix


def perspective_matrix(size: tuple[int, int], insets: np.ndarray) -> np.ndarray:
    """Return the change of view that makes a quadrilateral in the picture the whole picture.

    Args:
        size: (H,W).
        insets: (4,2), how far its corners (top left, top right, bottom right, bottom left) lie inside those of the
            picture: shares of W and H.

    Returns:
        float64 (3,3), from old to new pixel coordinates.
    """
    height, width = size
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (width - 1, height - 1)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (width - 1, height - 1)
    return cv2.getPerspectiveTransform((corners + insets * inwards).astype(np.float32), corners.astype(np.float32))


def blur_kernel(size: int, angle: float) -> np.ndarray:
    """Return the kernel of a blur along a line.

    Args:
        size: Its length in pixels, odd.
        angle: Angle of the line in radians.

    Returns:
        float32 (size,size), equal along the line; its sum is 1.
    """
    middle = size // 2
    dx, dy = round(middle * np.cos(angle)), round(middle * np.sin(angle))
    kernel = np.zeros((size, size), np.float32)
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), 1.0)
    return kernel / kernel.sum()


@TRANSFORMS.register_module()
class PseudoVideo(BaseTransform):
    """Turn a clip of one picture into one of T frames by random motion, picture and mask together.

    As ReferFormer's pseudo-videos for joint training (datasets/refexp2seq.py): one frame is the picture itself, every
    other one is seen from a slightly other point, moved and sometimes blurred, each by its own draw, in random order;
    what comes in from outside is black. Its changes of brightness and hue are `PhotoMetricDistortionUint8`'s business;
    its blur is stronger towards one end of the line, ours is even. Draws come from numpy's global generator.

    It stands after the broadcaster that loads picture and mask. Every key of the clip is repeated T times.

    Required keys (lists of 1): ``img``, ``gt_masks``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_instances_ids``.
    Changed keys: those, ``frame_id`` (0..T-1), ``video_length`` and ``ori_video_length``.

    Args:
        num_frames: T.
        rotation: Largest angle in degrees, either way.
        translation: Largest shift, either way, as a share of width and height.
        scale: Smallest and largest factor.
        perspective: How far the corners of the view lie inside those of the picture: the standard deviation, as a share
            of width and height. 0: none.
        blur_prob: Share of the moved frames that are blurred.
        blur_sizes: Lengths of the blur in pixels, odd.

    Raises:
        ValueError: If ``num_frames`` is below 1, or the clip has not exactly one frame.
    """

    def __init__(
        self,
        num_frames: int,
        rotation: float = 20.0,
        translation: float = 0.1,
        scale: tuple[float, float] = (1.0, 1.0),
        perspective: float = 0.08,
        blur_prob: float = 0.25,
        blur_sizes: tuple[int, ...] = (9, 11),
    ) -> None:
        if num_frames < 1:
            raise InputError(f'PseudoVideo needs num_frames >= 1, got {num_frames}.')
        self.num_frames = num_frames
        self.rotation = rotation
        self.translation = translation
        self.scale = tuple(scale)
        self.perspective = perspective
        self.blur_prob = blur_prob
        self.blur_sizes = tuple(blur_sizes)

    def transform(self, results: dict) -> dict:
        """Make the clip."""
        if len(results['img']) != 1:
            raise InputError(
                f'PseudoVideo makes a clip of one picture, not of {len(results["img"])}: sample T=1 first.'
            )
        frames = [self._move(results) for _ in range(self.num_frames - 1)]
        still = {key: values[0] for key, values in results.items()}
        if len(still['gt_masks']):  # as in the others, and not the annotated box
            still['gt_bboxes'] = mask_to_box(still['gt_masks'].masks[0])
        frames.insert(np.random.randint(self.num_frames), still)
        for index, frame in enumerate(frames):
            frame.update(frame_id=index, video_length=self.num_frames, ori_video_length=self.num_frames)
        return {key: [frame[key] for frame in frames] for key in still}

    def _move(self, results: dict) -> dict:
        frame = {key: values[0] for key, values in results.items()}
        height, width = frame['img'].shape[:2]
        affine = affine_matrix(
            (height, width),
            np.random.uniform(-self.rotation, self.rotation),
            tuple(np.random.uniform(-self.translation, self.translation, 2)),
            np.random.uniform(*self.scale),
        )
        insets = np.minimum(np.abs(np.random.normal(0, 1, (4, 2))) * self.perspective, 0.25)
        matrix = np.vstack([affine, (0, 0, 1)]) @ perspective_matrix((height, width), insets)
        frame['img'] = cv2.warpPerspective(frame['img'], matrix, (width, height), flags=cv2.INTER_LINEAR)
        if np.random.random() < self.blur_prob:
            kernel = blur_kernel(np.random.choice(self.blur_sizes), np.random.uniform(0, np.pi))
            frame['img'] = cv2.filter2D(frame['img'], -1, kernel)
        mask = np.zeros((height, width), dtype=np.uint8)
        if len(frame['gt_masks']):
            mask = cv2.warpPerspective(frame['gt_masks'].masks[0], matrix, (width, height), flags=cv2.INTER_NEAREST)
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
            f'translation={self.translation}, scale={self.scale}, perspective={self.perspective}, '
            f'blur_prob={self.blur_prob}, blur_sizes={self.blur_sizes})'
        )
