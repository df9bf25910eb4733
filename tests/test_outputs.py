"""Result folders: safe names, nothing overwritten unasked, nothing half-written."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifirvos.inferencer import SentenceResult
from ifirvos.outputs import OutputExistsError, check_free, slug, staged_folders, unique_slugs, write_results
from ifirvos.video import VideoError, VideoReader, VideoWriter
from ifirvos.visualization import read_palette_png

RESERVED = {'con', 'prn', 'aux', 'nul'} | {f'{port}{n}' for port in ('com', 'lpt') for n in range(10)}
SENTENCES = st.lists(
    st.one_of(
        st.text(max_size=300), st.sampled_from(['../../etc', 'CON', 'nul', 'a b', 'A-B', 'a-2', '', '.', 'x' * 200])
    ),
    max_size=12,
)


@given(SENTENCES)
def test_names_are_safe_and_unique(texts):
    names = unique_slugs(texts)
    assert len(set(names)) == len(names) == len(texts)
    for name in names:
        assert re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*', name), 'no separators, no dots, nothing to strip'
        assert len(name) <= 60
        assert name not in RESERVED


def test_names_can_be_read():
    assert slug('The dog, LEFT of the Käfer!') == 'the-dog-left-of-the-kafer'
    assert slug('../../etc/passwd') == 'etc-passwd'
    assert slug('左边的狗') == 'sentence'
    assert unique_slugs(['a b', 'a-b', 'c', 'A b']) == ['a-b', 'a-b-2', 'c', 'a-b-3']


def make_video(tmp_path, num_frames=4, height=24, width=32):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 8) as writer:
        for t in range(num_frames):
            writer.write(np.full((height, width, 3), 40 * t, np.uint8))
    return VideoReader(path)


def make_result(text, num_frames=4, height=24, width=32):
    masks = np.zeros((num_frames, height, width), bool)
    for t, mask in enumerate(masks):
        mask[5:9, t : t + 6] = True
    scores = np.linspace(0.1, 0.9, num_frames, dtype=np.float32)
    return SentenceResult(text, masks, scores, np.tile(np.float32([0, 5, 6, 9]), (num_frames, 1)), query_index=2)


def test_everything_of_a_result_is_written(tmp_path):
    reader, results = make_video(tmp_path), [make_result('the star'), make_result('größer')]
    folders = [tmp_path / 'out' / name for name in ('the-star', 'grosser')]
    overlays = write_results(reader, results, folders, info=dict(weights='w.pth'))
    assert overlays == [folder / 'overlay.mp4' for folder in folders]
    assert all(len(list(VideoReader(overlay))) == 4 and VideoReader(overlay).fps == 8 for overlay in overlays)
    masks = np.stack([read_palette_png(path) for path in sorted((folders[0] / 'masks').iterdir())])
    assert (masks == results[0].masks).all()
    record = json.loads((folders[1] / 'result.json').read_text(encoding='utf-8'))
    assert record['sentence'] == 'größer'
    assert (record['width'], record['height'], record['fps'], record['num_frames']) == (32, 24, 8.0, 4)
    assert (record['weights'], record['query_index'], record['problem']) == ('w.pth', 2, None)
    assert [frame['score'] for frame in record['frames']] == pytest.approx(results[1].scores.tolist(), abs=1e-6)
    assert record['frames'][3]['box'] == [0, 5, 6, 9]
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['grosser', 'the-star']


def test_nothing_is_overwritten_unasked(tmp_path):
    reader, folders = make_video(tmp_path), [tmp_path / 'out' / 'a']
    write_results(reader, [make_result('old')], folders)
    with pytest.raises(OutputExistsError, match='--overwrite'):
        write_results(reader, [make_result('new')], folders)
    assert json.loads((folders[0] / 'result.json').read_text())['sentence'] == 'old'
    write_results(reader, [make_result('new')], folders, overwrite=True)
    assert json.loads((folders[0] / 'result.json').read_text())['sentence'] == 'new'


def test_overwrite_replaces_only_results(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'cat.jpg').touch()
    (tmp_path / 'link').symlink_to(tmp_path / 'photos')
    for name in ('photos', 'link'):
        with pytest.raises(OutputExistsError, match='not written by this tool'):
            check_free([tmp_path / name], overwrite=True)


def test_a_stopped_run_leaves_nothing(tmp_path):
    reader = make_video(tmp_path)

    def stop_after_two(frames):
        for t, frame in enumerate(frames):
            if t == 2:
                raise KeyboardInterrupt
            yield frame

    with pytest.raises(KeyboardInterrupt):
        write_results(reader, [make_result('a')], [tmp_path / 'out' / 'a'], progress=stop_after_two)
    assert list((tmp_path / 'out').iterdir()) == []


def test_folders_get_their_names_only_at_the_end(tmp_path):
    final = tmp_path / 'a'
    with staged_folders([final]) as (folder,):
        (folder / 'file').touch()
        assert not final.exists()
    assert [path.name for path in tmp_path.rglob('*')] == ['a', 'file']


def test_a_video_that_shrank_meanwhile(tmp_path):
    with pytest.raises(VideoError, match='changed meanwhile'):
        write_results(make_video(tmp_path), [make_result('a', num_frames=5)], [tmp_path / 'out' / 'a'])
    assert list((tmp_path / 'out').iterdir()) == []
