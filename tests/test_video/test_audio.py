"""The sound of a video goes along with its pictures."""

import os
import threading
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pytest
from clips import moving_bar, with_sound, write

from ifirvos.errors import VideoError
from ifirvos.video.audio import SoundTrack
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter, video_suffix

OPEN_FILES = Path('/proc/self/fd')


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


@pytest.mark.parametrize(('name', 'codec'), [('clip.webm', 'libopus'), ('clip.mkv', 'ac3'), ('clip.mkv', 'libopus')])
@pytest.mark.parametrize('layout', ['mono', 'stereo'])
def test_sound_that_needs_no_resampling_is_kept(tmp_path, name, codec, layout):
    """Matroska counts in milliseconds."""
    source = with_sound(tmp_path / name, codec, rate=48000, layout=layout)
    _, seconds, frequency = heard(copy_with_sound(source, tmp_path / 'copy.mp4'))
    assert seconds == pytest.approx(2, abs=0.1)
    assert frequency == pytest.approx(440, abs=3)


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


def test_sound_stays_with_the_pictures_where_the_first_of_them_are_lost(tmp_path):
    """A recording that begins between two key frames: a flash and a tone 8 s after its real beginning."""
    path = tmp_path / 'whole.ts'
    with av.open(str(path), 'w', format='mpegts') as container:
        pictures = container.add_stream('libx264', rate=10, options=dict(g='50', bf='0', sc_threshold='0'))
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, 'yuv420p'
        sound = container.add_stream('aac', rate=48000)
        sound.layout = 'mono'
        for t in range(120):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * (t == 80), np.uint8), format='rgb24')
            frame.pts, frame.time_base = t, Fraction(1, 10)
            container.mux(pictures.encode(frame))
            tone = (t == 80) * np.sin(np.arange(4800) / 17).astype(np.float32)[None]
            tone = av.AudioFrame.from_ndarray(tone, format='fltp', layout='mono')
            tone.sample_rate, tone.pts, tone.time_base = 48000, 4800 * t, Fraction(1, 48000)
            container.mux(sound.encode(tone))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(container.streams.video[0]) if packet.size]
    data = path.read_bytes()
    cut = tmp_path / 'cut.ts'
    cut.write_bytes(data[: 3 * 188] + data[places[20] // 188 * 188 :])  # the tables of the stream, then from 2 s on
    reader = VideoReader(cut)
    frames = [time for frame, time in reader.timed() if frame.mean() > 128]
    assert 'its first 30 frames cannot be decoded' in reader.problem
    _, samples, rate = samples_of(copy_with_sound(cut, tmp_path / 'copy.mp4'))
    heard_at = np.flatnonzero(np.abs(samples) > 0.3)[0] / rate
    assert [float(time) for time in frames] == [3.0]
    assert abs(heard_at - 3) < 0.05


def test_sound_whose_channels_change_on_the_way(tmp_path):
    """As television does between programmes; the tone stays."""
    parts = []
    for layout, first in (('stereo', 0), ('5.1', 20)):
        path = tmp_path / f'{layout}.ts'
        with av.open(str(path), 'w') as container:
            pictures = container.add_stream('mpeg2video', rate=10)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, 'yuv420p'
            sound = container.add_stream('ac3', rate=48000)
            sound.layout = layout
            channels = len(sound.layout.channels)
            for t in range(first, first + 20):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * t, np.uint8), format='rgb24')
                frame.pts, frame.time_base = t, Fraction(1, 10)
                container.mux(pictures.encode(frame))
                wave = np.sin(np.arange(4800 * t, 4800 * t + 4800) * (2 * np.pi * 440 / 48000)).astype(np.float32) / 2
                tone = av.AudioFrame.from_ndarray(np.repeat(wave[None], channels, 0), format='fltp', layout=layout)
                tone.sample_rate, tone.pts, tone.time_base = 48000, 4800 * t, Fraction(1, 48000)
                container.mux(sound.encode(tone))
            container.mux(pictures.encode())
            container.mux(sound.encode())
        parts.append(path.read_bytes())
    (tmp_path / 'both.ts').write_bytes(b''.join(parts))
    codec, seconds, frequency = heard(copy_with_sound(tmp_path / 'both.ts', tmp_path / 'copy.mp4'))
    assert codec == 'aac'
    assert seconds > 3
    assert abs(frequency - 440) < 5


def test_sound_that_cannot_be_opened_is_left_out(tmp_path, monkeypatch):
    source = with_sound(tmp_path / 'clip.mp4', 'aac')
    monkeypatch.setattr(SoundTrack, '_open', Mock(side_effect=VideoError('its kind (codec) is not known')))
    with av.open(str(copy_with_sound(source, tmp_path / 'copy.mp4'))) as container:
        assert not container.streams.audio


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_a_pipe_is_not_opened_again_for_its_sound(tmp_path):
    source = with_sound(tmp_path / 'clip.ts', 'aac')
    os.mkfifo(tmp_path / 'pipe')
    thread = threading.Thread(target=lambda: (tmp_path / 'pipe').write_bytes(source.read_bytes()))
    thread.start()
    reader = VideoReader(tmp_path / 'pipe', allow_special=True, timeout=10)
    assert reader.sound_source is None
    assert len(list(reader)) == 20
    thread.join()
