"""The sound of a video goes along with its pictures."""

from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pytest
from clips import moving_bar, write

from ifirvos.video.audio import SoundTrack
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter, video_suffix

OPEN_FILES = Path('/proc/self/fd')


# ---------------------------------------------------------------------- sound
def with_sound(path, codec, seconds=2.0, fps=10, rate=44100, delay=0):
    """A video with a tone of 440 Hz; with a delay in seconds both begin later, and until then there is silence."""
    with av.open(str(path), 'w') as container:
        pictures = container.add_stream('mpeg4', rate=fps)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, 'yuv420p'
        sound = container.add_stream(codec, rate=rate)
        sound.layout = 'mono'
        for t in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * t, np.uint8), format='rgb24')
            frame.pts = t + round(delay * fps)
            container.mux(pictures.encode(frame))
        samples = np.sin(np.arange(round(seconds * rate)) * (2 * np.pi * 440 / rate))
        samples = np.concatenate([np.zeros(round(delay * rate)), samples])
        for first in range(0, len(samples), 1024):
            part = (samples[first : first + 1024] * 20000).astype(np.int16)[None]
            tone = av.AudioFrame.from_ndarray(part, format='s16', layout='mono')
            tone.sample_rate, tone.pts = rate, first
            container.mux(sound.encode(tone))
        for stream in (pictures, sound):
            container.mux(stream.encode())
    return path


def copy_with_sound(source, path, max_frames=None):
    reader = VideoReader(source, max_frames=max_frames)
    with VideoWriter(path, reader.fps, sound_of=reader.sound_source) as writer:
        for frame, time in reader.timed():
            writer.write(frame, time)
    return path


def samples_of(path):
    """Codec, samples and samples a second of a file's sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        samples = np.concatenate([frame.to_ndarray().astype(float).mean(0) for frame in frames])
        return stream.codec_context.name, samples, frames[0].sample_rate


def heard(path):
    """Codec, seconds, and the loudest frequency of a file's sound."""
    codec, samples, rate = samples_of(path)
    return codec, len(samples) / rate, np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


@pytest.mark.skipif(not OPEN_FILES.exists(), reason='needs Linux to list the open files')
@pytest.mark.parametrize('fails', [False, True])
def test_the_source_is_closed(tmp_path, monkeypatch, fails):
    """Thousands of videos are written by one process."""
    if fails:
        monkeypatch.setattr(SoundTrack, '_open', Mock(side_effect=ValueError('no such layout')))
    source = with_sound(tmp_path / 'clip.mp4', 'aac')
    with VideoWriter(tmp_path / 'out.mp4', 10, sound_of=source) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        is_open = source in [path.resolve() for path in OPEN_FILES.iterdir()]
    assert is_open is not fails
    assert source not in [path.resolve() for path in OPEN_FILES.iterdir()]


@pytest.mark.parametrize(
    ('name', 'codec'), [('clip.mp4', 'aac'), ('clip.ts', 'aac'), ('clip.mov', 'pcm_s16le'), ('clip.mkv', 'flac')]
)
def test_sound_is_kept(tmp_path, name, codec):
    source = with_sound(tmp_path / name, codec)
    codec, seconds, frequency = heard(copy_with_sound(source, tmp_path / f'copy{video_suffix()}'))
    assert codec in {'aac', 'opus'}
    assert seconds == pytest.approx(2, abs=0.1)
    assert frequency == pytest.approx(440, abs=3)
    assert len(list(VideoReader(tmp_path / f'copy{video_suffix()}'))) == 20


def test_sound_ends_with_the_pictures(tmp_path):
    source = with_sound(tmp_path / 'clip.mp4', 'aac')
    _, seconds, _ = heard(copy_with_sound(source, tmp_path / f'copy{video_suffix()}', max_frames=5))
    assert seconds == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize('codec', ['aac', 'flac'])
def test_sound_and_pictures_begin_together_where_the_pictures_come_late(tmp_path, codec):
    source = with_sound(tmp_path / 'late.mkv', codec, delay=0.5)
    copy = copy_with_sound(source, tmp_path / f'copy{video_suffix()}')
    _, samples, rate = samples_of(copy)
    assert len(samples) / rate == pytest.approx(2, abs=0.1)
    assert np.abs(samples[: rate // 5]).max() > 0.5 * np.abs(samples).max(), 'the silence before is gone'
    assert [time for _, time in VideoReader(copy).timed()][0] == 0


def test_no_sound_where_there_is_none_or_the_rate_was_changed(tmp_path):
    silent = write(tmp_path / 'silent.mp4', moving_bar())
    copy_with_sound(silent, tmp_path / f'copy{video_suffix()}')
    with av.open(str(tmp_path / f'copy{video_suffix()}')) as container:
        assert not container.streams.audio
    assert VideoReader(silent, fps=5).sound_source is None
    assert VideoReader(silent).sound_source == silent
