"""The layout of submissions, their zip and their check."""

import io
import os
import zipfile
import zlib

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from PIL import Image

from ifirvos.errors import AnnotationError, InputError, OutputError
from ifirvos.evaluation.submission.files import (
    check_submission,
    is_written,
    missing_expressions,
    pack_submission,
    write_expression,
)
from ifirvos.registry import METRICS

FRAMES = ('00000', '00005')
EXPECTED = {('v', '0'): FRAMES, ('v', '1'): FRAMES, ('w-Ü', 'ex-1'): ('00010',)}
MASK = np.zeros((6, 8), bool)
MASK[1:3, 2:5] = True


@pytest.fixture
def folder(tmp_path):
    for (video, exp), frames in EXPECTED.items():
        write_expression(tmp_path / 'out', video, exp, frames, [MASK] * len(frames))
    return tmp_path / 'out'


def test_masks_are_grey_0_and_255(folder):
    with Image.open(folder / 'Annotations/v/1/00005.png') as picture:
        assert picture.mode == 'L'
        np.testing.assert_array_equal(np.asarray(picture), MASK * 255)
    assert sorted(path.name for path in folder.iterdir()) == ['Annotations']


def test_hidden_files_are_no_masks(folder, tmp_path):
    for name in ('._00000.png', '.DS_Store'):
        (folder / 'Annotations/v/0' / name).write_bytes(b'Mac OS X')
    assert is_written(folder, 'v', '0', FRAMES)
    assert pack_submission(folder, tmp_path / 'a.zip') == 5


def test_failure_leaves_the_earlier_masks_and_nothing_else(folder):
    with pytest.raises(TypeError):
        write_expression(folder, 'v', '0', FRAMES, [MASK, np.zeros((2, 2, 2, 2), bool)])
    assert is_written(folder, 'v', '0', FRAMES)
    assert list(check_submission(folder, EXPECTED)) == []


@pytest.mark.parametrize('name', ['..', 'a/b', '', 'a\\b'])
def test_ids_that_leave_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match='cannot be the name'):
        write_expression(tmp_path, 'v', name, ['0'], [MASK])
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing(folder):
    (folder / 'Annotations/v/1/00005.png').unlink()
    assert missing_expressions(folder, EXPECTED) == [('v', '1')]


def test_zip_holds_the_masks_alone_and_is_reproducible(folder, tmp_path):
    (folder / 'notes.txt').write_text('mine')
    assert pack_submission(folder, tmp_path / 'a.zip') == 5
    assert pack_submission(folder, tmp_path / 'b.zip') == 5
    assert (tmp_path / 'a.zip').read_bytes() == (tmp_path / 'b.zip').read_bytes()
    with zipfile.ZipFile(tmp_path / 'a.zip') as archive:
        names = archive.namelist()
    assert names == sorted(f'Annotations/{v}/{e}/{f}.png' for (v, e), frames in EXPECTED.items() for f in frames)
    assert list(check_submission(tmp_path / 'a.zip', EXPECTED, {'v': (6, 8), 'w-Ü': (6, 8)})) == []


def test_mevis_has_the_videos_at_the_top(folder, tmp_path):
    pack_submission(folder, tmp_path / 'a.zip', layout='mevis')
    with zipfile.ZipFile(tmp_path / 'a.zip') as archive:
        assert archive.namelist()[0] == 'v/0/00000.png'
        archive.extractall(tmp_path / 'official')
    for place in (tmp_path / 'a.zip', tmp_path / 'official', folder):
        assert list(check_submission(place, EXPECTED, layout='mevis')) == []
    assert 'Annotations/v/0/00000.png is missing' in list(check_submission(tmp_path / 'a.zip', EXPECTED))


def test_masks_of_an_earlier_run_stay_out_of_the_zip(folder, tmp_path):
    """Of a video that the split does not have any more, in the same folder."""
    writer = METRICS.build(dict(type='SubmissionWriter', out_dir=str(folder), layout='mevis'))
    assert writer.compute_metrics([('v', '1')]) == dict(expressions=1)
    with zipfile.ZipFile(f'{folder}.zip') as archive:
        assert archive.namelist() == [f'v/1/{frame}.png' for frame in EXPECTED['v', '1']]
    with pytest.raises(InputError, match='ytvos, mevis'):
        METRICS.build(dict(type='SubmissionWriter', layout='davis'))


def test_nothing_to_pack(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no masks'):
        pack_submission(tmp_path, tmp_path / 'a.zip')


@pytest.mark.parametrize(
    ('harm', 'complaint'),
    [
        (lambda path: path.unlink(), 'is missing'),
        (lambda path: path.with_name('00099.png').write_bytes(path.read_bytes()), '00099.png does not belong'),
        (lambda path: path.write_bytes(b'not a picture'), 'cannot be read'),
        (lambda path: Image.fromarray(MASK.astype(np.uint8)).save(path), 'beside 0 and 255'),
        (lambda path: Image.fromarray(np.zeros((8, 6), np.uint8)).save(path), '6x8: it must be 8x6'),
        (lambda path: Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(path), 'RGB picture'),
    ],
)
def test_check_names_what_is_wrong(folder, tmp_path, harm, complaint):
    harm(folder / 'Annotations/v/1/00005.png')
    problems = list(check_submission(folder, EXPECTED))
    assert len(problems) == 1
    assert complaint in problems[0]
    pack_submission(folder, tmp_path / 'a.zip')
    assert list(check_submission(tmp_path / 'a.zip', EXPECTED)) == problems


def test_odd_zips_are_complaints(folder, tmp_path):
    """A picture that unpacks to 200 MB, and one with a password."""
    pack_submission(folder, tmp_path / 'a.zip')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('Annotations/v/2/00000.png', bytes(200_000_000))
    problems = list(check_submission(tmp_path / 'a.zip', {**EXPECTED, ('v', '2'): ('00000',)}))
    assert problems == ['Annotations/v/2/00000.png unpacks to 200,000,000 bytes']
    content = bytearray((tmp_path / 'a.zip').read_bytes())
    central = content.index(b'PK\x01\x02')
    content[central + 8] |= 1  # the first entry is encrypted
    (tmp_path / 'b.zip').write_bytes(content)
    assert 'cannot be read as a picture (RuntimeError)' in list(check_submission(tmp_path / 'b.zip', EXPECTED))[1]


def test_a_picture_of_256_million_pixels_is_a_complaint(folder):
    small = io.BytesIO()
    Image.new('L', (8, 8)).save(small, 'PNG')
    content = bytearray(small.getvalue())
    content[16:24] = (16_000).to_bytes(4, 'big') * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    (folder / 'Annotations/v/1/00005.png').write_bytes(content)
    assert list(check_submission(folder, EXPECTED)) == ['Annotations/v/1/00005.png has far too many pixels']


@pytest.mark.parametrize('kind', ['pipe', 'device'])
def test_a_submission_that_never_ends_is_refused(tmp_path, kind):
    path = tmp_path / 'a.zip'
    os.mkfifo(path) if kind == 'pipe' else path.symlink_to('/dev/zero')
    with pytest.raises(AnnotationError, match='a pipe or a device'):
        list(check_submission(path, EXPECTED))


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'out/Annotations').mkdir(parents=True)
    (tmp_path / 'out/Annotations/v').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(OutputError, match='is a link'):
        write_expression(tmp_path / 'out', 'v', '0', ['0'], [MASK])
    assert list((tmp_path / 'elsewhere').iterdir()) == []


def test_a_writer_takes_what_the_config_says_of_the_metric_it_stands_in_for(tmp_path):
    """--cfg-options test_evaluator.type=SubmissionWriter leaves them where they were."""
    of_metrics = dict(group_by='kind', bootstrap=100, leave_out=['absent'], masks_dir='m', iou='exact', keep=0.9)
    writer = METRICS.build(dict(type='SubmissionWriter', out_dir=str(tmp_path), **of_metrics))
    assert writer.out_dir == tmp_path
    with pytest.raises(TypeError, match='SubmissionWriter takes no groop_by'):
        METRICS.build(dict(type='SubmissionWriter', out_dir=str(tmp_path), groop_by='kind'))


class TestWriter:
    @staticmethod
    def make_sample(exp_id, mask):
        frames = []
        for name in FRAMES:
            frame = DetDataSample(metainfo=dict(img_path=f'x/{name}.jpg'))
            frame.pred_track_instances = InstanceData(masks=torch.from_numpy(mask[None]))
            frames.append(frame)
        sample = TrackDataSample(metainfo=dict(video_id='v', exp_id=exp_id))
        sample.video_data_samples = frames
        return sample

    def run(self, samples, **config):
        evaluator = Evaluator(METRICS.build(dict(type='SubmissionWriter', **config)))
        evaluator.process(samples)
        return evaluator.evaluate(len(samples))

    def test_writes_tree_and_zip_without_annotations(self, tmp_path):
        samples = [self.make_sample(exp, MASK) for exp in '01']
        assert self.run(samples, out_dir=str(tmp_path / 'sub')) == {'submission/expressions': 2}
        expected = {('v', '0'): FRAMES, ('v', '1'): FRAMES}
        assert list(check_submission(tmp_path / 'sub.zip', expected, {'v': MASK.shape})) == []

    def test_resumes(self, tmp_path):
        self.run([self.make_sample('0', MASK)], out_dir=str(tmp_path / 'sub'))
        samples = [self.make_sample(exp, ~MASK) for exp in '01']
        self.run(samples, out_dir=str(tmp_path / 'sub'), overwrite=False)
        first, second = (np.asarray(Image.open(tmp_path / f'sub/Annotations/v/{exp}/00000.png')) > 0 for exp in '01')
        np.testing.assert_array_equal(first, MASK)
        np.testing.assert_array_equal(second, ~MASK)

    def test_goes_beside_the_log(self, tmp_path, monkeypatch):
        logger = MMLogger('beside_the_log', log_file=str(tmp_path / 'run.log'))
        monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: logger)
        self.run([self.make_sample('0', MASK)])
        assert (tmp_path / 'submission.zip').is_file()
        monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: MMLogger('no_log'))
        with pytest.raises(ValueError, match='out_dir'):
            self.run([self.make_sample('0', MASK)])
