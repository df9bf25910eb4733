"""Copies the sound of a video to the written one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from mmengine.logging import MMLogger

from ifirvos.errors import VideoError

from .opening import file_address
from .streams import first_moment

# What browsers play in each container: copied as it is; everything else is encoded again.
_COPIED = {'mp4': ('aac', 'mp3'), 'webm': ('opus', 'vorbis')}
_ENCODERS = {'mp4': 'aac', 'webm': 'libopus'}
_RATE = 48000  # samples a second of what is encoded again; Opus knows no 44100


class SoundTrack:
    """Moves the first sound stream of a file that decodes into an open output, up to a moment at a time.

    Both streams start at the file's first picture that decodes. Sound that cannot be read ends there; a warning says
    so, because a video without sound is worth more than none.

    Args:
        source: The video file.
        output: The container that is being written; nothing may have been written into it yet.
        container_format: 'mp4' or 'webm'.

    Raises:
        av.FFmpegError, OSError: the file cannot be opened.
        VideoError: it has no picture, or sound of unknown kinds alone.
    """

    def __init__(self, source: str | Path, output: av.container.OutputContainer, container_format: str) -> None:
        self._source, self._output = source, output
        self._input = av.open(file_address(source), options=dict(protocol_whitelist='file'), metadata_errors='replace')
        self._packets = self._waiting = None
        self._next = 0  # sample, of what is encoded again
        try:
            self._open(output, container_format)
        except BaseException:
            self._input.close()
            raise

    def _open(self, output: av.container.OutputContainer, container_format: str) -> None:
        if not self._input.streams.audio:
            return
        sound = next((stream for stream in self._input.streams.audio if stream.codec_context is not None), None)
        if sound is None:
            raise VideoError('its kind (codec) is not known')
        offset = first_moment(Path(self._source))
        if sound.codec_context.name in _COPIED[container_format]:
            self._stream = output.add_stream_from_template(sound)
            self._packets = self._copied(sound, offset)
        else:
            self._stream = output.add_stream(_ENCODERS[container_format], rate=_RATE)
            self._stream.layout = 'mono' if sound.channels == 1 else 'stereo'
            self._packets = self._encoded(sound, offset)

    def write_until(self, seconds: Fraction | None) -> None:
        """Write what sounds before a moment, in seconds from the first picture; None: all that is left to write."""
        try:
            while self._packets is not None:
                packet = self._waiting or next(self._packets)
                if seconds is not None and packet.pts * packet.time_base >= seconds:
                    self._waiting = packet
                    return
                self._waiting = None
                self._output.mux(packet)
        except StopIteration:
            self._packets = None
        except (av.FFmpegError, OSError, ValueError) as error:
            MMLogger.get_current_instance().warning(f'{self._source}: the sound ends early ({error}).')
            self._packets = None

    def finish(self, seconds: Fraction) -> None:
        """Write the rest, which is what sounds before the pictures end."""
        self.write_until(seconds)
        if self._packets is not None:
            self._packets.close()
            self._packets = None

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def _copied(self, sound: av.AudioStream, offset: Fraction) -> Iterator[av.Packet]:
        for packet in self._input.demux(sound):
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(offset / packet.time_base)
            if packet.pts < shift:  # before the first picture
                continue
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._stream
            yield packet

    def _encoded(self, sound: av.AudioStream, offset: Fraction) -> Iterator[av.Packet]:
        kind = resampler = None
        for frame in self._input.decode(sound):
            if frame.pts is None:
                continue
            frame.pts -= round(offset / frame.time_base)
            if frame.pts < 0:
                continue
            # Broadcasts change on the way, from stereo to 5.1 say, which a resampler does not follow.
            if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
                yield from self._encode(resampler, None)
                target = self._stream.codec_context
                resampler = av.AudioResampler(format=target.format, layout=target.layout, rate=target.sample_rate)
            yield from self._encode(resampler, frame)
        yield from self._encode(resampler, None)
        yield from self._stream.encode(None)

    def _encode(self, resampler: av.AudioResampler | None, frame: av.AudioFrame | None) -> Iterator[av.Packet]:
        for part in [] if resampler is None else resampler.resample(frame):
            # A frame that is in the right format already keeps the clock of its container.
            pts = round((part.pts or 0) * part.time_base * part.sample_rate) if part.time_base else 0
            part.time_base = Fraction(1, part.sample_rate)
            part.pts = max(pts, self._next)  # what follows a change may overlap with what was before
            self._next = part.pts + part.samples
            yield from self._stream.encode(part)
