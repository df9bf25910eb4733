"""Opens a path or URL with PyAV and selects its video stream."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from fractions import Fraction
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import av
from av.stream import Disposition

from ifirvos.errors import VideoError
from ifirvos.frame_sizes import most_pixels

TIMEOUT = 30.0  # seconds without a frame
URL_SCHEMES = ('http', 'https', 'rtsp', 'rtsps', 'rtmp')

# What FFmpeg may open. A file must not make us fetch an address, an address must not make us read a file.
_FILE_PROTOCOLS = 'file'
_URL_PROTOCOLS = 'http,https,httpproxy,tcp,tls,crypto,rtsp,rtsps,rtp,srtp,udp,rtmp'
# Files that name other files, and may wait for them for ever: one that a stranger has sent must not show them ours.
_PLAYLISTS = {'hls', 'concat', 'dash', 'webm_dash_manifest', 'imf', 'sdp'}
# FFmpeg draws plain text as ANSI art; nobody who hands us a text file means that.
_TEXT_CODECS = {'ansi', 'bintext', 'xbin', 'idf'}
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_HEIC_BRANDS = {'heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1', 'avif', 'avis'}


def is_url(source: object) -> bool:
    """Return whether a string is an address that FFmpeg can fetch, and not a path."""
    if not isinstance(source, str) or '://' not in source:
        return False
    try:
        return urlsplit(source).scheme.lower() in URL_SCHEMES
    except ValueError:  # half an IPv6 address
        return False


def without_password(url: str) -> str:
    """Return the URL without its password, for messages and result files."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()


def readable(path: object) -> str:
    """Return a path as text that every file can hold: bytes that are not UTF-8 become '\\xff', passwords are gone."""
    return without_password(path) if is_url(path) else os.fsencode(str(path)).decode('utf-8', 'backslashreplace')


def file_address(path: str | os.PathLike) -> str:
    """Return what makes FFmpeg open exactly this file: 'a:b.mp4' is no protocol, '%03d.png' no pattern, '-' no pipe."""
    return f'file:{os.fspath(path)}'


def is_special(path: Path) -> bool:
    """Return whether a path is a FIFO, a device or a socket, which may never end, or never begin."""
    mode = path.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class PipeInput:
    """A FIFO or device as a file object for PyAV whose reads give up.

    Args:
        path: The FIFO.
        timeout: Seconds without a byte.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path, self._timeout, self._begun = path, timeout, False
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end.

        Raises:
            TimeoutError: nothing came for so long.
        """
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            select.select([self._file], [], [], 0.05)
            try:
                data = os.read(self._file, size)
            except BlockingIOError:
                continue
            if data or self._begun:
                self._begun = True
                return data
            time.sleep(0.05)  # nobody has opened it for writing yet
        raise TimeoutError(errno.ETIMEDOUT, f'nothing came for {self._timeout:g} s')

    def close(self) -> None:
        """Close it."""
        os.close(self._file)


def open_media(
    source: str | Path, timeout: float = TIMEOUT, max_pixels: int | None = None, allow_special: bool = False
) -> av.container.InputContainer:
    """Open a file or URL.

    Args:
        source: A path, or an address of ``URL_SCHEMES``.
        timeout: Seconds without an answer of an address, or a byte of a FIFO.
        max_pixels: Most pixels of a frame; larger ones are refused before memory is taken for them. None:
            :func:`~ifirvos.frame_sizes.most_pixels`.
        allow_special: Also open FIFOs and devices.

    Raises:
        FileNotFoundError: nothing is there.
        VideoError: it cannot be opened, or has no video stream.
    """
    options = dict(pattern_type='none')  # for the format "image2": a name such as %03d.png is the name of a file
    if is_url(source):
        name, what = without_password(source), source
        options.update(protocol_whitelist=_URL_PROTOCOLS, rtsp_transport='tcp')  # a lost frame damages many others
    else:
        name, path = readable(source), Path(source)
        if not path.exists():
            raise FileNotFoundError(f'No such video file or folder of frames: {name}')
        options.update(protocol_whitelist=_FILE_PROTOCOLS, format_whitelist=_file_formats())
        what = file_address(path)
        if is_special(path):
            if not allow_special:
                raise VideoError(
                    f'{name} is a FIFO or device, which may never end: pass --allow-special (allow_special=True) to '
                    'read it, with --max-frames where it has no end.'
                )
            what = PipeInput(path, timeout)
    try:
        container = av.open(
            what, options=options, metadata_errors='replace', timeout=timeout if isinstance(what, str) else None
        )
    except (TimeoutError, av.ExitError) as error:  # PyAV's own timeout is the second
        raise VideoError(f'{name} gave nothing for {timeout:g} seconds (--timeout).') from error
    except (av.FFmpegError, OSError, UnicodeError) as error:
        if _is_playlist(source):
            raise VideoError(f'{name} is a playlist: name the video itself.') from error
        reason = getattr(error, 'strerror', None) or error
        raise VideoError(f'{name} is not a video that can be read ({reason}).') from error
    try:
        video_stream(container, name, max_pixels)
    except VideoError:
        container.close()
        raise
    return container


@cache
def _file_formats() -> str:
    """Names of the formats that a file may have: all that do not name other files."""
    return ','.join(sorted(av.formats_available - _PLAYLISTS))


def _is_playlist(source: str | Path) -> bool:
    if is_url(source) or is_special(Path(source)):
        return False
    with open(source, 'rb') as file:
        head = file.read(64).lstrip()
    return head.startswith((b'#EXTM3U', b'ffconcat', b'v=0', b'<MPD')) or Path(source).suffix.lower() in (
        '.m3u8',
        '.m3u',
        '.mpd',
        '.sdp',
        '.ffconcat',
    )


def video_stream(container: av.container.InputContainer, name: str, max_pixels: int | None = None) -> av.VideoStream:
    """Return the video of a file: the default one, then the largest, and never a cover or thumbnails.

    Raises:
        VideoError: there is none, or its codec is unknown, a text, or a frame too large; names the file.
    """
    max_pixels = max_pixels or most_pixels()
    videos = [stream for stream in container.streams.video if not stream.disposition & _NO_VIDEO]
    if not videos:
        reason = 'has no video stream' + (', only a cover picture' if container.streams.video else '')
        raise VideoError(f'{name} {reason}.')
    known = [stream for stream in videos if stream.codec_context is not None]
    if not known:
        raise VideoError(f'{name} has a video stream of a kind (codec) that PyAV cannot decode.')
    size = {stream.index: stream.codec_context.width * stream.codec_context.height for stream in known}
    best = min(known, key=lambda s: (not s.disposition & Disposition.default, -size[s.index], s.index))
    if best.codec_context.name in _TEXT_CODECS:
        raise VideoError(f'{name} is a text file, not a video.')
    if size[best.index] > max_pixels:
        raise VideoError(
            f'{name} has frames of {best.codec_context.width}x{best.codec_context.height} pixels, more than '
            f'{max_pixels:,}: scale it down, or pass --max-pixels.'
        )
    tiles = [stream for stream in videos if stream.frames <= 1 and stream.disposition & Disposition.dependent]
    if container.metadata.get('major_brand', '').strip() in _HEIC_BRANDS and len(tiles) > 1:
        raise VideoError(
            f'{name} is a photo of {len(tiles)} tiles (HEIC), which PyAV does not put together: convert it to JPEG '
            'or PNG.'
        )
    # Where only the frames tell their size. FFmpeg adds a margin to small ones (50,000 pixels to 48x32).
    best.codec_context.options = dict(max_pixels=str(max_pixels + 2**17))
    return best


def frame_rate(stream: av.VideoStream, default: Fraction) -> Fraction:
    """Return a stream's frames per second.

    The average is what the container says; of some (raw DV) it is the clock's rate, which the guess is not.
    """
    average, guess = stream.average_rate, stream.guessed_rate
    if average and guess and average > 1000 and guess < average:
        average = guess
    return Fraction(average or guess or default)
