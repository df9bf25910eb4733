"""Detection of videos unlike those the included small models were trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

import cv2
import numpy as np
from mmengine.logging import MMLogger

from ifirvos.synth.phrases import vocabulary

from .model_index import metadata_of

SIZE = (288, 192)  # (W, H) of SynthRVOS
FEW_GREY_LEVELS = 2
# Share of pixels that equal their neighbours at this size: 0.88 to 0.96 on rendered clips, 0.71 to 0.89 after strong
# JPEG compression; 0.12 to 0.64 on photographs, 0.68 on a blurred one (30 clips; 6 pictures of scikit-image).
LEAST_FLATNESS = 0.70
LOOKED_AT = 8  # frames
REAL_MODEL = 'referformer-r50-ytvos-joint'


def flatness(frame: np.ndarray) -> float:
    """Return the share of pixels that equal their right and lower neighbours, in a frame uint8 (H, W, 3)."""
    picture = cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA).astype(np.int16)
    right = np.abs(np.diff(picture, axis=1))[:-1].max(2)
    below = np.abs(np.diff(picture, axis=0))[:, :-1].max(2)
    return float(((right <= FEW_GREY_LEVELS) & (below <= FEW_GREY_LEVELS)).mean())


def unknown_words(texts: Sequence[str], most: int = 5) -> list[str]:
    """Return words that SynthRVOS's sentences do not have, each with its sentence and the most similar known word.

    Of those beyond the first ``most`` the last entry says how many there are. A sentence without a word counts as one.
    Words of one or two letters get no similar one: too many are.
    """
    known, found, more = vocabulary(), {}, set()
    longer = [word for word in known if len(word) > 2]
    for text in texts:
        for word in re.findall(r'\w+', text.lower()) or [text]:
            if word in known or word in found:
                continue
            if len(found) == most:
                more.add(word)
            else:
                similar = get_close_matches(word, longer, 1, 0.75) if len(word) > 2 else []
                found[word] = f'{word!r}{f" (for {similar[0]!r}?)" if similar else ""} in {shortened(text)!r}'
    return [*found.values(), *([f'{len(more)} more'] if more else [])]


def shortened(text: str, limit: int = 60) -> str:
    """Return a sentence, cut after so many characters."""
    return text if len(text) <= limit else f'{text[:limit]} …'


def not_like_synth_rvos(frames: Sequence[np.ndarray], texts: Sequence[str]) -> str | None:
    """Return a reason why frames and sentences differ from SynthRVOS, in words; None if they do not.

    Args:
        frames: uint8 (H, W, 3).
        texts: Sentences.
    """
    if strange := unknown_words(texts):
        return f'it has never read {", ".join(strange)}'
    step = max(1, len(frames) // LOOKED_AT)
    if np.median([flatness(frame) for frame in frames[::step]]) < LEAST_FLATNESS:
        return 'the frames are not drawn in plain colours, as in its training'
    return None


def knows_synth_rvos_alone(model: str | None) -> bool:
    """Return whether the model index says so; False for a model of the user's own (None)."""
    return metadata_of(model).get('Domain') == 'SynthRVOS'


def another_domain(model: str | None, frames: Sequence[np.ndarray], texts: Sequence[str]) -> str | None:
    """Return a warning if a model that knows only SynthRVOS gets something else, else None.

    Args:
        model: Its name in the index; None: a model of the user's own.
        frames: The first of the video, uint8 (H, W, 3).
        texts: The sentences.
    """
    reason = not_like_synth_rvos(frames, texts) if knows_synth_rvos_alone(model) else None
    if reason is None:
        return None
    return (
        f'The model {model} only knows the coloured shapes of SynthRVOS, so its masks mean little here: {reason}. '
        f'For real video: --model {REAL_MODEL} (RVOSInferencer({REAL_MODEL!r})), see '
        'docs/real_video.md.'
    )


def warn_of_another_domain(model: str | None, frames: Sequence[np.ndarray], texts: Sequence[str]) -> None:
    """Log the warning of :func:`another_domain`."""
    if said := another_domain(model, frames, texts):
        MMLogger.get_current_instance().warning(said)
