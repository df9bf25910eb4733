"""Conversion of decoded frames to upright uint8 RGB: HDR, wide gamut, 16-bit grey, mirrored, interlaced."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.reformatter import Colorspace

# Codes of ITU-T H.273.
_BT2020 = 9  # primaries
_UNSPECIFIED = 2
_TRANSFERS = {16: 'PQ', 18: 'HLG'}

_WHITE = 203.0  # cd/m2 of SDR's white in HDR, ITU-R BT.2408
_PQ_PEAK = 10_000.0
_HLG_PEAK = 1000.0  # cd/m2 of the display for which HLG is defined, with a system gamma of 1.2: ITU-R BT.2100
_SDR_GAMMA = 2.4  # of a display, ITU-R BT.1886
_KNEE = 0.8  # linear light above which highlights are compressed; white comes out at 0.926 (level 247)
_STEPS = 4095  # of the square root of linear light, before it is looked up as an 8-bit level

# Linear light of BT.2020 to BT.709: ITU-R BT.2087.
_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)


def hdr_name(frame: av.VideoFrame) -> str | None:
    """Return 'PQ' or 'HLG', None for standard dynamic range."""
    return _TRANSFERS.get(int(frame.color_trc))


def to_rgb(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """Convert a decoded frame to uint8 RGB in SDR and BT.709, without rotating it.

    HDR is mapped to SDR: white stays white, brighter highlights are compressed, hues are kept.

    Args:
        frame: Any pixel format.
        width: Width to scale to, in pixels.
        height: Height to scale to, in pixels.

    Returns:
        (H, W, 3).
    """
    hdr = hdr_name(frame)
    if hdr or int(frame.color_primaries) == _BT2020:
        return _tone_mapped(frame.to_ndarray(format='rgb48le', width=width, height=height), hdr)
    if frame.format.name.startswith('gray16'):
        grey = frame.to_ndarray(format='gray16le', width=width, height=height)
        if int(frame.color_range) == 1:  # limited: black is 16, white 235, of 255
            levels = (grey.astype(np.float32) - 16 * 256) * np.float32(255 / (219 * 256))
        else:
            levels = grey * np.float32(1 / 257)
        return cv2.cvtColor(np.clip(np.rint(levels), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    # Where a file does not say which matrix its colours have, HD has that of BT.709, as in players (mpv, VLC).
    guessed = int(frame.colorspace) == _UNSPECIFIED and (frame.width >= 1280 or frame.height > 576)
    is_yuv = frame.format.name.startswith(('yuv', 'nv', 'p0'))
    matrix = dict(src_colorspace=Colorspace.ITU709) if guessed and is_yuv else {}
    return frame.to_ndarray(format='rgb24', width=width, height=height, **matrix)


def _linear_light(hdr: str | None) -> np.ndarray:
    """Return the linear light of the 65,536 levels of a transfer, 1 at SDR's white."""
    level = np.arange(65536, dtype=np.float64) / 65535
    if hdr == 'PQ':  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = level ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * _PQ_PEAK / _WHITE
    elif hdr == 'HLG':  # the scene's light; the display's follows from its luminance
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(level <= 0.5, level**2 / 3, (np.exp((level - c) / a) + b) / 12)
    else:
        light = level**_SDR_GAMMA
    return light.astype(np.float32)


_LIGHT = {hdr: _linear_light(hdr) for hdr in (None, 'PQ', 'HLG')}
_LEVELS = np.rint(255 * (np.arange(_STEPS + 1) / _STEPS) ** (2 / _SDR_GAMMA)).astype(np.uint8)


def _tone_mapped(rgb: np.ndarray, hdr: str | None) -> np.ndarray:
    """Map uint16 RGB (H, W, 3) in BT.2020 with a transfer to uint8 in BT.709."""
    light = np.take(_LIGHT[hdr], rgb)
    if hdr == 'HLG':
        luminance = cv2.transform(light, np.array([[0.2627, 0.6780, 0.0593]], np.float32))
        light *= (_HLG_PEAK / _WHITE * cv2.pow(luminance, 0.2)).reshape(*luminance.shape[:2], 1)
    light = cv2.transform(light, _TO_BT709)
    np.maximum(light, 0, out=light)
    if hdr:
        peak = light.max(axis=2)
        bright = peak > _KNEE
        if bright.any():
            over = peak[bright]
            mapped = _KNEE + (1 - _KNEE) * -np.expm1((_KNEE - over) / (1 - _KNEE))
            light[bright] *= (mapped / over)[:, None]
    np.minimum(light, 1, out=light)
    index = cv2.sqrt(light)
    index *= _STEPS
    return _LEVELS[np.rint(index).astype(np.uint16)]


# ---------------------------------------------------------------------- which way up
def _unknown_kind(kind: type[Type], value: int) -> Type:
    """Stand for side data that PyAV does not know yet, as the EXIF of photos: without it no side data could be read."""
    member = object.__new__(kind)
    member._name_, member._value_ = f'UNKNOWN_{value}', value
    return member


Type._missing_ = classmethod(_unknown_kind)


def orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Return what makes a frame upright: whether to transpose it, then to flip it left to right, then top to bottom.

    The display matrix maps (x, y) to (a x + c y, b x + d y); angles between quarter turns go to the nearest.
    """
    for side_data in frame.side_data:
        if side_data.type.name != 'DISPLAYMATRIX':
            continue
        a, b, _, c, d = struct.unpack_from('=5i', bytes(side_data))
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return False, a < 0, d < 0
        return True, c < 0, b < 0
    return False, False, False


def upright(image: np.ndarray, transposed: bool, mirrored: bool, flipped: bool) -> np.ndarray:
    """Rotate and mirror an image (H, W, 3), see :func:`orientation`."""
    image = image.transpose(1, 0, 2) if transposed else image
    image = image[:, ::-1] if mirrored else image
    image = image[::-1] if flipped else image
    return np.ascontiguousarray(image)


# ---------------------------------------------------------------------- interlaced video
class Deinterlacer:
    """FFmpeg's bwdif: of every interlaced frame a progressive one at the same time; others pass through."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._size: tuple | None = None

    def feed(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Yield the frames that are ready; None says that there are no more."""
        if frame is not None:
            size = (frame.width, frame.height, frame.format.name, frame.time_base)
            if size != self._size:  # at the first frame, and where a stream changes on the way
                yield from self._finish()
                self._start(frame, size)
            self._graph.push(frame)
            yield from self._ready()
        else:
            yield from self._finish()

    def _start(self, frame: av.VideoFrame, size: tuple) -> None:
        self._graph, self._size = Graph(), size
        source = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 1000),  # any will do for frames without times
        )
        bwdif = self._graph.add('bwdif', 'mode=send_frame:deint=interlaced')
        sink = self._graph.add('buffersink')
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def _finish(self) -> Iterator[av.VideoFrame]:
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
            self._graph = self._size = None

    def _ready(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
