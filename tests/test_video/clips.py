"""Clips that the tests of videos share."""

import av
import numpy as np

from ifirvos.video import VideoWriter


def moving_bar(num_frames=12, height=48, width=64):
    """Grey frames with a white bar whose left edge is at 4 * t."""
    frames = np.full((num_frames, height, width, 3), 60, np.uint8)
    for t, frame in enumerate(frames):
        frame[:, 4 * t : 4 * t + 8] = 255
    return frames


def write(path, frames, fps=10, **kwargs):
    with VideoWriter(path, fps, **kwargs) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def encode(path, codec, frames, pix_fmt='yuv420p', array_format='rgb24', rate=10, options=None, format=None, **context):
    """A video of any codec and pixel format, for reading only; ``context`` are attributes of the codec's context."""
    with av.open(str(path), 'w', format=format) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=array_format)))
        container.mux(stream.encode())
    return path


def with_sound(path, codec, seconds=2.0, fps=10, rate=44100, delay=0, layout='mono'):
    """A video with a tone of 440 Hz; with a delay in seconds both begin later, and until then there is silence."""
    with av.open(str(path), 'w') as container:
        pictures = container.add_stream('libvpx-vp9' if path.suffix == '.webm' else 'mpeg4', rate=fps)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, 'yuv420p'
        sound = container.add_stream(codec, rate=rate)
        sound.layout = layout
        for t in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * t % 256, np.uint8), format='rgb24')
            frame.pts = t + round(delay * fps)
            container.mux(pictures.encode(frame))
        channels = len(sound.layout.channels)
        samples = np.sin(np.arange(round(seconds * rate)) * (2 * np.pi * 440 / rate))
        samples = np.concatenate([np.zeros(round(delay * rate)), samples])
        for first in range(0, len(samples), 1024):
            part = np.repeat(samples[first : first + 1024] * 20000, channels).astype(np.int16)[None]
            tone = av.AudioFrame.from_ndarray(part, format='s16', layout=layout)
            tone.sample_rate, tone.pts = rate, first
            container.mux(sound.encode(tone))
        for stream in (pictures, sound):
            container.mux(stream.encode())
    return path


def matrix_in(data):
    """Where the display matrix of an mp4's track begins: tkhd's version 0 has 40 bytes before it."""
    return data.index(b'tkhd') + 44
