"""Sentences that probably fit no object of the video, judged by their scores."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.logging import MMLogger

from .model_index import find_entry


def threshold_of(model: str | None) -> float | None:
    """Return a model's threshold for the scores of frames; None where the index has none, or no name is given."""
    return None if model is None else (find_entry(model).get('Metadata') or {}).get('Score Threshold')


def clip_threshold_of(model: str | None) -> float | None:
    """Return a model's threshold for the scores of clips, as :func:`threshold_of`."""
    return None if model is None else (find_entry(model).get('Metadata') or {}).get('Clip Score Threshold')


def probably_absent(model: str | None, texts: Sequence[str], scores: Sequence[float]) -> str | None:
    """Return a warning that names the sentences whose score is below the model's threshold, else None.

    Args:
        model: Its name in the index; None: a model of the user's own.
        texts: The sentences.
        scores: Those of the whole video, see :func:`ifirvos.evaluation.functional.absence.clip_score`.
    """
    threshold = clip_threshold_of(model)
    absent = [
        f'{text!r} (score {score:.2f})'
        for text, score in zip(texts, scores, strict=True)
        if threshold is not None and score < threshold
    ]
    return f'Probably nothing in the video fits {", ".join(absent)}.' if absent else None


def warn_of_absent(
    model: str | None, texts: Sequence[str], scores: Sequence[float], score_threshold: float | None
) -> None:
    """Log the warning of :func:`probably_absent`; without a score threshold, also how to get no masks."""
    said = probably_absent(model, texts, scores)
    threshold = threshold_of(model)
    if said and score_threshold is None and threshold is not None:
        said += (
            f' With --score-threshold {threshold} (score_threshold={threshold}) frames with a lower score get no mask.'
        )
    if said:
        MMLogger.get_current_instance().warning(said)
