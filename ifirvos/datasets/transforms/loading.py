"""Read the mask of the referred object."""

from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks
from PIL import Image

from ifirvos.registry import TRANSFORMS


def read_palette_png(results: dict) -> np.ndarray:
    """The pixels whose palette index in ``mask_path`` is ``obj_id``: uint8 (H,W), 0 or 1."""
    with Image.open(results['mask_path']) as image:
        if image.mode not in ('P', 'L', '1'):
            raise ValueError(
                f'{results["mask_path"]} is a {image.mode} picture: a mask must be a palette or grey PNG whose pixel '
                'values are object ids.'
            )
        return (np.asarray(image) == results['obj_id']).view(np.uint8)


# How a data set stores its masks -> function(frame dict) -> uint8 (H,W). A new storage format is one entry here.
MASK_READERS: dict[str, Callable[[dict], np.ndarray]] = {'palette_png': read_palette_png}


def mask_to_box(mask: np.ndarray) -> np.ndarray:
    """Tight box around a mask.

    Args:
        mask: uint8 (H,W).

    Returns:
        float32 (1,4), or (0,4) if the mask is empty: x1, y1, x2, y2 in pixels. x2 and y2 are the index of the *last*
        pixel (no +1), as in ReferFormer: a one-pixel object has a box of size zero.
    """
    x, y, width, height = cv2.boundingRect(mask)
    boxes = [(x, y, x + width - 1, y + height - 1)] if width else []
    return np.array(boxes, dtype=np.float32).reshape(-1, 4)


@TRANSFORMS.register_module()
class LoadRVOSMasks(BaseTransform):
    """Load one frame's mask of the referred object and derive its box.

    Before the resize (training) mask and box follow the picture through the augmentation; after it (test) they stay
    at the original size. mmdet's LoadTrackAnnotations would want the mask as RLE or polygon: encoding and decoding it
    costs more than reading the PNG.

    Required keys: what the reader needs (``palette_png``: ``mask_path``, ``obj_id``), ``ori_shape``.
    Added keys, each with one entry, or none where the object is absent: ``gt_masks`` (BitmapMasks), ``gt_bboxes``
    (float32 (n,4) xyxy in pixels, see :func:`mask_to_box`), ``gt_bboxes_labels`` (zeros), ``gt_instances_ids``.
    Nothing is added where ``mask_path`` is None, that is where nobody knows the truth.

    Args:
        reader: How masks are stored: a key of ``MASK_READERS``.

    Raises:
        FileNotFoundError: If the mask file is missing.
        ValueError: If the reader is unknown, or a mask and its frame differ in size.
    """

    def __init__(self, reader: str = 'palette_png') -> None:
        if reader not in MASK_READERS:
            raise ValueError(f'Unknown mask reader {reader!r}: use one of {sorted(MASK_READERS)}.')
        self.reader = reader

    def transform(self, results: dict) -> dict:
        """Add the annotation keys to one frame."""
        path = results['mask_path']
        if path is None:
            return results
        try:
            mask = MASK_READERS[self.reader](results)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'Mask file {path} is missing: complete the data set.') from error
        if mask.shape != tuple(results['ori_shape']):
            raise ValueError(
                f'Mask {path} has size {mask.shape} but its frame {results["img_path"]} has {results["ori_shape"]}.'
            )
        boxes = mask_to_box(mask)
        present = len(boxes)
        results['gt_masks'] = BitmapMasks(mask[None][:present], *mask.shape)
        results['gt_bboxes'] = boxes
        results['gt_bboxes_labels'] = np.zeros(present, dtype=np.int64)
        results['gt_instances_ids'] = np.full(present, results['obj_id'], dtype=np.int32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(reader={self.reader!r})'
