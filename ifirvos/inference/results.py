"""Results of the inferencer: masks, scores and boxes per sentence, for a video or a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from pycocotools import mask as rle_tools

from ifirvos.clip_score import clip_score
from ifirvos.run_lengths import encode_mask, json_code
from ifirvos.structures import stack

MASK_FORMATS = ('bool', 'rle')


class MaskSequence(Sequence):
    """T masks of one size, stored as COCO RLEs (a few hundred bytes each) and decoded by indexing.

    It reads like a bool array (T, H, W): ``masks[t]``, ``masks[a:b]``, ``len``, iteration, ``shape``, ``np.asarray``.

    Args:
        masks: bool (H, W) each.
    """

    dtype = np.dtype(bool)

    def __init__(self, masks: Iterable[np.ndarray] = ()) -> None:
        self._codes: list[bytes] = []
        self._size: tuple[int, int] | None = None
        for mask in masks:
            self.append(mask)

    def append(self, mask: np.ndarray) -> None:
        """Add a mask, bool (H, W).

        Raises:
            ValueError: it has another size than those before.
        """
        self._size = self._size or mask.shape
        if mask.shape != self._size:
            raise ValueError(f'a mask of {mask.shape} cannot follow masks of {self._size}')
        self._codes.append(encode_mask(mask)['counts'])

    def part(self, frames: slice) -> MaskSequence:
        """Return some frames, still encoded."""
        part = MaskSequence()
        part._codes, part._size = self._codes[frames], self._size
        return part

    def extend(self, masks: MaskSequence) -> None:
        """Add encoded masks of the same size."""
        self._size = self._size or masks._size
        self._codes += masks._codes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return len(self), *(self._size or (0, 0))

    @property
    def rles(self) -> list[dict]:
        """COCO RLEs that json can write: ``size`` [H, W] and ``counts``, a string."""
        return [json_code(dict(size=self._size, counts=code)) for code in self._codes]

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, index: int | slice) -> np.ndarray:
        """Decode a frame, bool (H, W), or a slice of n frames, (n, H, W)."""
        if not isinstance(index, slice):
            return self._decode([self._codes[index]])[0]
        return self._decode(self._codes[index])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._decode([code])[0] for code in self._codes)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        masks = self[:]
        return masks if dtype is None else masks.astype(dtype)

    def _decode(self, codes: Sequence[bytes]) -> np.ndarray:
        if not codes:
            return np.zeros((0, *self.shape[1:]), bool)
        decoded = rle_tools.decode([dict(size=list(self._size), counts=code) for code in codes])  # H W n
        return np.ascontiguousarray(decoded.transpose(2, 0, 1)).view(bool)


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """Return the bounding boxes of masks: bool (T, H, W) -> float32 (T, 4), xyxy in pixels.

    They reach from the left and upper edge of the first pixels to the right and lower edge of the last ones; zeros for
    an empty mask.
    """
    return HorizontalBoxes.from_instance_masks(BitmapMasks(masks, *masks.shape[1:])).tensor.numpy()


@dataclass(frozen=True, eq=False, repr=False)
class SentenceResult:
    """The result of one sentence, in pixels of the original video.

    Attributes:
        text: The sentence.
        masks: bool (T, H, W), or a :class:`MaskSequence` that reads like it.
        scores: float32 (T,), the probability that the object is visible in the frame.
        boxes: float32 (T, 4), xyxy: those of the masks, see :func:`boxes_of`.
        query_index: Index of the chosen query sequence, in the first window.
        present: bool (T,), whether the score reaches the threshold; otherwise mask and box are empty. All True without
            a score threshold.
        query_indices: int (T,), the query of every frame: constant within a window.
        vis: uint8 RGB (T, H, W, 3), the frames as drawn in the overlay; None unless requested.
    """

    text: str
    masks: np.ndarray | MaskSequence
    scores: np.ndarray
    boxes: np.ndarray
    query_index: int
    present: np.ndarray = None
    query_indices: np.ndarray = None
    vis: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.present is None:
            object.__setattr__(self, 'present', np.ones(len(self.scores), bool))
        if self.query_indices is None:
            object.__setattr__(self, 'query_indices', np.full(len(self.scores), self.query_index, np.int64))

    @property
    def clip_score(self) -> float:
        """How probably there is such an object at all, see :func:`ifirvos.clip_score.clip_score`."""
        return clip_score(self.scores)

    @property
    def rles(self) -> list[dict]:
        """The masks as COCO RLEs that json can write: ``size`` [H, W] and ``counts``, a string."""
        return self.encoded().masks.rles

    def encoded(self) -> SentenceResult:
        """Return the same with a :class:`MaskSequence`, a thousandth of the memory."""
        if isinstance(self.masks, MaskSequence):
            return self
        return replace(self, masks=MaskSequence(self.masks))

    def __repr__(self) -> str:
        frames, height, width = self.masks.shape
        score = f', score {self.clip_score:.2f}' if frames else ''
        absent = '' if self.present.all() else f', present in {self.present.sum()}'
        return f'SentenceResult({self.text!r}: {frames} frames of {width}x{height}{score}{absent})'

    def part(self, first: int, stop: int) -> SentenceResult:
        """Return the frames from ``first`` to before ``stop``."""
        cut = slice(first, stop)
        queries = self.query_indices[cut]
        return SentenceResult(
            self.text,
            self.masks.part(cut) if isinstance(self.masks, MaskSequence) else self.masks[cut],
            self.scores[cut],
            self.boxes[cut],
            int(queries[0]) if len(queries) else self.query_index,
            self.present[cut],
            queries,
            None if self.vis is None else self.vis[cut],
        )


@dataclass(frozen=True, eq=False)
class FrameResult:
    """One sentence's result in one frame, as it is written to files."""

    number: int
    time: Fraction  # seconds
    frame: np.ndarray  # uint8 RGB (H, W, 3)
    mask: np.ndarray  # bool (H, W)
    score: float
    present: bool
    box: tuple[float, float, float, float]  # xyxy in pixels
    query: int


@dataclass(frozen=True, eq=False)
class WindowResult:
    """The results of some frames in a row; the windows of a video give every frame once, in order.

    Attributes:
        start: Number of the first frame in the video.
        frames: The n originals, uint8 RGB (H, W, 3).
        times: Their times, in seconds from the first frame of the video.
        results: One per sentence, for these n frames, masks bool (n, H, W), or, where memory does not hold all
            sentences at once, a :class:`MaskSequence` that reads like it.
        dtype: What they were predicted in, 'fp32', 'bf16' or 'fp16'; None: not known.
    """

    start: int
    frames: list[np.ndarray]
    times: list[Fraction]
    results: list[SentenceResult]
    dtype: str | None = None


class ResultCollector:
    """Concatenates the parts of one sentence's result.

    Args:
        text: The sentence.
        mask_format: One of ``MASK_FORMATS``: 'bool' keeps arrays, 'rle' encodes every mask immediately.
    """

    def __init__(self, text: str, mask_format: str = 'bool') -> None:
        self._text = text
        self._coded = MaskSequence() if mask_format == 'rle' else None
        self._masks, self._vis, self._rest = [], [], []

    def add(self, part: SentenceResult, vis: np.ndarray | None = None) -> None:
        """Append a part, and its painted frames where they are wanted."""
        if self._coded is None:
            self._masks.append(np.asarray(part.masks))
        else:
            self._coded.extend(part.encoded().masks)
        if vis is not None:
            self._vis.append(vis)
        self._rest.append((part.scores, part.boxes, part.present, part.query_indices))

    def result(self) -> SentenceResult:
        """Join the parts."""
        scores, boxes, present, queries = (np.concatenate(arrays) for arrays in zip(*self._rest, strict=True))
        return SentenceResult(
            self._text,
            np.concatenate(self._masks) if self._coded is None else self._coded,
            scores,
            boxes,
            int(queries[0]),
            present,
            queries,
            np.concatenate(self._vis) if self._vis else None,
        )


def to_result(sample: TrackDataSample, text: str, score_threshold: float | None) -> SentenceResult:
    """Convert a data sample with predictions to arrays; masks and boxes of frames below the threshold become empty."""
    instances = [frame.pred_track_instances for frame in sample]
    scores = np.array([float(frame.scores[0]) for frame in instances], np.float32)
    masks = np.stack([stack(frame.masks)[0] for frame in instances]).astype(bool, copy=False)
    present = np.ones(len(scores), bool) if score_threshold is None else scores >= score_threshold
    masks[~present] = False
    return SentenceResult(text, masks, scores, boxes_of(masks), int(sample.query_index), present)
