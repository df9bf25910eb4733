"""What the exports of a video share: folder, sentences, and unique ids."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from ifirvos.inference.results import FrameResult
from ifirvos.visualization import STYLES, OverlayColors

FOLDER = 'all_sentences'  # no sentence's folder has an underscore in its name
FRAME_FILE = 'frames/{:05d}.jpg'

_NOT_IN_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')

# Takes one frame's results, one per sentence.
ExportSink = Callable[[Sequence[FrameResult]], None]


@dataclass(frozen=True)
class Together:
    """One video with all its sentences.

    Attributes:
        folder: Output folder.
        texts: The sentences.
        fps: Frames per second.
        size: Height and width in pixels.
        video: Name of the video.
        video_id: Id of the video.
        sentence_ids: Ids of the sentences, unique over all videos.
        colors: Colours of the sentences in pictures.
        style: Style of the overlay.
        sound: File that the video's sound is taken from.
        pixel_aspect: Width of a pixel by its height.
    """

    folder: Path
    texts: Sequence[str]
    fps: Fraction
    size: tuple[int, int]
    video: str
    video_id: int
    sentence_ids: Sequence[int]
    colors: OverlayColors = field(default_factory=OverlayColors)
    style: str = STYLES[0]
    sound: Path | None = None
    pixel_aspect: Fraction = Fraction(1)


def stable_id(*names: str) -> int:
    """Return a number for a name: the same in every run, different for different names.

    It has 48 bits: JavaScript and JSON readers keep it exactly, and the probability of a collision among a million
    names is 0.2 %.
    """
    return int.from_bytes(hashlib.sha256('\0'.join(names).encode()).digest()[:6], 'big')


def distinct_labels(texts: Sequence[str], max_length: int) -> list[str]:
    """Return the sentences cut to a length and made unique: duplicates end in ' (2)', ' (3)' …

    Characters that XML does not have, as a vertical tab that was copied along, are left out.
    """
    labels: list[str] = []
    for text in (_NOT_IN_XML.sub('', ' '.join(text.split())) for text in texts):
        label, number = text[:max_length].rstrip(), 1
        while label in labels:
            number += 1
            ending = f' ({number})'
            label = text[: max_length - len(ending)].rstrip() + ending
        labels.append(label)
    return labels
