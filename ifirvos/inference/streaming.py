"""A video through the model, window by window: every frame's features once, then the sentences."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

from ifirvos.clip_score import clip_score
from ifirvos.models.query_linker import QueryLinker
from ifirvos.video.inputs import VideoStream

from .absence import clip_threshold_of, warn_of_absent
from .domain import warn_of_another_domain
from .memory import sentences_within
from .precision import AUTO
from .results import SentenceResult, WindowResult
from .windows import FeatureWindow, Window, ahead, until, windows

if TYPE_CHECKING:
    from .inferencer import RVOSInferencer

T = TypeVar('T')


def segment_stream(
    inferencer: RVOSInferencer, video: VideoStream, texts: list[str], score_threshold: float | None
) -> Iterator[WindowResult]:
    """Segment a video of any length in constant memory.

    Args:
        inferencer: Its steps (``preprocess``, ``extract``, ``encode``, ``forward``, ``postprocess``) do the work.
        video: Its frames are read once.
        texts: The sentences.
        score_threshold: Frames with a lower score get an empty mask; None: off.

    Yields:
        The frames in order, each once, with the results of every sentence.
    """
    linked = inferencer.link == 'agreement'
    linkers = [QueryLinker() if linked else QueryLinker(0) for _ in texts]
    encoded: dict[tuple[str, ...], dict] = {}  # sentences do not change from window to window
    waiting, start = [], 0
    scores = [array('f') for _ in texts]
    judged = clip_threshold_of(inferencer.model_name) is not None
    for window, feats, meta in _with_features(inferencer, video, texts):
        for linker in linkers:
            linker.begin(window.shared)
        metas = [dict(meta, frame_id=t, ori_video_length=window.size) for t in range(window.size)]
        whole = _segment_window(inferencer, feats, metas, texts, linkers, encoded, score_threshold)
        first, stop = window.gives
        results = [result.part(first, stop) for result in whole]
        waiting += window.new
        given, waiting = waiting[: stop - first], waiting[stop - first :]
        dtype = 'fp32' if inferencer.dtype == AUTO else inferencer.dtype
        yield WindowResult(start, [frame for frame, _ in given], [time for _, time in given], results, dtype)
        start += len(given)
        if judged:
            for values, result in zip(scores, results, strict=True):
                values.extend(result.scores)
    name = 'the video' if video.reader is None else Path(video.reader.name).name
    warn_of_absent(inferencer.model_name, texts, [clip_score(values) for values in scores], score_threshold, name)


def _with_features(
    inferencer: RVOSInferencer, video: VideoStream, texts: list[str]
) -> Iterator[tuple[Window, list[Tensor], dict]]:
    """Yield every window with the features of its T frames, (T, C, h, w) per level, and their common metainfo."""
    # Features of a backbone whose frames attend to one another cannot be reused, so the frames are kept instead.
    kept, is_first, left = FeatureWindow(), True, Event()

    def prepared() -> Iterator[tuple[Window, dict]]:
        full_last = inferencer.link == 'agreement'
        for window in windows(until(left, video), inferencer.clip_len, inferencer.overlap, full_last=full_last):
            yield window, inferencer.preprocess([frame for frame, _ in window.new])

    # What decodes and resizes works a window ahead of the model; a caller's frames are asked for when needed.
    for window, clip in prepared() if video.reader is None else ahead(prepared(), left):
        if is_first:
            warn_of_another_domain(inferencer.model_name, [frame for frame, _ in window.new], texts)
            is_first = False
        if inferencer.dtype == AUTO:
            inferencer.dtype = _within_memory(
                inferencer, lambda clip=clip: inferencer.trials.decide(inferencer, clip, texts[0])
            )
        if inferencer.model.takes_clips:
            (clip['inputs'],) = kept.extend([clip['inputs']], window.size)
        feats, meta = _within_memory(inferencer, lambda clip=clip: inferencer.extract(clip))
        if not inferencer.model.takes_clips:
            feats = kept.extend(feats, window.size)
        yield window, feats, meta


def _within_memory(inferencer: RVOSInferencer, run: Callable[[], T]) -> T:
    """Return what ``run`` returns; if memory runs out, run it again in smaller parts."""
    while True:
        try:
            return run()
        except (RuntimeError, MemoryError) as error:
            inferencer.smaller_parts.take(error, inferencer.model)


def _segment_window(
    inferencer: RVOSInferencer,
    feats: list[Tensor],
    metas: list[dict],
    texts: list[str],
    linkers: list[QueryLinker],
    encoded: dict[tuple[str, ...], dict],
    score_threshold: float | None,
) -> list[SentenceResult]:
    """Return the results of all sentences on a window's T frames; as many at once as memory allows.

    Args:
        inferencer: As above.
        feats: (T, C, h, w) per level.
        metas: T times metainfo.
        texts: The sentences.
        linkers: One per sentence; they are moved on by a window.
        encoded: Features of sentences that went together before; is extended.
        score_threshold: As above.
    """
    results: list[SentenceResult] = []
    while len(results) < len(texts):
        within = sentences_within(inferencer.memory, feats, metas[0]['ori_shape'])
        part = slice(len(results), len(results) + (1 if inferencer.smaller_parts.taken else within))
        together = tuple(texts[part])
        if together not in encoded:
            encoded[together] = inferencer.encode(together)
        before = [copy(linker) for linker in linkers[part]]
        try:
            samples = inferencer.forward(feats, metas, together, linkers[part], encoded[together])
        except (RuntimeError, MemoryError) as error:
            inferencer.smaller_parts.take(error, inferencer.model)
            linkers[part] = before
            continue
        given = inferencer.postprocess(samples, texts[part], score_threshold)
        results += given if len(given) == len(texts) else [result.encoded() for result in given]
    return results
