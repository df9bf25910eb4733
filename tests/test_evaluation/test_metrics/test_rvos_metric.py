"""The metric on data samples as pipeline and model leave them, alone and in two processes."""

import csv
import json
import os
from functools import partial

import numpy as np
import pytest
import scoring
import torch
import torch.multiprocessing as mp
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData

from ifirvos.evaluation.functional import contour_accuracy, region_similarity
from ifirvos.registry import METRICS

HEIGHT, WIDTH = 24, 40
LEFT, HALF, NOTHING = (
    slice(0, 20),
    slice(0, 10),
    slice(0, 0),
)  # columns that a mask covers, on every row but the last two


def columns(part):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:-2, part] = True
    return mask


def make_sample(exp_id, frames, video_id='v', **meta):
    """A clip whose frames are pairs (annotated columns, predicted columns); None is a frame without an instance."""
    packed = []
    for frame_id, (gt, pred) in enumerate(frames):
        frame = DetDataSample(metainfo=dict(img_path=f'{video_id}/{frame_id:05d}.jpg', frame_id=frame_id))
        gt_masks = np.stack([columns(gt)]) if gt else np.zeros((0, HEIGHT, WIDTH), np.uint8)
        frame.gt_instances = InstanceData(masks=BitmapMasks(gt_masks.astype(np.uint8), HEIGHT, WIDTH))
        pred_masks = np.stack([columns(pred)]) if pred else np.zeros((0, HEIGHT, WIDTH), bool)
        frame.pred_track_instances = InstanceData(masks=torch.from_numpy(pred_masks))
        packed.append(frame)
    meta = dict(text=f'sentence {exp_id}', kind='attr') | meta
    sample = TrackDataSample(metainfo=dict(video_id=video_id, exp_id=exp_id, ori_video_length=len(frames), **meta))
    sample.video_data_samples = packed
    return sample


evaluate = partial(scoring.evaluate, 'RVOSMetric')


def test_means_over_frames_then_expressions():
    long = make_sample('a', [(LEFT, LEFT)] * 7 + [(LEFT, HALF)])
    short = make_sample('b', [(LEFT, HALF)])
    half_f = contour_accuracy(columns(LEFT)[None], columns(HALF)[None])[0]
    metrics = evaluate([long, short], bootstrap=0)
    assert metrics['rvos/J'] == pytest.approx(100 * (7.5 / 8 + 0.5) / 2)
    assert metrics['rvos/F'] == pytest.approx(100 * ((7 + half_f) / 8 + half_f) / 2)
    assert metrics['rvos/J&F'] == pytest.approx((metrics['rvos/J'] + metrics['rvos/F']) / 2)
    assert metrics['rvos/S'] == 50  # J of exactly 0.5 is not above it
    assert metrics['rvos/n'] == 2
    statistics = {'rvos/J_recall', 'rvos/J_decay', 'rvos/F_recall', 'rvos/F_decay'}
    assert set(metrics) == {'rvos/J&F', 'rvos/J', 'rvos/F', 'rvos/S', 'rvos/n'} | statistics  # no groups unless asked


def test_sentences_without_object_are_counted_apart(tmp_path):
    """MeViS's N-acc. and T-acc., over whole videos; only where there are such sentences."""
    samples = [
        make_sample('seen', [(LEFT, None), (LEFT, HALF)], kind='motion'),
        make_sample('missed', [(LEFT, None), (None, None)], kind='motion'),
        make_sample('refused', [(None, None), (None, NOTHING)], kind='absent'),
        make_sample('mistaken', [(None, None), (None, HALF)], kind='absent'),
        make_sample('wrong', [(None, HALF)], kind='absent'),
    ]
    metrics = evaluate(samples, group_by='kind', out_dir=str(tmp_path))
    header, *rows = (tmp_path / 'rvos_metric.csv').read_text().splitlines()
    assert header == 'group,J&F [%],J [%],F [%],S [%],N_acc [%],T_acc [%],n'
    assert [row.split(',')[5:] for row in rows if row.startswith('motion')] == [['', '', '2']]
    assert metrics['rvos/N_acc'] == metrics['rvos/absent/N_acc'] == pytest.approx(100 / 3)
    assert metrics['rvos/T_acc'] == 50
    assert 'rvos/absent/T_acc' not in metrics
    assert not {'rvos/motion/N_acc', 'rvos/motion/T_acc'} & metrics.keys()
    left_out = evaluate(samples, group_by='kind', leave_out=['absent'])
    assert not {'rvos/N_acc', 'rvos/T_acc'} & left_out.keys()


def test_recall_and_decay_are_means_over_expressions():
    fading = make_sample('a', [(LEFT, LEFT)] * 6 + [(LEFT, HALF), (LEFT, NOTHING)])
    steady = make_sample('b', [(LEFT, LEFT)] * 8)
    metrics = evaluate([fading, steady])
    assert metrics['rvos/J_recall'] == pytest.approx(100 * (6 / 8 + 1) / 2)
    # Quarters of 8 frames, neighbours share one: the first is frames 0 to 2, the last 5 to 7.
    assert metrics['rvos/J_decay'] == pytest.approx(100 * ((1 - (1 + 0.5 + 0) / 3) + 0) / 2)


def test_groups_by_any_metainfo_key():
    samples = [
        make_sample('0', [(LEFT, LEFT)], kind='motion', weather='rain'),
        make_sample('1', [(LEFT, HALF)], kind='motion', weather='sun'),
        make_sample('2', [(LEFT, NOTHING)], kind='', weather='sun'),
    ]
    metrics = evaluate(samples, group_by='kind')
    assert metrics['rvos/motion/J'] == 75
    assert metrics['rvos/motion/S'] == 50
    assert metrics['rvos/motion/n'] == 2
    assert metrics['rvos/(none)/J&F'] == 0
    metrics = evaluate(samples, group_by='weather')
    assert [metrics['rvos/rain/J'], metrics['rvos/sun/J']] == [100, 25]


def test_frames_without_the_object():
    """Right to predict nothing, wrong to predict something; an empty mask is as good as no instance."""
    metrics = evaluate([make_sample('a', [(None, None), (None, NOTHING), (None, LEFT), (LEFT, None)])])
    assert metrics['rvos/J'] == metrics['rvos/F'] == 50


def test_several_instances_are_one_mask():
    sample = make_sample('a', [(LEFT, LEFT)])
    halves = np.stack([columns(slice(0, 10)), columns(slice(10, 20))])
    sample[0].gt_instances = InstanceData(masks=BitmapMasks(halves.astype(np.uint8), HEIGHT, WIDTH))
    assert evaluate([sample])['rvos/J&F'] == 100


def test_long_video_equals_the_measures_of_all_its_frames():
    """Masks are compared a number of frames at a time."""
    rng = np.random.default_rng(0)
    spans = [(slice(0, int(a)), slice(0, int(b))) for a, b in rng.integers(0, WIDTH, (75, 2))]
    gt, pred = (np.stack([columns(pair[side]) for pair in spans]) for side in (0, 1))
    metrics = evaluate([make_sample('a', spans)])
    assert metrics['rvos/J'] == pytest.approx(100 * region_similarity(gt, pred).mean(), abs=1e-9)
    assert metrics['rvos/F'] == pytest.approx(100 * contour_accuracy(gt, pred).mean(), abs=1e-9)


def test_interval_is_over_videos_and_holds_the_mean():
    samples = [
        make_sample(str(index), [(LEFT, LEFT if index % 3 else NOTHING)], video_id=str(index)) for index in range(30)
    ]
    metrics = evaluate(samples)
    assert 0 < metrics['rvos/J&F_low'] < metrics['rvos/J&F'] < metrics['rvos/J&F_high'] < 100
    assert evaluate(samples) == metrics
    one_video = evaluate([make_sample('0', [(LEFT, LEFT)]), make_sample('1', [(LEFT, NOTHING)])])
    assert one_video['rvos/J&F_low'] == one_video['rvos/J&F_high'] == 50


def test_repeated_samples_count_once():
    first, second = make_sample('a', [(LEFT, LEFT)]), make_sample('b', [(LEFT, NOTHING)])
    same_id_elsewhere = make_sample('a', [(LEFT, NOTHING)], video_id='w')
    metrics = evaluate([first, second, same_id_elsewhere, first], size=3)
    assert metrics['rvos/n'] == 3
    assert metrics['rvos/J'] == pytest.approx(100 / 3)


class TestErrors:
    def test_frame_without_annotation_is_named(self):
        sample = make_sample('a', [(LEFT, LEFT)] * 2)
        sample[1].gt_instances = InstanceData()
        with pytest.raises(KeyError, match='v/00001.jpg has no annotation'):
            evaluate([sample])

    def test_frame_without_prediction_is_named(self):
        sample = make_sample('a', [(LEFT, LEFT)] * 2)
        del sample[0].pred_track_instances
        with pytest.raises(KeyError, match='v/00000.jpg has no prediction'):
            evaluate([sample])

    def test_sizes_that_differ(self):
        sample = make_sample('a', [(LEFT, LEFT)])
        sample[0].pred_track_instances = InstanceData(masks=torch.zeros(1, HEIGHT, WIDTH // 2, dtype=torch.bool))
        with pytest.raises(ValueError, match=r'v/00000.jpg: .*\(24, 40\).*\(24, 20\)'):
            evaluate([sample])

    def test_missing_group_key_is_named(self):
        with pytest.raises(KeyError, match="no metainfo 'colour'"):
            evaluate([make_sample('a', [(LEFT, LEFT)])], group_by='colour')


class TestFiles:
    def test_json_and_csv(self, tmp_path):
        samples = [
            make_sample('0', [(LEFT, LEFT)], kind='attr', text='la façade, "gauche"\n左', obj_id=7),
            make_sample('1', [(LEFT, HALF)] * 2, kind='motion', obj_id=7),
        ]
        metrics = evaluate(samples, group_by='kind', out_dir=str(tmp_path / 'new'))
        details = ['rvos_expressions.csv', 'rvos_frames.csv', 'rvos_objects.csv', 'rvos_videos.csv']
        assert sorted(os.listdir(tmp_path / 'new')) == sorted([*details, 'rvos_metric.csv', 'rvos_metric.json'])

        report = json.loads((tmp_path / 'new/rvos_metric.json').read_text(encoding='utf-8'))
        assert (report['unit'], report['group_by']) == ('percent', 'kind')
        assert report['overall']['J&F'] == metrics['rvos/J&F']
        assert report['groups']['motion']['J'] == 50

        with open(tmp_path / 'new/rvos_metric.csv', encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        assert [row['group'] for row in rows] == ['attr', 'motion', 'all']
        assert [float(row['J [%]']) for row in rows] == [100, 50, 75]

        with open(tmp_path / 'new/rvos_expressions.csv', encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        assert [row['text'] for row in rows] == ['la façade, "gauche"\n左', 'sentence 1']
        assert [(row['exp_id'], row['frames'], float(row['J [%]'])) for row in rows] == [
            ('0', '1', 100),
            ('1', '2', 50),
        ]

        with open(tmp_path / 'new/rvos_frames.csv', encoding='utf-8', newline='') as file:
            rows = [(row['exp_id'], row['frame'], float(row['J [%]'])) for row in csv.DictReader(file)]
        assert rows == [('0', '00000', 100), ('1', '00000', 50), ('1', '00001', 50)]
        with open(tmp_path / 'new/rvos_objects.csv', encoding='utf-8', newline='') as file:
            rows = [(row['video_id'], row['obj_id'], row['J [%]']) for row in csv.DictReader(file)]
        assert rows == [('v', '7', '75.0')]

    def test_beside_the_log_by_default_with_the_table_in_it(self, tmp_path, monkeypatch):
        logger = MMLogger('rvos_metric_test', log_file=str(tmp_path / 'run.log'))
        monkeypatch.setattr(MMLogger, 'get_current_instance', classmethod(lambda cls: logger))
        evaluate([make_sample('0', [(LEFT, LEFT)]), make_sample('1', [(LEFT, HALF)])], group_by='kind')
        assert (tmp_path / 'rvos_metric.json').is_file()
        log = (tmp_path / 'run.log').read_text()
        assert 'in percent' in log
        table = [line.split() for line in log.splitlines()]
        assert ['kind', 'J&F', 'J', 'F', 'S', 'n'] in table
        assert [row[2] for row in table if row[:1] in (['attr'], ['all'])] == ['75.00', '75.00']

    def test_no_files_without_a_place(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        evaluate([make_sample('0', [(LEFT, LEFT)])])
        assert os.listdir(tmp_path) == []


def evaluate_share(rank, folder):
    """One of two processes: samples 0, 2 and 0, 1 of three; a sampler repeats one so that both have as many."""
    torch.distributed.init_process_group('gloo', f'file://{folder}/meet', rank=rank, world_size=2)
    os.chdir(folder)  # results are collected in a folder made here
    samples = [make_sample(str(index), [(LEFT, LEFT if index else NOTHING)]) for index in range(3)]
    evaluator = Evaluator(METRICS.build(dict(type='RVOSMetric')))
    # Collected as 0, 0, 2, 1: cutting to the size of the data set would count sample 0 twice and lose sample 1.
    evaluator.process([samples[index] for index in ((0, 2), (0, 1))[rank]])
    metrics = evaluator.evaluate(3)
    with open(f'{rank}.json', 'w') as file:
        json.dump(metrics, file)
    torch.distributed.destroy_process_group()


def test_two_processes_count_every_sample_once(tmp_path):
    # Forked, because a new interpreter would spend seconds on imports.
    mp.start_processes(evaluate_share, args=(str(tmp_path),), nprocs=2, start_method='fork')
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1))
    assert first == second
    assert first['rvos/n'] == 3
    assert first['rvos/J'] == pytest.approx(200 / 3)


def test_expressions_without_annotation_can_be_skipped():
    known, secret = make_sample('a', [(LEFT, LEFT)]), make_sample('b', [(LEFT, LEFT)])
    del secret.video_data_samples[0].gt_instances
    with pytest.raises(KeyError, match='no annotation'):
        evaluate([secret])
    assert evaluate([secret], unannotated='skip') == {}
    assert evaluate([known, secret], unannotated='skip')['rvos/n'] == 1
    with pytest.raises(ValueError, match='unannotated'):
        evaluate([known], unannotated='ignore')
