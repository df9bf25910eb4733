"""Ref-DAVIS17's metric on samples as pipeline and model leave them."""

import csv
from functools import partial

import numpy as np
import pytest
import scoring
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from ifirvos.evaluation.functional.davis17 import evaluate_unsupervised, merge_objects
from ifirvos.label_maps import read_palette_png, write_palette_png

HEIGHT, WIDTH, FRAMES = 24, 40, 3


def columns(start, stop):
    mask = np.zeros((FRAMES, HEIGHT, WIDTH), np.float32)
    mask[:, :-2, start:stop] = 1
    return mask


def write_annotation(folder, *objects, void=None):
    """Writes label maps in which object 1, 2, … covers the given masks, and returns their paths."""
    labels = merge_objects(objects, (FRAMES, HEIGHT, WIDTH))
    if void is not None:
        labels[void > 0] = 255
    folder.mkdir()
    paths = [folder / f'{t:05d}.png' for t in range(FRAMES)]
    for path, label in zip(paths, labels, strict=True):
        write_palette_png(path, label)
    return [str(path) for path in paths]


def make_sample(paths, annotator, obj_id, probability, video_id='v', dtype=torch.float32):
    frames = []
    for t, path in enumerate(paths):
        frame = DetDataSample(metainfo=dict(img_path=f'{video_id}/{t:05d}.jpg', frame_id=t, mask_path=path))
        frame.pred_track_instances = InstanceData(mask_probs=torch.from_numpy(probability[t : t + 1]).to(dtype))
        frames.append(frame)
    sample = TrackDataSample(
        metainfo=dict(video_id=video_id, exp_id=str(4 * (obj_id - 1) + annotator), annotator=annotator, obj_id=obj_id)
    )
    sample.video_data_samples = frames
    return sample


evaluate = partial(scoring.evaluate, 'RefDAVISMetric')


@pytest.fixture
def paths(tmp_path):
    """Two objects side by side, and four columns of void beside the second."""
    return write_annotation(tmp_path / 'v', columns(0, 10), columns(10, 20), void=columns(20, 24))


def test_annotators_are_merged_apart_and_averaged(paths):
    """Annotator 0 is right (void may be painted); annotator 1's second sentence finds the first object, less surely."""
    samples = [
        make_sample(paths, 0, 1, 0.9 * columns(0, 10)),
        make_sample(paths, 0, 2, 0.9 * columns(10, 24)),
        make_sample(paths, 1, 1, 0.9 * columns(0, 10)),
        make_sample(paths, 1, 2, 0.8 * columns(0, 10)),
    ]
    metrics = evaluate(samples, bootstrap=0)
    assert [metrics['davis/anno_0/J'], metrics['davis/anno_1/J']] == [100, 50]
    assert metrics['davis/J'] == 75
    assert metrics['davis/anno_1/F'] == 50
    assert metrics['davis/J_recall'] == 75
    assert metrics['davis/J_decay'] == 0
    assert (metrics['davis/n'], metrics['davis/anno_0/n'], metrics['davis/expressions']) == (4, 2, 4)
    assert not any(name.endswith('_low') for name in metrics)


def test_overlap_goes_to_the_surer_and_unsure_pixels_to_nobody(paths):
    """Object 1 claims columns 0 to 19 with 0.6, object 2 its own with 0.7; 0.49 elsewhere is nothing."""
    samples = [
        make_sample(paths, 0, 1, np.maximum(0.6 * columns(0, 20), 0.49)),
        make_sample(paths, 0, 2, np.maximum(0.7 * columns(10, 20), 0.49)),
    ]
    assert evaluate(samples)['davis/J&F'] == 100


def test_means_are_over_objects_not_videos(tmp_path, paths):
    other = write_annotation(tmp_path / 'w', columns(0, 10))
    samples = [
        make_sample(paths, 0, 1, columns(0, 10)),
        make_sample(paths, 0, 2, columns(10, 20)),
        make_sample(other, 0, 1, columns(20, 30), video_id='w'),
    ]
    metrics = evaluate(samples)
    assert metrics['davis/J'] == pytest.approx(200 / 3)
    assert metrics['davis/J&F_low'] == 0  # both draws may be the second video
    assert metrics['davis/J&F_high'] == 100


def test_annotators_count_alike_however_much_each_covers(tmp_path, paths):
    other = write_annotation(tmp_path / 'w', columns(0, 10))
    samples = [
        make_sample(paths, 0, 1, columns(0, 10)),
        make_sample(paths, 0, 2, columns(10, 20)),
        make_sample(other, 1, 1, columns(20, 30), video_id='w'),
    ]
    assert evaluate(samples, bootstrap=0)['davis/J'] == 50


def test_object_without_sentence_counts_as_not_found(paths):
    assert evaluate([make_sample(paths, 0, 1, columns(0, 10))])['davis/J'] == 50


def test_order_and_repetition_change_nothing(paths):
    samples = [make_sample(paths, 0, 2, 0.6 * columns(0, 20)), make_sample(paths, 0, 1, 0.6 * columns(0, 10))]
    first = evaluate(samples)
    again = evaluate([*samples[::-1], samples[0]])
    assert first == again
    assert first['davis/J'] == 100  # equally sure: object 1 comes first


def test_equals_the_functions_on_random_probabilities(tmp_path):
    rng = np.random.default_rng(0)
    paths = write_annotation(tmp_path / 'v', columns(0, 12), columns(14, 30))
    probabilities = np.kron(rng.random((2, FRAMES, 6, 10)), np.ones((1, 1, 4, 4))).astype(np.float32)
    samples = [make_sample(paths, 0, k + 1, probabilities[k]) for k in range(2)]
    metrics = evaluate(samples, masks_dir=str(tmp_path / 'out'))
    labels = merge_objects(probabilities, probabilities.shape[1:])
    gt = np.stack([read_palette_png(path) for path in paths])
    region, contour = evaluate_unsupervised(gt, labels)
    assert metrics['davis/J'] == pytest.approx(100 * region.mean())
    assert metrics['davis/F'] == pytest.approx(100 * contour.mean())
    written = np.stack([read_palette_png(tmp_path / f'out/anno_0/v/{t:05d}.png') for t in range(FRAMES)])
    np.testing.assert_array_equal(written, labels)


def test_half_precision(paths):
    samples = [make_sample(paths, 0, k + 1, columns(10 * k, 10 * k + 10), dtype=torch.float16) for k in range(2)]
    assert evaluate(samples)['davis/J'] == 100


def test_files(tmp_path, paths):
    samples = [make_sample(paths, a, k + 1, columns(10 * k, 10 * k + 10)) for a in range(2) for k in range(2)]
    evaluate(samples, out_dir=str(tmp_path / 'out'))
    with open(tmp_path / 'out/davis_objects.csv', encoding='utf-8', newline='') as file:
        rows = [(row['annotator'], row['video_id'], row['object'], row['J [%]']) for row in csv.DictReader(file)]
    assert rows == [(a, 'v', k, '100.0') for a in '01' for k in '12']
    with open(tmp_path / 'out/davis_metric.csv', encoding='utf-8', newline='') as file:
        assert [row['group'] for row in csv.DictReader(file)] == ['anno_0', 'anno_1', 'all']


class TestErrors:
    def test_probabilities_missing_names_the_key(self, paths):
        sample = make_sample(paths, 0, 1, columns(0, 10))
        sample[1].pred_track_instances = InstanceData(masks=torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool))
        with pytest.raises(KeyError, match=r'v/00001.jpg.*test_cfg.mask_probs=True'):
            evaluate([sample])

    def test_annotator_missing_is_named(self, paths):
        sample = make_sample(paths, 0, 1, columns(0, 10))
        del sample.annotator
        with pytest.raises(KeyError, match="no metainfo 'annotator'"):
            evaluate([sample])

    def test_another_size_names_the_video(self, paths):
        sample = make_sample(paths, 0, 1, columns(0, 10)[:, :, :20])
        with pytest.raises(ValueError, match='video v, annotator 0: expected two label maps'):
            evaluate([sample])
