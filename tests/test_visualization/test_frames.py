"""Which frames are drawn, from where, and under which name."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ifirvos.video.writer import VideoWriter, video_suffix
from ifirvos.visualization.frames import read_images, safe_part


@pytest.mark.parametrize('name', ['../../etc', '..', '.', '', '/abs', 'a/b', 'a\\b', 'x' * 300, '.hidden', 'ä', 'a\0b'])
def test_ids_become_one_safe_part_of_a_path(name):
    part = safe_part(name)
    assert part == Path(part).name
    assert not part.startswith('.')
    assert len(part) < 100
    assert part.isascii()
    assert part != safe_part(name + '?')


def test_ordinary_ids_stay_as_they_are():
    for name in ('0062f687f1', 'bike-packing', 'v_123.x', 7):
        assert safe_part(name) == str(name)


def test_frames_of_a_video_file_are_read_from_it(tmp_path):
    path = tmp_path / f'v{video_suffix()}'
    with VideoWriter(path, 10) as writer:
        for t in range(4):
            writer.write(np.full((32, 32, 3), (60 * t, 20, 200 - 60 * t), np.uint8))
    frames = [SimpleNamespace(img_path=str(path), frame_id=t) for t in (3, 1)]
    last, second = read_images(frames)
    assert np.abs(last.astype(int) - (180, 20, 20)).max() < 12
    assert np.abs(second.astype(int) - (60, 20, 140)).max() < 12
