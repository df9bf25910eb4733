"""Loads the mask of the referred object."""

import math
import os
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks
from PIL import ExifTags, Image

from ifirvos.errors import AnnotationError, InputError, LimitError, MissingFileError, UserError
from ifirvos.json_files import check_regular
from ifirvos.label_maps import read_palette_png
from ifirvos.registry import TRANSFORMS
from ifirvos.run_lengths import decode_segmentation

_MOST_MASKS = 1_000  # of a file


def read_object_png(results: dict) -> np.ndarray:
    """Return the pixels whose palette index in ``mask_path`` is ``obj_id``: uint8 (H,W), 0 or 1.

    The object 0, which is the background's index, stands for none: the sentence fits nothing in the video.
    """
    if results['obj_id'] == 0:
        return np.zeros(results['ori_shape'], dtype=np.uint8)
    return (read_palette_png(results['mask_path']) == results['obj_id']).view(np.uint8)


def read_a2d_h5(results: dict) -> np.ndarray:
    """Return the instance ``obj_id`` of the A2D-Sentences file ``mask_path``: uint8 (H,W), 0 or 1.

    ``instance`` lists the ids of n objects, ``reMask`` holds their masks, transposed: (n,W,H), or (W,H) where n = 1.
    """
    import h5py  # an extra of this package: only A2D-Sentences needs it

    with h5py.File(results['mask_path'], 'r') as file:
        for name in ('instance', 'reMask'):
            _check_volume(name, file[name].shape, results['ori_shape'])
        instances = np.ravel(file['instance']).tolist()
        if results['obj_id'] not in instances:
            raise AnnotationError(
                f'{results["mask_path"]} has no instance {results["obj_id"]}, only {instances}: take the sentence off '
                'the list.'
            )
        masks = file['reMask']
        mask = masks[instances.index(results['obj_id'])] if masks.ndim == 3 else masks[()]
    return np.ascontiguousarray(mask.T > 0).view(np.uint8)


def read_jhmdb_mat(results: dict) -> np.ndarray:
    """Slice ``mask_index`` (from 0) of ``part_mask`` (H,W,T) in the MATLAB file ``mask_path``: uint8 (H,W), 0 or 1."""
    from scipy.io import loadmat, whosmat  # here: it takes half a second to import
    from scipy.io.matlab import MatReadError

    try:
        for name, shape, _ in whosmat(results['mask_path']):
            if name == 'part_mask':
                _check_volume(name, shape, results['ori_shape'])
        volume = loadmat(results['mask_path'], variable_names=['part_mask'])['part_mask']
    except (MatReadError, ValueError, TypeError, zlib.error) as error:  # what scipy makes of a damaged file
        raise OSError(str(error)) from error
    if volume.ndim < 2 or volume.dtype.kind not in 'biuf':
        raise AnnotationError(f'part_mask is {volume.dtype} {volume.shape}, not numbers (H, W, T)')
    volume = volume.reshape(*volume.shape[:2], -1)  # MATLAB drops the last axis of a video of one frame
    if results['mask_index'] >= volume.shape[2]:
        raise AnnotationError(
            f'{results["mask_path"]} has masks of {volume.shape[2]} frames, none of frame {results["mask_index"] + 1}.'
        )
    return np.ascontiguousarray(volume[:, :, results['mask_index']] > 0).view(np.uint8)


def read_coco_segmentations(results: dict) -> np.ndarray:
    """Return the union of ``segmentations``, each polygons or a run-length code as COCO has them: uint8 (H,W), 0 or 1.

    An empty list is an empty mask: the frame does not show the object.
    """
    height, width = results['ori_shape']
    union = np.zeros((height, width), dtype=np.uint8)
    for segmentation in results['segmentations']:
        if not segmentation:
            continue
        mask = decode_segmentation(segmentation, (height, width))
        if mask.shape != union.shape:
            return mask  # LoadRVOSMasks names the file and both sizes
        union |= mask
    return union


def _check_volume(name: str, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """Refuse an array that is far larger than masks of this frame, before it is unpacked: a few bytes can make 4 GB."""
    most = _MOST_MASKS * max(size[0] * size[1], 2**16)
    if math.prod(shape) > most:
        raise LimitError(f'{name} has {math.prod(shape):,} values: more than {_MOST_MASKS:,} masks of the frame')


# How a data set stores its masks -> function(frame dict) -> uint8 (H,W). A new storage format is one entry here.
MASK_READERS: dict[str, Callable[[dict], np.ndarray]] = {
    'palette_png': read_object_png,
    'a2d_h5': read_a2d_h5,
    'jhmdb_mat': read_jhmdb_mat,
    'coco': read_coco_segmentations,
}


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


class MaskSizeError(AnnotationError):
    """A mask and its frame differ in size."""


def _turned(results: dict, size: tuple[int, ...]) -> str:
    """Name the EXIF orientation of a frame, where it is why a mask does not fit."""
    if tuple(results['ori_shape'])[::-1] != tuple(size):
        return ''
    try:
        with Image.open(results['img_path']) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, ValueError):
        return ''
    if not orientation or orientation == 1:
        return ''
    return (
        f': the frame has the EXIF orientation {orientation}, by which it is turned when it is read. Save the frames '
        'upright without it, or turn the masks too'
    )


@TRANSFORMS.register_module()
class LoadRVOSMasks(BaseTransform):
    """Load one frame's mask of the referred object and derive its box.

    Before the resize (training) mask and box follow the picture through the augmentation; after it (test) they stay
    at the original size. mmdet's LoadTrackAnnotations would want the mask as RLE or polygon: encoding and decoding it
    costs more than reading the PNG.

    Required keys: ``mask_path``, ``ori_shape``, and what the reader needs (``palette_png`` and ``a2d_h5``: ``obj_id``,
    ``jhmdb_mat``: ``mask_index``, ``coco``: ``segmentations``).
    Added keys, each with one entry, or none where the object is absent: ``gt_masks`` (BitmapMasks), ``gt_bboxes``
    (float32 (n,4) xyxy in pixels, see :func:`mask_to_box`; ``box``, if the data set gives one), ``gt_bboxes_labels``
    (zeros), ``gt_instances_ids``.
    Nothing is added where ``mask_path`` is None, that is where nobody knows the truth. In a clip of which only the key
    frame is annotated (there is a ``key_frame_flags``) such a frame gets no instance, because a broadcaster wants the
    same keys of every frame: what its truth is remains unknown, and only the key frame may be learnt or scored.

    Args:
        reader: How masks are stored: a key of ``MASK_READERS``.

    Raises:
        FileNotFoundError: If the mask file is missing.
        ValueError: If the reader is unknown, a mask file cannot be read, or (MaskSizeError) a mask and its frame differ
            in size.
    """

    def __init__(self, reader: str = 'palette_png') -> None:
        if reader not in MASK_READERS:
            raise InputError(f'Unknown mask reader {reader!r}: use one of {sorted(MASK_READERS)}.')
        self.reader = reader

    def transform(self, results: dict) -> dict:
        """Add the annotation keys to one frame."""
        path = results['mask_path']
        if path is None and 'key_frame_flags' not in results:
            return results
        mask = (
            np.zeros(results['ori_shape'], dtype=np.uint8)
            if path is None or results.get('obj_id') == 0
            else self._read(results)
        )
        if mask.shape != tuple(results['ori_shape']):
            raise MaskSizeError(
                f'Mask {path} has size {mask.shape} but its frame {results["img_path"]} has {results["ori_shape"]}'
                f'{_turned(results, mask.shape)}.'
            )
        boxes = mask_to_box(mask)
        present = len(boxes)
        if present and 'box' in results:
            boxes = np.array([results['box']], dtype=np.float32)
        results['gt_masks'] = BitmapMasks(mask[None][:present], *mask.shape)
        results['gt_bboxes'] = boxes
        results['gt_bboxes_labels'] = np.zeros(present, dtype=np.int64)
        results['gt_instances_ids'] = np.full(present, results['obj_id'], dtype=np.int32)
        return results

    def _read(self, results: dict) -> np.ndarray:
        path = results['mask_path']
        try:
            if not os.path.isfile(path):  # a pipe would be waited for
                check_regular(path, 'mask file')
            return MASK_READERS[self.reader](results)
        except FileNotFoundError as error:
            raise MissingFileError(f'Mask file {path} is missing: complete the data set.') from error
        # Damaged, or a file of another kind: the libraries raise what they like.
        except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
            told = str(error) if isinstance(error, UserError) else repr(error)
            named = (
                told if str(path) in told else f'Mask file {path} cannot be read with reader={self.reader!r}: {told}.'
            )
            entry = _entry(results)
            raise AnnotationError(named if not entry else f'{named} ({entry})') from error

    def __repr__(self) -> str:
        return f'{type(self).__name__}(reader={self.reader!r})'


def _entry(results: dict) -> str:
    """Return which video and expression a frame belongs to, as far as that is known."""
    names = dict(video_id='video', exp_id='expression', frame_id='frame')
    return ', '.join(f'{name} {results[key]}' for key, name in names.items() if key in results)
