"""Conversion between mmdet's video samples and the model's clip tensors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor

from .errors import InputError
from .frame_sizes import PICTURES

MASK_TARGETS = ('point', 'area')


_constants: ContextVar[dict | None] = ContextVar('constants', default=None)


@contextmanager
def constants_kept(store: dict) -> Iterator[None]:
    """Keep in ``store`` what :func:`to_device` makes of lists, and give it out again: nothing new is then copied."""
    token = _constants.set(store)
    try:
        yield
    finally:
        _constants.reset(token)


@dataclass
class ClipTarget:
    """What one clip is trained on.

    Attributes:
        masks: (1,T,h,w) at the mask logits' size, in [0,1].
        boxes: (1,T,4), cxcywh normalised by the unpadded input; zeros where the object is absent.
        valid: (T,) 1.0 where the object is in the frame.
    """

    masks: Tensor
    boxes: Tensor
    valid: Tensor


def to_device(values: Sequence | Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return numbers of the host as a tensor on a device, without waiting for what a GPU still has to do.

    ``torch.tensor(..., device='cuda')`` waits: it copies from memory that the GPU cannot read by itself.
    """
    store = None if isinstance(values, Tensor) else _constants.get()
    if store is not None:
        key = (repr(values), str(device), dtype)
        if key not in store:
            store[key] = torch.as_tensor(values, dtype=dtype).to(device)
        return store[key]
    tensor = torch.as_tensor(values, dtype=dtype)
    if torch.device(device).type == 'cuda' and tensor.device.type == 'cpu' and type(tensor) is Tensor:  # not a fake one
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def flatten_samples(clips: list[TrackDataSample]) -> list[DetDataSample]:
    """B clips of T frames -> B*T frames, the order in which the model flattens (B,T)."""
    return [frame for clip in clips for frame in clip.video_data_samples]


def inputs_indices(clips: list[TrackDataSample], num_inputs: int) -> list[int]:
    """Return which of a batch's inputs each clip's frames are.

    Args:
        clips: B clips. If there are fewer inputs, each has the metainfo ``inputs_index``.
        num_inputs: Number of inputs. As many as clips: each clip has its own.

    Raises:
        InputError: The clips do not say whose are whose.
    """
    if len(clips) == num_inputs:
        return list(range(num_inputs))
    indices = [clip.get('inputs_index', num_inputs) for clip in clips]
    if set(indices) != set(range(num_inputs)):
        raise InputError(
            f'A batch holds {num_inputs} inputs for {len(clips)} clips, and their inputs_index are {indices}: '
            'pair_collate makes such batches, and a part of one needs indices of its own.'
        )
    return indices


def features_of(feats: list[Tensor], clips: list[TrackDataSample], num_inputs: int) -> list[Tensor]:
    """(U*T,C,h,w) per level, of a batch's U inputs -> (B*T,C,h,w), of the B clips, see :func:`inputs_indices`."""
    if len(clips) == num_inputs:
        return feats
    indices = inputs_indices(clips, num_inputs)
    # Slices, not an index tensor: their gradients are sums without atomics, and nothing is copied to a device.
    by_clip = [level.chunk(num_inputs) for level in feats]
    return [torch.cat([parts[k] for k in indices]) for parts in by_clip]


def part_of(clip: TrackDataSample, frames: Sequence[int]) -> TrackDataSample:
    """Return a clip of some frames of another: the same frame objects and metainfo, none marked as annotated."""
    marks = ('key_frames_inds', 'ref_frames_inds')
    part = TrackDataSample(metainfo={key: value for key, value in clip.metainfo.items() if key not in marks})
    part.video_data_samples = [clip[t] for t in frames]
    return part


def have_key_frames(clips: Sequence[TrackDataSample]) -> bool:
    """Return whether the annotated frames of a batch's clips are marked (``key_frames_inds``).

    Raises:
        InputError: some are, some are not.
    """
    marked = ['key_frames_inds' in clip for clip in clips]
    if any(marked) != all(marked):
        raise InputError(
            'A batch has clips with marked frames (A2D- or JHMDB-Sentences) and clips without: use batch_size=1, or '
            'one data set.'
        )
    return marked[0]


def select_frames(
    feats: list[Tensor], clips: list[TrackDataSample], chosen: Sequence[Sequence[int]]
) -> tuple[list[Tensor], list[TrackDataSample]]:
    """Map (B*T,C,h,w) and B clips, cut to the frames that are chosen of every clip, as many of each."""
    num_frames = len(clips[0])
    index = [number * num_frames + t for number, frames in enumerate(chosen) for t in frames]
    index = to_device(index, feats[0].device)
    return [feat[index] for feat in feats], [part_of(clip, frames) for clip, frames in zip(clips, chosen, strict=True)]


def spread(total: int, number: int | None) -> list[int]:
    """Spread ``number`` indices evenly over ``total``, first and last among them; all where there are no more."""
    if number is None or number >= total:
        return list(range(total))
    return np.linspace(0, total - 1, number).round().astype(int).tolist() if number > 1 else [total // 2]


def image_sizes(clips: list[TrackDataSample], like: Tensor) -> Tensor:
    """(B,2): (w, h) in pixels of each clip's input without padding."""
    return to_device([clip[0].img_shape[1::-1] for clip in clips], like.device, like.dtype)


def original_sizes(frames: list[DetDataSample], like: Tensor) -> Tensor:
    """(F,4): (w, h, w, h) in pixels of each frame as it was before the resize, for boxes in [0,1]."""
    return to_device([[*frame.ori_shape[1::-1]] * 2 for frame in frames], like.device, like.dtype)


def padding_masks(clips: list[TrackDataSample], like: Tensor) -> Tensor | None:
    """(B,H,W) bool, True on padding, or None if no clip is padded."""
    height, width = clips[0][0].batch_input_shape
    shapes = [clip[0].img_shape[:2] for clip in clips]
    if all(shape == (height, width) for shape in shapes):
        return None
    mask = torch.ones((len(clips), height, width), dtype=torch.bool, device=like.device)
    for row, (h, w) in zip(mask, shapes, strict=True):
        row[:h, :w] = False
    return mask


def _mask_target(masks: Tensor, size: tuple[int, int], stride: int, mode: str) -> Tensor:
    """(T,H,W) in {0,1} -> (T,h,w). 'point': the reference's ``[2::4, 2::4]``; 'area': the covered share of a cell."""
    height, width = (side * stride for side in size)
    masks = F.pad(masks, (0, width - masks.shape[-1], 0, height - masks.shape[-2]))
    if mode == 'point':
        return masks[:, stride // 2 :: stride, stride // 2 :: stride]
    return F.avg_pool2d(masks[:, None], stride)[:, 0]


def clip_targets(
    clips: list[TrackDataSample], size: tuple[int, int], stride: int, mode: str, device: torch.device
) -> list[ClipTarget]:
    """Return the targets of every clip.

    Args:
        clips: Their frames' ``gt_instances`` hold one instance or none: bboxes xyxy in pixels of the network input,
            masks BitmapMasks.
        size: (h, w) of the mask logits.
        stride: Stride of the mask logits, in input pixels.
        mode: One of ``MASK_TARGETS``.
        device: Device of the result.

    Raises:
        ValueError: A frame holds more than one instance.
    """
    frames = flatten_samples(clips)
    # Filled on the CPU and sent at once: on a GPU every frame of its own would be several calls.
    masks = torch.zeros(len(frames), size[0] * stride, size[1] * stride)
    valid = torch.zeros(len(frames))
    absent = torch.zeros(4, device=device)
    boxes = []
    for t, frame in enumerate(frames):
        instances = frame.gt_instances
        if len(instances) > 1:
            raise ValueError(f'a frame has one referred object or none, not {len(instances)}')
        if len(instances) == 1:
            mask = torch.from_numpy(instances.masks.masks[0])
            masks[t, : mask.shape[0], : mask.shape[1]] = mask
            # The loader's boxes are on the device already: fetching them would wait for a GPU.
            boxes.append(torch.as_tensor(getattr(instances.bboxes, 'tensor', instances.bboxes)[0], device=device))
            valid[t] = 1
        else:
            boxes.append(absent)
    clip_boxes = bbox_xyxy_to_cxcywh(torch.stack(boxes).to(absent)).unflatten(0, (len(clips), -1))
    clip_boxes = clip_boxes / image_sizes(clips, absent).repeat(1, 2)[:, None]
    clip_masks = _mask_target(to_device(masks, device), size, stride, mode).unflatten(0, (len(clips), -1))
    parts = zip(clip_masks.split(1), clip_boxes.split(1), to_device(valid, device).view(len(clips), -1), strict=True)
    return [ClipTarget(*part) for part in parts]


def frame_name(frame: DetDataSample) -> str:
    """Return the frame's name in mask folders: that of its picture, or its number if it is from a video file."""
    path = Path(frame.get('img_path') or '')
    return path.stem if path.suffix.lower() in PICTURES else f'{frame.get("frame_id", 0):05d}'


def stack(masks) -> np.ndarray:
    """N masks as an array (N, H, W)."""
    if isinstance(masks, torch.Tensor):
        return masks.cpu().numpy()
    return masks if isinstance(masks, np.ndarray) else masks.to_ndarray()  # mmdet's BitmapMasks
