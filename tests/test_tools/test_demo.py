"""`ifirvos demo` around a stand-in model that answers with the truth, shifted; and on a video of one's own."""

import json

import cv2
import numpy as np
import pytest

from ifirvos.inference import demo
from ifirvos.inference.absence import threshold_of
from ifirvos.inference.model_index import SHIPPED_MODEL
from ifirvos.inference.results import SentenceResult, WindowResult
from ifirvos.synth.render import draw_frames
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import VideoWriter
from ifirvos_cli.demo import main, parse_args


@pytest.fixture
def shifted_truth(monkeypatch):
    """RVOSInferencer that knows the clip; two of its masks are right, the third is empty."""

    class ShiftedTruth:
        def __init__(self, *given, **options):
            pass

        def about(self, score_threshold):
            return dict(weights='known')

        def stream(self, reader, texts, score_threshold=None):
            ShiftedTruth.threshold = score_threshold
            frames, times = zip(*reader.timed(), strict=True)
            shape = (len(frames), *frames[0].shape[:2])
            known = {text: truth for _, text, truth in demo.questions(demo.held_out_clip(parse_args([]).seed))}
            masks = [known.get(text, np.zeros(shape, bool)) for text in texts]
            masks[-1] = np.zeros_like(masks[-1])
            scores, boxes = np.ones(len(frames), np.float32), np.zeros((len(frames), 4), np.float32)
            results = [SentenceResult(text, mask, scores, boxes, 0) for text, mask in zip(texts, masks)]
            yield WindowResult(0, list(frames), list(times), results)

    monkeypatch.setattr('ifirvos.inference.inferencer.RVOSInferencer', ShiftedTruth)
    return ShiftedTruth


def test_clip_and_questions_depend_on_the_seed_only():
    first, again, other = demo.held_out_clip(0), demo.held_out_clip(0), demo.held_out_clip(1)
    assert first.video_id == again.video_id
    assert (first.facts.labels == again.facts.labels).all()
    assert first.facts.scene.background_seed != other.facts.scene.background_seed
    assert int(first.video_id.split('_')[1]) >= demo.FIRST_INDEX
    assert [kind for kind, _, _ in demo.questions(first)] == list(demo.KINDS)


def test_the_truth_of_a_question_is_its_object_and_nothing_else():
    clip = demo.held_out_clip(0)
    wanted = {expression.text: expression.object_id for expression in clip.expressions}
    for _, text, truth in demo.questions(clip):
        assert np.unique(clip.facts.labels[truth]).tolist() == [wanted[text]]
        assert (clip.facts.labels[~truth] != wanted[text]).all()


def test_rendered_video_shows_the_clip(tmp_path):
    clip = demo.held_out_clip(0)
    demo.render(clip, tmp_path / 'clip.mp4')
    frames = np.stack(list(VideoReader(tmp_path / 'clip.mp4')))
    expected = draw_frames(clip.facts.scene)[..., ::-1]
    assert frames.shape == expected.shape
    assert np.abs(frames.astype(int) - expected).mean() < 4


def test_it_scores_what_was_written_and_draws_it(shifted_truth, tmp_path, capsys):
    assert main(['--out', str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:4] for line in printed.splitlines() if line.split()[:1]}
    assert rows['attr'] == rows['spatial'] == ['100.0'] * 3
    assert rows['motion'][1] != '100.0'
    means = [float(rows[kind][0]) for kind in demo.KINDS]
    assert float(rows['mean'][0]) == pytest.approx(np.mean(means), abs=0.11)
    sheet = cv2.imread(str(tmp_path / 'contact_sheet.png'))
    assert sheet.shape[1] > demo.COLUMNS * demo.CELL_WIDTH
    assert (tmp_path / 'contact_sheet.png').stat().st_size < 500_000
    assert str(tmp_path / 'contact_sheet.png') in printed
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / 'results').glob('*/result.json'))]
    assert {record['sentence'] for record in records} == {
        text for _, text, _ in demo.questions(demo.held_out_clip(parse_args([]).seed))
    }
    assert main(['--out', str(tmp_path)]) == 0, 'it can be run again'


def test_own_video_and_sentences(shifted_truth, tmp_path, capsys):
    with VideoWriter(tmp_path / 'mine.mp4', 10) as writer:
        for t in range(3):
            writer.write(np.full((40, 60, 3), 50 * t, np.uint8))
    out = tmp_path / 'out'
    assert main(['--video', str(tmp_path / 'mine.mp4'), '--text', 'a cat; a dog', '--out', str(out)]) == 0
    assert 'J&F' not in capsys.readouterr().out, 'nothing is known about it'
    (folder,) = (out / 'results').glob('mine-*')
    assert sorted(path.name for path in folder.iterdir()) == ['a-cat', 'a-dog', 'contact_sheet.png']
    assert not (out / 'contact_sheet.png').exists(), 'that of another video'


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ([], threshold_of(SHIPPED_MODEL)),
        (['--score-threshold', '0'], 0.0),
        (['--model', 'r18_synth'], None),
        (['--weights', 'w.pth'], None),
    ],
)
def test_the_threshold_is_the_models_unless_given(shifted_truth, tmp_path, options, expected):
    assert main(['--out', str(tmp_path), *options]) == 0
    assert shifted_truth.threshold == expected


@pytest.mark.parametrize('name', ['clip.mp4', 'contact_sheet.png'])
def test_a_file_of_the_users_is_not_replaced(shifted_truth, tmp_path, capsys, name):
    (tmp_path / name).write_text('mine')
    assert main(['--out', str(tmp_path)]) == 2
    assert f'{name} was not written by the demo and is not replaced' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == 'mine'


def test_no_sentence_is_an_error_of_the_demo(capsys):
    with pytest.raises(SystemExit):
        parse_args(['--text', ' ; ;'])
    assert '--text has no sentence' in capsys.readouterr().err


def test_each_video_has_a_folder_of_its_own(tmp_path):
    videos = [tmp_path / name for name in ('a/clip.mp4', 'b/clip.mp4', '\u89c6\u9891.mp4', '\u96fb\u5f71.mp4')]
    assert len({demo.folder_of(video) for video in videos}) == 4
    assert demo.folder_of(videos[0]).startswith('clip-')


def test_a_model_that_is_none(tmp_path, capsys):
    assert main(['--out', str(tmp_path), '--model', 'nosuch']) == 2
    assert "no model 'nosuch'" in capsys.readouterr().err


def test_own_video_that_is_none(tmp_path, capsys):
    assert main(['--video', str(tmp_path / 'none.mp4'), '--out', str(tmp_path / 'out')]) == 2
    assert 'none.mp4' in capsys.readouterr().err
