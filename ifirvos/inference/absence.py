"""Sentences that probably fit no object of the video, judged by their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmengine.logging import MMLogger

from ifirvos.errors import InputError

from .model_index import metadata_of


def checked_threshold(threshold: float | None) -> float | None:
    """Return a score threshold as a float, None for none.

    Raises:
        InputError: it is no number up to 1.
    """
    if threshold is None:
        return None
    try:
        number = math.nan if isinstance(threshold, bool | str) else float(threshold)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number <= 1):
        raise InputError(f'score_threshold is a score, from 0 to 1, not {threshold!r}.')
    return number


def threshold_of(model: str | None) -> float | None:
    """Return a model's threshold for the scores of frames; None where the index has none, or no name is given."""
    return metadata_of(model).get('Score Threshold')


def clip_threshold_of(model: str | None) -> float | None:
    """Return a model's threshold for the scores of clips, as :func:`threshold_of`."""
    return metadata_of(model).get('Clip Score Threshold')


def probably_absent(
    model: str | None, texts: Sequence[str], scores: Sequence[float], video: str = 'the video'
) -> str | None:
    """Return a warning that names the sentences whose score is below the model's threshold, else None.

    Args:
        model: Its name in the index; None: a model of the user's own.
        texts: The sentences.
        scores: Those of the whole video, see :func:`ifirvos.clip_score.clip_score`.
        video: What the warning calls it.
    """
    threshold = clip_threshold_of(model)
    absent = [
        f'{text!r} (score {score:.2f})'
        for text, score in zip(texts, scores, strict=True)
        if threshold is not None and score < threshold
    ]
    return f'Probably nothing in {video} fits {", ".join(absent)}.' if absent else None


def warn_of_absent(
    model: str | None,
    texts: Sequence[str],
    scores: Sequence[float],
    score_threshold: float | None,
    video: str = 'the video',
) -> None:
    """Log the warning of :func:`probably_absent`; without a score threshold, also how to get no masks."""
    said = probably_absent(model, texts, scores, video)
    threshold = threshold_of(model)
    if said and score_threshold is None and threshold is not None:
        said += (
            f' With --score-threshold {threshold} (score_threshold={threshold}) frames with a lower score get no mask.'
        )
    if said:
        MMLogger.get_current_instance().warning(said)
