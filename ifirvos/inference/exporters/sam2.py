"""Refinement with SAM 2: the mask of the best-scored frame is its prompt, from which it tracks in both directions.

Written for the video predictor of facebookresearch/sam2: ``init_state``, ``add_new_mask``, ``propagate_in_video``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ifirvos.errors import InputError
from ifirvos.inference.results import MaskSequence, SentenceResult, boxes_of


def best_frame(result: SentenceResult) -> int | None:
    """Return the frame with the highest score among those with a mask; ties go to the first; None if all are empty."""
    seen = [t for t in range(len(result.scores)) if result.present[t] and np.any(result.masks[t])]
    return max(seen, key=lambda t: (result.scores[t], -t), default=None)


def refine_with_sam2(
    results: Sequence[SentenceResult],
    video: str | os.PathLike,
    predictor: Any | None = None,
    *,
    model: str = 'facebook/sam2.1-hiera-small',
    device: str | None = None,
) -> list[SentenceResult]:
    """Refine the masks with SAM 2.

    Args:
        results: One per sentence, of one video.
        video: Input for SAM 2: an .mp4, or a folder of JPEGs 00000.jpg, 00001.jpg … as ``--save frames`` writes.
        predictor: A ``SAM2VideoPredictor``; None builds ``model``.
        model: A model of the hub, downloaded on first use.
        device: Where ``model`` runs; None: SAM 2's default.

    Returns:
        The results with SAM 2's masks (as :class:`MaskSequence`) and boxes; a frame with an empty mask is a frame
        without the object. Scores, and results without any mask, are unchanged.

    Raises:
        InputError: sam2 is not installed, or its video has another number of frames.
    """
    predictor = _build(model, device) if predictor is None else predictor
    prompts = [best_frame(result) for result in results]
    if all(prompt is None for prompt in prompts):
        return list(results)
    state = predictor.init_state(video_path=os.fspath(video))
    for number, (result, frame) in enumerate(zip(results, prompts, strict=True), 1):
        if frame is not None:
            predictor.add_new_mask(state, frame, number, np.asarray(result.masks[frame], bool))
    masks: list[dict[int, np.ndarray]] = [{} for _ in results]
    # Each direction starts at a prompt: forward at the first of them, backward at the last.
    given = [frame for frame in prompts if frame is not None]
    for start, reverse in ((min(given), False), (max(given), True)):
        for frame, numbers, logits in predictor.propagate_in_video(state, start_frame_idx=start, reverse=reverse):
            for number, logit in zip(numbers, logits, strict=True):
                # Backward, an object's frames are those before its prompt; forward, those from it on.
                if (frame < prompts[number - 1]) == reverse:
                    masks[number - 1][frame] = np.asarray((logit > 0).cpu()).reshape(logit.shape[-2:])
    return [
        result if frame is None else _with_masks(result, of_frames)
        for result, frame, of_frames in zip(results, prompts, masks, strict=True)
    ]


def _build(model: str, device: str | None) -> Any:
    try:
        from sam2.sam2_video_predictor import SAM2VideoPredictor
    except ModuleNotFoundError as error:
        raise InputError(
            'refine_with_sam2 needs the package sam2: see https://github.com/facebookresearch/sam2.'
        ) from error
    return SAM2VideoPredictor.from_pretrained(model, **({} if device is None else dict(device=device)))


def _with_masks(result: SentenceResult, masks: dict[int, np.ndarray]) -> SentenceResult:
    length = len(result.scores)
    if sorted(masks) != list(range(length)):
        raise InputError(f'SAM 2 gave {len(masks)} frames for a result of {length}: give it the same video.')
    ordered = [masks[t] for t in range(length)]
    present = np.array([mask.any() for mask in ordered])
    boxes = np.concatenate([boxes_of(mask[None]) for mask in ordered])  # not stacked: that would double the memory
    return replace(result, masks=MaskSequence(ordered), boxes=boxes, present=present, vis=None)
