"""tools/analysis_tools/browse_dataset.py: what it paints where, and what a user meets on the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from PIL import Image
from tool_scripts import load_tool

from ifirvos.errors import MissingFileError
from ifirvos.testing import demo_rvos_inputs, write_demo_dataset

ROOT = Path(__file__).resolve().parents[2]
SYNTH = str(ROOT / 'configs/ifirvos/r18_synth.py')
PRETRAIN = str(ROOT / 'configs/ifirvos/r18_synth_pretrain.py')

browse = load_tool('analysis_tools/browse_dataset.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> str:
    return str(write_demo_dataset(tmp_path_factory.mktemp('data') / 'demo', num_clips=5))


def frame(mask: np.ndarray, box: tuple[float, ...]) -> DetDataSample:
    sample = DetDataSample()
    sample.gt_instances = InstanceData(masks=BitmapMasks(mask[None], *mask.shape), bboxes=torch.tensor([box]))
    return sample


def colored(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == color).all(axis=-1)


def test_mask_and_box_are_painted_where_they_are():
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 30:50] = 1
    out = browse.draw_frame(np.zeros((40, 60, 3), np.uint8), frame(mask, (25.0, 5.0, 54.0, 30.0)), is_key=False)
    painted = out.any(axis=-1)
    assert painted[12:18, 32:48].all()
    assert not painted[22:28, 30:50].any()
    box = colored(out, browse.BOX)
    assert box[5, 25:55].all()
    assert box[5:31, 54].all()
    assert not painted[:4].any()
    assert not colored(out, browse.KEY_FRAME).any()


def test_masks_of_the_original_size_are_brought_to_the_picture():
    mask = np.zeros((80, 120), np.uint8)
    mask[20:40, 60:100] = 1
    out = browse.draw_frame(np.zeros((40, 60, 3), np.uint8), frame(mask, (60.0, 20.0, 99.0, 39.0)), is_key=False)
    rows, columns = np.nonzero(out.any(axis=-1))
    expected = [10, 30, 20, 50]
    np.testing.assert_allclose([rows.min(), columns.min(), rows.max(), columns.max()], expected, atol=1)  # outlines


def test_unknown_and_absent_objects_leave_the_picture_alone_and_key_frames_have_a_border():
    picture = np.full((40, 60, 3), 7, np.uint8)
    absent = DetDataSample()
    absent.gt_instances = InstanceData(masks=BitmapMasks(np.zeros((0, 40, 60), np.uint8), 40, 60))
    for sample in (DetDataSample(), absent):
        np.testing.assert_array_equal(browse.draw_frame(picture, sample, is_key=False), picture)
    out = browse.draw_frame(picture, DetDataSample(), is_key=True)
    assert colored(out, browse.KEY_FRAME)[:, 0].all()
    assert (out[5:35, 5:55] == 7).all()


def sheet_of(monkeypatch, keys=None, frames: int = 12, max_frames: int = 4) -> dict:
    batch = demo_rvos_inputs(num_frames=frames)
    packed = dict(inputs=batch['inputs'][0], data_samples=batch['data_samples'][0])
    packed['data_samples'].set_metainfo(dict(kind='attr', **({} if keys is None else dict(key_frames_inds=keys))))
    for t, sample in enumerate(packed['data_samples']):
        sample.set_metainfo(dict(frame_id=10 * t))
    made = {}
    monkeypatch.setattr(
        browse, 'contact_sheet', lambda rows, ids, **kwargs: made.update(row=rows[0], ids=ids, **kwargs)
    )
    browse.draw_clip(packed, max_frames)
    return dict(made, packed=packed)


def test_a_sheet_names_sentence_ids_and_frames(monkeypatch):
    made = sheet_of(monkeypatch)
    assert made['row']['title'] == 'the red circle'
    assert made['title'] == 'demo0 / 0 (attr)'
    assert made['ids'] == [0, 40, 70, 110]
    assert made['row']['note'] == '12 frames 96x64'
    # OpenCV's BGR has become RGB; the mask lies in the middle rows only.
    first = made['packed']['inputs'][0].numpy()[::-1].transpose(1, 2, 0)
    np.testing.assert_array_equal(made['row']['images'][0][:15], first[:15])
    assert (made['row']['images'][0] != first).any()


def test_the_annotated_frame_is_always_drawn(monkeypatch):
    made = sheet_of(monkeypatch, keys=[5])
    assert made['ids'] == [40, 50, 70, 110]
    bordered = [colored(image, browse.KEY_FRAME)[0].all() for image in made['row']['images']]
    assert bordered == [False, True, False, False]
    assert sheet_of(monkeypatch, keys=[5], max_frames=1)['ids'] == [50]


@pytest.mark.parametrize('phase', ['train', 'val', 'test'])
def test_pictures_of_every_phase(data, tmp_path, phase):
    config = SYNTH
    options = [f'{phase}_dataloader.dataset.data_root={data}']
    if phase == 'train':  # one data set, where r18_synth has five
        config = PRETRAIN
        options.append('train_dataloader.dataset.pipeline.0.num_frames=5')
    if phase == 'test':
        options = [f'test_dataloader.dataset.datasets.{part}.data_root={data}' for part in (0, 1)]
    argv = [config, '--output-dir', str(tmp_path / 'out'), '--not-show', '--phase', phase, '--show-number', '3']
    paths = browse.main([*argv, '--cfg-options', *options])
    assert [path.name for path in paths] == ['00000.png', '00001.png', '00002.png']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [path.name for path in paths]
    columns = dict(train=5, val=8, test=8)[phase]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size[0] == columns * 246 + 6
    pictures = [path.read_bytes() for path in paths]
    assert len(set(pictures)) == 3
    if phase == 'train':
        with pytest.raises(SystemExit, match=r'00000\.png exists'):
            browse.main([*argv, '--cfg-options', *options])
        browse.main([*argv, '--overwrite', '--cfg-options', *options])
        assert [path.read_bytes() for path in paths] == pictures  # the seed repeats the augmentation


def test_a_window_shows_them(data, monkeypatch):
    shown = []
    monkeypatch.setattr(
        browse.Visualizer, 'show', lambda self, sheet, win_name, wait_time: shown.append((win_name, wait_time))
    )
    options = ['--cfg-options', f'val_dataloader.dataset.data_root={data}']
    argv = [SYNTH, '--phase', 'val', '--show-number', '2', '--show-interval', '0.5']
    assert browse.main([*argv, *options]) == []
    assert [wait for _, wait in shown] == [0.5, 0.5]
    assert shown[0][0] == 'valid_00000'


def test_what_cannot_be_drawn(tmp_path):
    with pytest.raises(SystemExit):
        browse.main([SYNTH, '--not-show'])
    with pytest.raises(SystemExit, match=r'none\.py does not exist'):
        browse.main(['none.py'])
    with pytest.raises(SystemExit, match=r'no data to val.*train, test'):
        browse.main([SYNTH, '--phase', 'val', '--cfg-options', 'val_dataloader=None'])
    options = ['--cfg-options', f'train_dataloader.dataset.data_root={tmp_path}']
    with pytest.raises(MissingFileError, match='train/JPEGImages is missing'):
        browse.main([PRETRAIN, '--output-dir', str(tmp_path / 'out'), '--not-show', *options])
    assert not (tmp_path / 'out').exists()
