"""Pairs of expressions: another object, the same frames under the same augmentation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from rvos_tree import edit_expressions, write_tree

from ifirvos.datasets import PairedExpressions, pair_collate

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/synth_rvos.py'


def same_kind(videos: dict) -> None:
    for video in videos.values():
        for expression in video['expressions'].values():
            expression['kind'] = 'motion'


@pytest.fixture
def paired(tmp_path) -> PairedExpressions:
    """Expressions 0 and 1 of video 'aa', each about an object of its own; 'bb' has the same and one frame."""
    edit_expressions(write_tree(tmp_path, 'train'), same_kind)
    train = Config.fromfile(CONFIG).train_dataset
    return PairedExpressions(dict(train, data_root=str(tmp_path)))


def test_the_partner_is_about_another_object_of_the_same_video(paired):
    expressions = paired.dataset.expressions
    assert len(paired) == 4
    for index, expression in enumerate(expressions):
        (partner,) = paired.partners(index)
        assert expressions[partner]['video_id'] == expression['video_id']
        assert expressions[partner]['obj_id'] != expression['obj_id']


def test_indices_choose_records_whose_partners_are_among_them(tmp_path):
    edit_expressions(write_tree(tmp_path, 'train'), same_kind)
    train = Config.fromfile(CONFIG).train_dataset
    paired = PairedExpressions(dict(train, data_root=str(tmp_path), indices=[1, 2, 3]))
    assert [paired.partners(index) for index in range(len(paired))] == [[], [2], [1]]


def test_a_kind_of_its_own_has_no_partner(tmp_path):
    """The tree's two expressions are of different kinds: such a record is its own partner."""
    train = Config.fromfile(CONFIG).train_dataset
    paired = PairedExpressions(dict(train, data_root=str(write_tree(tmp_path, 'train'))))
    assert paired.partners(0) == []
    first, second = paired[0]
    assert first['data_samples'].text == second['data_samples'].text


def test_headers_and_label_maps_are_read_once_for_both(paired, monkeypatch):
    """By Pillow: frames to see their size, label maps. Pixels of frames are read by OpenCV, for each."""
    opened = []
    open_picture = Image.open
    monkeypatch.setattr(Image, 'open', lambda path, *args: opened.append(str(path)) or open_picture(path, *args))
    paired[0]
    assert len(opened) == len(set(opened))
    assert {Path(path).suffix for path in opened} == {'.jpg', '.png'}
    paired[0]  # but not for the next pair: a file may have changed
    assert len(opened) > len(set(opened))


def test_both_see_the_same_pixels_and_ask_for_different_objects(paired):
    np.random.seed(3)
    flips = set()
    for _ in range(8):
        first, second = paired[0]
        assert torch.equal(first['inputs'], second['inputs'])
        one, other = first['data_samples'], second['data_samples']
        assert one.exp_id != other.exp_id
        assert [frame.frame_id for frame in one] == [frame.frame_id for frame in other]
        last = [sample[-1].gt_instances.masks.masks[0] for sample in (one, other)]
        assert not (last[0] & last[1]).any()
        flips.add(one[0].flip)
    assert flips == {True, False}


def test_a_batch_of_pairs_holds_twice_as_many_clips_and_the_frames_of_each_pair_once(paired):
    pairs = [paired[0], paired[1]]
    batch = pair_collate(pairs)
    assert [sample.exp_id for sample in batch['data_samples']] == ['0', '1', '1', '0']
    assert len(batch['inputs']) == 2
    assert [sample.inputs_index for sample in batch['data_samples']] == [0, 0, 1, 1]
    for pair, frames in zip(pairs, batch['inputs'], strict=True):
        assert all(torch.equal(clip['inputs'], frames) for clip in pair)


def test_a_pair_that_shows_different_frames_keeps_both(paired):
    """As when one of its clips was drawn anew because nothing of its object was visible."""
    first, second = paired[0]
    second['inputs'] = second['inputs'] + 1
    batch = pair_collate([[first, second], paired[1]])
    assert len(batch['inputs']) == 3
    assert [sample.inputs_index for sample in batch['data_samples']] == [0, 1, 2, 2]
    assert torch.equal(batch['inputs'][1], second['inputs'])


def test_the_partner_of_a_sentence_that_fits_nothing_fits_something_there(tmp_path):
    def absent_too(videos: dict) -> None:
        for video in videos.values():
            video['expressions']['9'] = dict(exp='the pink cross', obj_id='0', kind='absent')

    edit_expressions(write_tree(tmp_path, 'train'), absent_too)
    train = Config.fromfile(CONFIG).train_dataset
    paired = PairedExpressions(dict(train, data_root=str(tmp_path)))
    expressions = paired.dataset.expressions
    absent = next(index for index, expression in enumerate(expressions) if expression['kind'] == 'absent')
    partners = paired.partners(absent)
    assert {expressions[partner]['kind'] for partner in partners} == {'spatial', 'attr'}
    assert {expressions[partner]['video_id'] for partner in partners} == {expressions[absent]['video_id']}
    first, second = paired[absent]
    assert sum(len(frame.gt_instances) for frame in first['data_samples']) == 0
    assert sum(len(frame.gt_instances) for frame in second['data_samples']) > 0
