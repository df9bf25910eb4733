"""Results as ``Detections`` of Roboflow's supervision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ifirvos.errors import InputError
from ifirvos.inference.results import SentenceResult

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(results: Sequence[SentenceResult], frame: int) -> Detections:
    """Return the objects of a frame as supervision's Detections.

    Args:
        results: One per sentence, of one video.
        frame: Number of the frame, from 0.

    Returns:
        One detection for every sentence whose object is present: ``mask``, ``xyxy``, ``confidence``; ``class_id`` is
        the number of the sentence, from 0, ``tracker_id`` the same from 1, ``data['class_name']`` the sentence.

    Raises:
        InputError: supervision is not installed, or the video has no such frame.

    Example:
        >>> for t, picture in enumerate(frames):
        ...     sv.MaskAnnotator().annotate(picture, to_supervision(results, t))
    """
    try:
        import supervision
    except ModuleNotFoundError as error:
        raise InputError('to_supervision needs the package supervision: pip install supervision') from error
    num_frames = len(results[0].scores) if results else 0
    if not 0 <= frame < num_frames:
        raise InputError(f'There is no frame {frame}: the results have {num_frames}, counted from 0.')
    shown = [
        (index, result) for index, result in enumerate(results) if result.present[frame] and result.masks[frame].any()
    ]
    if not shown:
        return supervision.Detections.empty()
    numbers = np.array([index for index, _ in shown])
    return supervision.Detections(
        xyxy=np.stack([result.boxes[frame] for _, result in shown]).astype(np.float32),
        mask=np.stack([np.asarray(result.masks[frame], bool) for _, result in shown]),
        confidence=np.array([result.scores[frame] for _, result in shown], np.float32),
        class_id=numbers,
        tracker_id=numbers + 1,
        data=dict(class_name=np.array([result.text for _, result in shown])),
    )
