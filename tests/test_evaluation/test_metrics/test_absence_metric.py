"""Absent against present on data samples as pipeline and model leave them."""

import csv
from functools import partial

import numpy as np
import pytest
import scoring
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from ifirvos.errors import InputError
from ifirvos.registry import METRICS


def sample(exp_id, scores, shown=True, kind='attr', annotated=True):
    """A clip with a score for every frame; `shown` says in which frames (or in all, or none) the object is."""
    shown = [shown] * len(scores) if isinstance(shown, bool) else shown
    clip = TrackDataSample(metainfo=dict(video_id=f'v{exp_id}', exp_id=exp_id, text=f'words {exp_id}', kind=kind))
    frames = []
    for score, there in zip(scores, shown, strict=True):
        frame = DetDataSample(metainfo=dict(img_path='v/00000.jpg'))
        if annotated:
            masks = np.ones((int(there), 4, 6), np.uint8)
            frame.gt_instances = InstanceData(masks=BitmapMasks(masks, 4, 6))
        frame.pred_track_instances = InstanceData(scores=torch.tensor([score]))
        frames.append(frame)
    clip.video_data_samples = frames
    return clip


evaluate = partial(scoring.evaluate, 'AbsenceMetric', group_by='kind', bootstrap=100)


CLIPS = [
    sample('0', [0.875, 0.625]),
    sample('1', [0.5, 0.5], kind='motion'),
    sample('2', [0.5, 0.25], [True, False], kind='order'),
    sample('3', [0.5, 0.25], False, kind='absent'),  # as much as the order clip
    sample('4', [0.0, 0.25], False, kind='absent'),
]


def test_by_hand(tmp_path):
    got = evaluate(CLIPS, keep=0.6, share=1, out_dir=str(tmp_path))
    assert got['absence/AUC'] == pytest.approx(100 * 5.5 / 6)
    assert got['absence/threshold'] == pytest.approx(50)  # 0.75 and 0.5 of three are kept
    assert got['absence/refused'] == 100
    assert got['absence/kept'] == pytest.approx(200 / 3)
    assert got['absence/frame_AUC'] == 100  # of the one clip that has frames of both sorts
    assert (got['absence/n_present'], got['absence/n_absent']) == (3, 2)
    assert got['absence/order/AUC'] == 75
    assert got['absence/order/kept'] == 0
    assert 'absence/absent/AUC' not in got
    assert got['absence/AUC_low'] <= got['absence/AUC'] <= got['absence/AUC_high']
    rows = list(csv.DictReader((tmp_path / 'absence_expressions.csv').open()))
    assert [(row['exp_id'], row['present']) for row in rows] == [
        ('0', '1'),
        ('1', '1'),
        ('2', '1'),
        ('3', '0'),
        ('4', '0'),
    ]


def test_the_default_keeps_95_percent():
    got = evaluate(CLIPS, share=1)
    assert got['absence/threshold'] == pytest.approx(37.5)
    assert got['absence/refused'] == 50
    assert got['absence/kept'] == 100


def test_only_the_highest_third_of_the_frames_counts():
    """Present in one frame of three, it wins over what is absent with a higher mean."""
    clips = [
        sample('0', [0.125, 0.75, 0.125], [False, True, False]),
        sample('1', [0.5, 0.5, 0.5], False, kind='absent'),
    ]
    got = evaluate(clips)
    assert (got['absence/AUC'], got['absence/threshold'], got['absence/refused']) == (100, 75, 100)
    assert evaluate(clips, share=1)['absence/AUC'] == 0


def test_groups_can_be_left_out():
    got = evaluate(CLIPS, groups=['attr'])
    assert got['absence/AUC'] == 100
    assert (got['absence/n_present'], got['absence/n_absent']) == (1, 2)


@pytest.mark.parametrize('metric', [dict(type='AbsenceMetric', groups=['a']), dict(type='RVOSMetric', leave_out=['a'])])
def test_names_of_groups_without_groups_are_refused(metric):
    with pytest.raises(InputError, match='needs group_by'):
        METRICS.build(metric)


@pytest.mark.parametrize('clips', [CLIPS[:3], CLIPS[3:]])
def test_nothing_is_measured_of_one_sort_alone(clips):
    assert evaluate(clips) == {}


def test_what_nobody_knows_is_left_out():
    hidden = sample('9', [0.9, 0.9], annotated=False)
    assert evaluate([*CLIPS, hidden])['absence/n_present'] == 3


def test_the_interval_knows_how_few_sentences_are_absent():
    """Of two absent sentences, one above all others: by the draw, the AUC is 0, a half or 1."""
    clips = [sample(str(k), [0.5]) for k in range(20)]
    clips += [sample('low', [0.1], False), sample('high', [0.9], False)]
    got = evaluate(clips)
    assert got['absence/AUC'] == 50
    assert (got['absence/AUC_low'], got['absence/AUC_high']) == (0, 100)
