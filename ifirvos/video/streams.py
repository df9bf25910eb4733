"""Frames of video files and URLs with PyAV, and of animated WebP with Pillow."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from ifirvos.errors import VideoError
from ifirvos.frame_sizes import most_pixels

from .opening import (
    TIMEOUT,
    frame_rate,
    is_special,
    is_url,
    open_media,
    readable,
    video_stream,
)
from .pixels import Deinterlacer, hdr_name, orientation, to_rgb, upright
from .sources import DEFAULT_FPS, TimedFrame


class StreamSource:
    """A video file or URL, in any format that FFmpeg reads.

    Frames are upright uint8 RGB in SDR, all with the size of the first. Frames that cannot be decoded are skipped and
    reported in ``problem``; ``notes`` lists conversions.

    Args:
        source: A path, or an address of ``opening.URL_SCHEMES``.
        timeout: Seconds without a frame after which reading of a URL or FIFO stops.
        deinterlace: Make interlaced frames progressive.
        max_pixels: Most pixels of a frame.
        allow_special: Also read FIFOs and devices, once.

    Raises:
        FileNotFoundError: nothing is there.
        VideoError: it cannot be opened, or has no video stream.
    """

    def __init__(
        self,
        source: str | Path,
        timeout: float = TIMEOUT,
        deinterlace: bool = False,
        max_pixels: int | None = None,
        allow_special: bool = False,
    ) -> None:
        self._source, self._timeout, self._deinterlace = source, timeout, deinterlace
        self._max_pixels = max_pixels or most_pixels()
        self.name = readable(source)
        self.problem: str | None = None
        self.notes: list[str] = []
        self._allow_special = allow_special
        self.reads_once = not is_url(source) and Path(source).exists() and is_special(Path(source))
        self._opened = None
        container = self._open()
        stream = video_stream(container, self.name, max_pixels)
        self.fps = frame_rate(stream, DEFAULT_FPS)
        self.num_frames = stream.frames or None  # what the header promises
        # Width of a pixel by its height, as the frames are stored, then as they are given.
        self.pixel_aspect = Fraction(stream.sample_aspect_ratio or 1)
        if self.reads_once:
            self._opened = container
        else:
            self._learn_orientation(container, stream)
            container.close()

    def _learn_orientation(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        """Turn the pixels' aspect with the picture, which the first frame tells; only where it matters."""
        if self.pixel_aspect == 1 or is_url(self._source):
            return
        try:
            frame = next(container.decode(stream), None)
        except (av.FFmpegError, OSError):
            return
        if frame is not None and orientation(frame)[0]:
            self.pixel_aspect = 1 / self.pixel_aspect

    def _open(self) -> av.container.InputContainer:
        return open_media(self._source, self._timeout, self._max_pixels, self._allow_special)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Decode from the beginning.

        Raises:
            VideoError: at the end, when not one frame decoded; where nothing comes before the timeout.
        """
        self.problem, self.notes = None, []
        if self.reads_once and self._opened is None:
            raise VideoError(f'{self.name} is a FIFO or device: it can be read only once.')
        container, self._opened = self._opened or self._open(), None
        run = _Run(self, container)
        with container:
            try:
                yield from run.frames()
            finally:
                # Also where the reader has enough (max_frames) and leaves early: what was lost so far is known.
                self.problem, self.notes = run.problem(), run.notes
        if not run.decoded:
            reason = 'the video is damaged or incomplete'
            width, height = run.stream.codec_context.width, run.stream.codec_context.height
            if width * height > self._max_pixels:
                reason = f'they have {width}x{height} pixels, more than {self._max_pixels:,} (--max-pixels)'
            elif not width:
                reason += ', or cut off before its first key frame'
            raise VideoError(f'{self.name}: not one frame could be decoded; {reason}.')


class _Run:
    """One pass through a file, and what happens on the way."""

    def __init__(self, source: StreamSource, container: av.container.InputContainer) -> None:
        self.source, self.container, self.name = source, container, source.name
        self.stream = video_stream(container, source.name, source._max_pixels)
        self.stream.thread_type = 'AUTO'
        self.fps = source.fps
        self.decoded = self.broken = self.before = self.hidden = self.repaired = 0
        self.empty = 0  # packets without content, which stand for frames that a camera dropped
        self.start: Fraction | None = None  # time of the first frame, by the file's clock
        self._fed: list[Fraction] = []  # times, in seconds, of the packets before the first frame
        self.ended = False
        self.stopped: str | None = None  # why the container broke off
        self.heard = Fraction(0)  # end of the last packet, of sound or picture, from the file's start
        self.longest = Fraction(0)  # between two frames
        self.notes: list[str] = []
        self._deadline = None

    def frames(self) -> Iterator[TimedFrame]:
        size = last = None
        for frame in self._decoded():
            if frame.width * frame.height > self.source._max_pixels:
                raise VideoError(
                    f'{self.name}: frame {self.decoded} has {frame.width}x{frame.height} pixels, more than '
                    f'{self.source._max_pixels:,} (--max-pixels).'
                )
            # A stream may change its size on the way: everything follows the first frame.
            size = size or (frame.width, frame.height)
            moment = None if frame.pts is None else frame.pts * (frame.time_base or self.stream.time_base)
            self.start = moment if self.start is None and moment is not None else self.start
            if moment is None or (last is not None and moment - self.start <= last):
                moment = Fraction(0) if last is None else last + 1 / self.fps
            else:
                moment -= self.start
            self.longest = max(self.longest, moment - (last or 0))
            self.repaired += frame.is_corrupt
            if not self.decoded:
                self._note_kind(frame)
                # What precedes the first key frame is dropped without an error.
                if frame.pts is not None:  # a deinterlacer has another time base than the file
                    first = frame.pts * (frame.time_base or self.stream.time_base)
                    self.before += sum(time < first for time in self._fed)
                self._fed = []
            last = moment
            image = upright(to_rgb(frame, *size), *orientation(frame))
            self.decoded += 1
            yield image, moment
            self._wait_from_now()  # what is done with a frame takes its time, and is no waiting

    def _decoded(self) -> Iterator[av.VideoFrame]:
        deinterlacer = Deinterlacer() if self.source._deinterlace else None
        for packet in self._packets():
            # Cut off by an edit list, when a clip was trimmed.
            self.hidden += packet is not None and packet.is_discard
            try:
                frames = self.stream.decode(packet)
            except av.FFmpegError:  # one damaged packet; the next key frame may be fine
                if self.decoded:
                    self.broken += 1
                else:
                    self.before += 1
                continue
            except EOFError:
                continue
            if not self.decoded and packet is not None and packet.pts is not None and not packet.is_discard:
                self._fed.append(packet.pts * packet.time_base)
            for frame in frames:
                if frame.time_base is None:  # of what the decoder still held at the end
                    frame.time_base = self.stream.time_base
                yield from (frame,) if deinterlacer is None else deinterlacer.feed(frame)
        if deinterlacer is not None:
            yield from deinterlacer.feed(None)
        self.ended = True

    def _packets(self) -> Iterator[av.Packet | None]:
        """Yield the stream's packets, then None to flush the decoder, also where the container breaks off."""
        self._wait_from_now()
        packets = self.container.demux()  # all streams, so that one without pictures does not keep us for ever
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                if self._waited_too_long():  # some formats make an end of it
                    self._give_up()
                return
            except (TimeoutError, av.ExitError):
                self._give_up()
                yield None
                return
            except (av.FFmpegError, OSError) as error:
                self.stopped = getattr(error, 'strerror', None) or str(error)
                if self._waited_too_long():
                    self._give_up()
                yield None
                return
            if packet.pts is not None and packet.stream.type in ('video', 'audio'):
                self.heard = max(self.heard, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index == self.stream.index:
                if packet.size:
                    yield packet
                elif packet.dts is None:
                    yield None
                else:
                    self.empty += 1
            if self._waited_too_long():
                self._give_up()
                yield None
                return

    def _waited_too_long(self) -> bool:
        waits = is_url(self.source._source) or self.source.reads_once
        return waits and time.monotonic() > self._deadline

    def _wait_from_now(self) -> None:
        self._deadline = time.monotonic() + self.source._timeout

    def _give_up(self) -> None:
        """End here, with the frames there are; where there are none, with an error."""
        self.stopped = f'no frame for {self.source._timeout:g} seconds, --timeout'
        if not self.decoded:
            raise VideoError(f'{self.name} gave no frame for {self.source._timeout:g} seconds (--timeout).')

    def _note_kind(self, frame: av.VideoFrame) -> None:
        hdr = hdr_name(frame)
        if hdr:
            self.notes.append(f'HDR ({hdr}) was mapped to standard dynamic range')
        if frame.interlaced_frame and not self.source._deinterlace:
            self.notes.append('the video is interlaced: --deinterlace makes whole frames of its fields')
        aspect = self.source.pixel_aspect
        if abs(aspect - 1) > Fraction(1, 50):
            self.notes.append(f'its pixels are not square ({aspect}): masks are in pixels, the overlay keeps the shape')

    def problem(self) -> str | None:
        """Return what could not be read so far."""
        # AVI counts frames that were dropped, whose packets FFmpeg leaves out.
        expected = 0 if self.container.format.name == 'avi' else self.stream.frames - self.empty
        if self.stopped:
            return f'{self.name}: reading stopped after {self.decoded} frames ({self.stopped}).'
        lost = self.broken + (self.before if expected else 0)
        if lost or (self.ended and self.decoded + self.hidden < expected):
            total = max(expected - self.hidden, self.decoded + lost)
            return f'{self.name}: {self.decoded} of {total} frames could be decoded; the rest is damaged.'
        if self.before and self.decoded:
            return f'{self.name}: it begins without a key frame; its first {self.before} frames cannot be decoded.'
        if self.repaired:
            return f'{self.name}: {self.repaired} of {self.decoded} frames are damaged, and decoded as far as they go.'
        promised = self._promised_duration()
        if self.ended and promised and self.heard + max(self.longest, 1 / self.fps) * Fraction(3, 2) < promised:
            return (
                f'{self.name} breaks off: it should last {float(promised):.2f} seconds, and ends after '
                f'{float(self.heard):.2f}, with {self.decoded} frames.'
            )
        return None

    def _promised_duration(self) -> Fraction | None:
        """Seconds that a header promises: of Matroska and WebM, which know no number of frames, and of AVI."""
        if self.container.format.name == 'avi' and self.stream.frames:
            return self.stream.frames * self.stream.time_base  # FFmpeg cuts the duration to what the file holds
        if not self.container.format.name.startswith('matroska') or self.container.duration is None:
            return None
        # A tag for every stream where the muxer wrote one: another stream's may be longer.
        tag = re.match(r'(\d+):(\d+):(\d+(?:\.\d+)?)', self.stream.metadata.get('DURATION', ''))
        if tag:
            hours, minutes, seconds = tag.groups()
            return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
        return Fraction(self.container.duration, av.time_base)


def first_moment(source: Path) -> Fraction:
    """Return the time of a file's first frame that decodes, in seconds by the file's clock.

    Raises:
        VideoError: not one does.
    """
    opened = StreamSource(source)
    with opened._open() as container:
        run = _Run(opened, container)
        if next(run.frames(), None) is None:
            raise VideoError(f'{opened.name}: not one frame could be decoded.')
        return Fraction(0) if run.start is None else run.start


class AnimatedWebPSource:
    """An animated WebP, which FFmpeg does not decode, through Pillow; transparency is laid on black.

    Raises:
        VideoError: it cannot be read, or its frames are too large.
    """

    pixel_aspect = Fraction(1)

    def __init__(self, path: Path, max_pixels: int | None = None) -> None:
        max_pixels = max_pixels or most_pixels()
        self._path, self.name = path, readable(path)
        self.problem: str | None = None
        self.notes: list[str] = []
        try:
            with Image.open(path, formats=['WEBP']) as image:
                self.num_frames = image.n_frames
                width, height = image.size
                image.load()
                self.fps = Fraction(1000, int(image.info.get('duration') or 0) or 100)
        except (OSError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise VideoError(f'{self.name} is an animated WebP that cannot be read ({error}).') from error
        if width * height > max_pixels:
            raise VideoError(f'{self.name} has frames of {width}x{height} pixels: more than {max_pixels:,}.')

    def __iter__(self) -> Iterator[TimedFrame]:
        """Decode from the beginning."""
        self.problem, moment = None, Fraction(0)
        with Image.open(self._path, formats=['WEBP']) as image:
            for index in range(self.num_frames):
                try:
                    image.seek(index)
                    frame = np.asarray(image.convert('RGB'))
                except (OSError, ValueError, EOFError) as error:
                    if not index:
                        raise VideoError(f'{self.name}: not one frame could be decoded ({error}).') from error
                    self.problem = f'{self.name}: {index} of {self.num_frames} frames could be decoded ({error}).'
                    return
                yield frame, moment
                moment += Fraction(int(image.info.get('duration') or 0) or 100, 1000)


def is_animated_webp(path: Path) -> bool:
    """Return whether a file is a WebP with the flag of an animation in its header."""
    with open(path, 'rb') as file:
        head = file.read(21)
    return head[:4] == b'RIFF' and head[8:16] == b'WEBPVP8X' and len(head) == 21 and bool(head[20] & 2)
