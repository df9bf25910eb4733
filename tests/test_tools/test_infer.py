"""`ifirvos infer` as a user meets it: what it writes, and the one line it says when something is wrong."""

import json
import os

import numpy as np
import pytest
from left_half import LeftHalf
from mmengine.logging import MMLogger

from ifirvos.label_maps import read_palette_png
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter
from ifirvos_cli import infer


@pytest.fixture
def left_half(monkeypatch):
    monkeypatch.setattr('ifirvos.inference.inferencer.RVOSInferencer', LeftHalf)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 12) as writer:
        for t in range(6):
            writer.write(np.full((48, 64, 3), 30 * t, np.uint8))
    return path


def test_a_folder_a_sentence(left_half, clip, tmp_path, capsys):
    out = tmp_path / 'out'
    assert infer.main([str(clip), 'The red star!', '../other', '--out', str(out), '--max-frames', '4']) == 0
    assert sorted(path.name for path in out.iterdir()) == ['other', 'the-red-star']
    overlay = out / 'the-red-star' / 'overlay.mp4'
    assert str(overlay) in capsys.readouterr().out
    assert np.stack(list(VideoReader(overlay))).shape == (4, 48, 64, 3)
    record = json.loads((out / 'other' / 'result.json').read_text())
    assert record['sentence'] == '../other'
    assert (record['config'], record['score_threshold']) == ('left.py', None)
    assert [frame['score'] for frame in record['frames']] == [0.75] * 4
    mask = read_palette_png(out / 'other' / 'masks' / '00003.png')
    assert mask[:, :32].all()
    assert not mask[:, 32:].any()


def test_every_overlay_is_named(left_half, clip, tmp_path, capsys):
    assert infer.main([str(clip), 'a star', 'a dog', '--out', str(tmp_path / 'out'), '--together']) == 0
    named = capsys.readouterr().out.split()
    assert named == [str(tmp_path / 'out' / name / 'overlay.mp4') for name in ('a-star', 'a-dog', 'all_sentences')]
    assert all(VideoReader(path).num_frames == 6 for path in named)


def test_the_folder_of_exports_is_named(left_half, clip, tmp_path, capsys):
    assert infer.main([str(clip), 'a star', '--out', str(tmp_path / 'out'), '--save', 'coco']) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / 'out/all_sentences')]


def test_garbage_is_collected_once_the_model_is_there(left_half, clip, tmp_path):
    """Before, the collector would go through all that has been imported, a tenth of a start."""
    assert infer.main([str(clip), 'a star', '--out', str(tmp_path / 'out')]) == 0
    assert LeftHalf.collected == [False, True]


def test_existing_results_stay_without_overwrite(left_half, clip, tmp_path, capsys):
    args = [str(clip), 'a star', '--out', str(tmp_path / 'out')]
    assert infer.main(args) == 0
    built = LeftHalf.built
    assert infer.main(args) == 2
    assert LeftHalf.built == built, 'said before the model was loaded'
    assert '--overwrite' in capsys.readouterr().err
    assert infer.main([*args, '--overwrite']) == 0


def test_words_without_quotes_are_said(left_half, clip, tmp_path, capsys):
    assert infer.main([str(clip), 'the', 'red', 'car', '--out', str(tmp_path / 'out')]) == 0
    assert 'note: 3 sentences of one word each: put one of several words into quotes' in capsys.readouterr().err
    assert infer.main([str(clip), 'cat', 'red car', '--out', str(tmp_path / 'other')]) == 0
    assert 'quotes' not in capsys.readouterr().err


def test_odd_size_is_said(left_half, clip, tmp_path, capsys):
    (tmp_path / 'frames').mkdir()
    import cv2

    cv2.imwrite(str(tmp_path / 'frames' / '0.png'), np.zeros((5, 7, 3), np.uint8))
    assert infer.main([str(tmp_path / 'frames'), 'a star', '--out', str(tmp_path / 'out'), '--fps', '6']) == 0
    assert '7x5 is odd' in capsys.readouterr().err
    assert VideoReader(tmp_path / 'out' / 'a-star' / 'overlay.mp4').fps == 6


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['none.mp4', 'a star'], 'none.mp4'),
        (['notes.txt', 'a star'], 'notes.txt'),
        (['clip.mp4', ' '], 'Sentence 1 is empty'),
        (['clip.mp4', 'a star', '--weights', 'none.pth'], 'none.pth'),
        (['clip.mp4', 'a star', '--weights', 'notes.txt'], 'not a checkpoint'),
        (['clip.mp4', 'a star', '--weights', 'notes.txt', '--config', 'none.py'], 'none.py'),
        (['clip.mp4', 'a star', '--device', 'toaster'], 'not a device'),
    ],
)
def test_user_errors_are_one_line_and_leave_nothing(clip, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'notes.txt').write_text('not a video\n' * 99)
    if '--weights' not in arguments:  # the shipped ones are not what is tested here
        monkeypatch.setattr('ifirvos.inference.loading.shipped', lambda path: str(clip))
    assert infer.main([*arguments, '--out', 'out']) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith('error: ')
    assert says in error
    assert '\n' not in error
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('wrong', [['--config', 'a.py'], ['--fps', '0'], ['--max-frames', '-1']])
def test_options_that_make_no_sense(clip, wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        infer.main([str(clip), 'a star', '--out', 'out', *wrong])
    assert stopped.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    'line',
    [
        ['c.mp4', '--model', 'm', 'the dog', '-a cat', '--out', 'o'],
        ['c.mp4', '--out', 'o', 'the dog', '--', '-a cat'],
        ['c.mp4', 'the dog', '--out', 'o', '--', '-a cat'],
        ['--out', 'o', '--', 'c.mp4', 'the dog', '-a cat'],
    ],
)
def test_sentences_may_stand_behind_options(line, capsys):
    if '--' in line:
        args = infer.parse_args(line)
        assert (args.video, args.sentences) == ('c.mp4', ['the dog', '-a cat'])
    else:
        with pytest.raises(SystemExit):
            infer.parse_args(line)
        assert 'unrecognized arguments: -a cat' in capsys.readouterr().err
        line.remove('-a cat')
        args = infer.parse_args(line)
        assert (args.video, args.sentences) == ('c.mp4', ['the dog'])


@pytest.mark.parametrize('stray', [['--save', 'masks', 'rle'], ['--together', 'all.mp4'], ['–save', 'masks']])
def test_what_is_rather_part_of_an_option_is_no_sentence(stray, capsys):
    with pytest.raises(SystemExit):
        infer.parse_args(['c.mp4', 'the dog', '--out', 'o', *stray])
    assert 'unrecognized arguments' in capsys.readouterr().err


def test_only_paths_go_to_stdout(left_half, clip, tmp_path, capfd, monkeypatch):
    """What mmengine logs, as the warning that a sentence fits nothing, does not."""
    stream = LeftHalf.stream

    def warning(*args, **kwargs):
        MMLogger.get_current_instance().warning('fits nothing')
        yield from stream(*args, **kwargs)

    monkeypatch.setattr(LeftHalf, 'stream', warning)
    monkeypatch.setattr(MMLogger, '_instance_dict', {})  # a logger of its own, whatever other tests made
    assert infer.main([str(clip), 'a star', '--out', str(tmp_path / 'out'), '--save', 'overlay']) == 0
    written = capfd.readouterr()
    assert written.out == f'{tmp_path}/out/a-star/overlay.mp4\n'
    assert 'fits nothing' in written.err


@pytest.mark.parametrize('name', [b'12:30:11.mp4', b'caf\xe9.mp4', b'.hidden.mp4', b'./-dash.mp4'])
def test_awkward_names_give_results(left_half, clip, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    os.rename(clip, name)
    assert infer.main([os.fsdecode(name), 'a star', '--out', 'out', '--save', 'overlay,masks,coco']) == 0
    record = json.loads((tmp_path / 'out' / 'a-star' / 'result.json').read_text(encoding='utf-8'))
    assert record['video'].endswith('.mp4')
    assert len(record['frames']) == 6


def test_what_was_changed_is_noted(left_half, tmp_path, capsys):
    path = tmp_path / 'wide.mp4'
    with VideoWriter(path, 10, pixel_aspect=2) as writer:
        for _ in range(2):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    out = tmp_path / 'out'
    assert infer.main([str(path), 'a star', '--out', str(out)]) == 0
    assert 'note: its pixels are not square' in capsys.readouterr().err
    assert 'not square' in json.loads((out / 'a-star' / 'result.json').read_text())['notes'][0]
    assert VideoReader(out / 'a-star' / 'overlay.mp4').pixel_aspect == 2


def test_a_long_thin_video_gets_a_scaled_overlay(left_half, tmp_path, capsys):
    (tmp_path / 'thin.y4m').write_bytes(
        b'YUV4MPEG2 W17000 H2 F10:1 Ip A1:1 C420jpeg\nFRAME\n' + bytes([128]) * (17_000 * 3)
    )
    assert infer.main([str(tmp_path / 'thin.y4m'), 'a star', '--out', str(tmp_path / 'out')]) == 0
    assert 'is scaled to 16384x2' in capsys.readouterr().err


def test_a_fifo_is_refused(tmp_path, capsys):
    os.mkfifo(tmp_path / 'pipe')
    assert infer.main([str(tmp_path / 'pipe'), 'a star', '--out', str(tmp_path / 'out')]) == 2
    assert '--allow-special' in capsys.readouterr().err


def test_a_threshold_above_every_score_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        infer.parse_args(['clip.mp4', 'a star', '--out', 'out', '--score-threshold', '3'])
    assert stop.value.code == 2
    assert 'from 0 to 1' in capsys.readouterr().err
