"""Bytes of videos, changed: frames come, or one of our errors says why not; no hang, no crash, no other exception."""

from pathlib import Path

import av
import numpy as np
import pytest
from mutations import changed_bytes, is_answered, run_all

from ifirvos.video.reader import VideoReader

# Ending -> encoder and its pixel format.
KINDS = {
    'mp4': ('libx264', 'yuv420p'),
    'webm': ('libvpx-vp9', 'yuv420p'),
    'mkv': ('mpeg4', 'yuv420p'),
    'avi': ('mjpeg', 'yuvj420p'),
    'gif': ('gif', 'rgb8'),
    'ts': ('mpeg2video', 'yuv420p'),
}
KEPT = [0, 1, 2]  # seeds of every run; what was found with others joins them


def write_video(path: Path, encoder: str, pixels: str) -> None:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(encoder, rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        for t in range(8):
            frame = np.full((32, 48, 3), 20 * t, np.uint8)
            frame[8:20, 4 * t : 4 * t + 12] = (255, 0, 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24').reformat(format=pixels)))
        container.mux(stream.encode())


def fuzz(kind: str, folder: Path, seeds, seconds: float) -> dict[str, int]:
    encoder, pixels = KINDS[kind]
    if encoder not in av.codecs_available:
        pytest.skip(f'PyAV has no {encoder} here')
    path = folder / f'clip.{kind}'
    write_video(path, encoder, pixels)
    whole = path.read_bytes()

    def read() -> None:
        for frame in VideoReader(path, max_frames=40, timeout=5):
            assert frame.dtype == np.uint8
            assert frame.shape[2] == 3

    def try_one(seed: int) -> bool:
        path.write_bytes(changed_bytes(whole, seed))
        return is_answered(read)

    return run_all(try_one, seeds, seconds)


@pytest.mark.parametrize('kind', ['mp4', 'mkv', 'gif'])
def test_a_few_changes(kind, tmp_path):
    assert fuzz(kind, tmp_path, KEPT, 120)['tried'] == len(KEPT)


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_many_changes(kind, tmp_path, record_property):
    counts = fuzz(kind, tmp_path, range(2000), 40)
    record_property('counts', counts)
    assert counts['tried'] >= 100
    assert counts['read'] > 0
    assert counts['refused'] > 0
