"""One overlay video with the objects of all sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ifirvos.inference.results import FrameResult
from ifirvos.video.writer import VideoWriter, video_suffix
from ifirvos.visualization import draw_together

from .together import ExportSink, Together


@contextmanager
def together(to: Together) -> Iterator[ExportSink]:
    """Write ``overlay.mp4``: every object in its sentence's colour, with the sentences below."""
    path = to.folder / f'overlay{video_suffix()}'
    with VideoWriter(path, to.fps, sound_of=to.sound, pixel_aspect=to.pixel_aspect) as video:

        def write(frame: Sequence[FrameResult]) -> None:
            picture, masks = frame[0].frame, [one.mask for one in frame]
            colors = [to.colors.color(index, picture, mask) for index, mask in enumerate(masks)]
            video.write(draw_together(picture, masks, to.texts, colors, to.style), frame[0].time)

        yield write
