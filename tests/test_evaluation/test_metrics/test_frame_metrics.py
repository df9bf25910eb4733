"""A2D's, JHMDB's and RefCOCO's metrics against hand-worked cases, mAP also against pycocotools' own summary."""

import contextlib
import io

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from pycocotools.cocoeval import COCOeval
from scoring import evaluate

from ifirvos.evaluation.functional.coco_map import average_precision
from ifirvos.run_lengths import encode_mask

SIDE = 10


def first(pixels):
    """A mask of the first so many pixels of 100, row by row: the IoU of 100 and n of them is n %."""
    return (np.arange(SIDE * SIDE) < pixels).reshape(SIDE, SIDE)


def last(pixels):
    return first(pixels)[::-1, ::-1].copy()


def make_sample(exp_id, gt, candidates, boxes=None, around=0, **meta):
    """A sample whose annotated frame has the mask ``gt`` (None: no instance) and the candidates (score, mask)."""
    frames = []
    for index in range(2 * around + 1):
        frame = DetDataSample(metainfo=dict(img_path='v/clip.mp4', frame_id=20 + index))
        masks = np.zeros((0, SIDE, SIDE), np.uint8)
        if index == around:
            masks = masks if gt is None else gt[None].astype(np.uint8)
            scores = torch.tensor([score for score, _ in candidates], dtype=torch.float64)
            stacked = torch.from_numpy(np.stack([mask for _, mask in candidates]))
            frame.pred_candidates = InstanceData(masks=stacked, scores=scores)
            best = int(scores.argmax())
            frame.pred_track_instances = InstanceData(masks=stacked[best][None], scores=scores[best][None])
        frame.gt_instances = InstanceData(masks=BitmapMasks(masks, SIDE, SIDE))
        if boxes:
            frame.gt_instances.bboxes = torch.tensor(boxes[0]).reshape(-1, 4)
            frame.pred_track_instances.bboxes = torch.tensor(boxes[1]).reshape(-1, 4)
        frames.append(frame)
    meta = dict(video_id='v', exp_id=exp_id, text=f'sentence {exp_id}', key_frames_inds=[around]) | meta
    sample = TrackDataSample(metainfo=meta)
    sample.video_data_samples = frames
    return sample


class TestAveragePrecision:
    def test_one_object_counts_the_thresholds_it_passes(self):
        assert average_precision([encode_mask(first(100))], [[(0.3, encode_mask(first(78)))]]) == pytest.approx(0.6)

    def test_two_readings_by_hand(self):
        """Sample 1 is right with 0.9; sample 2 is wrong with 0.95 and right with 0.5."""
        right, wrong = encode_mask(first(50)), encode_mask(last(50))
        gts, chosen = [right, right], [[(0.9, right)], [(0.95, wrong)]]
        # Best only: wrong, then right: recall 0.5 at precision 1/2, on 51 of 101 recall points.
        assert average_precision(gts, chosen) == pytest.approx(0.5 * 51 / 101)
        # All: the third is right: recall 1 at precision 2/3, and 2/3 below by the envelope.
        assert average_precision(gts, [chosen[0], [*chosen[1], (0.5, right)]]) == pytest.approx(2 / 3)

    def test_nothing_predicted(self):
        assert average_precision([encode_mask(first(50))], [[]]) == 0

    def test_no_sample(self):
        with pytest.raises(ValueError, match='at least one'):
            average_precision([], [])

    def test_equals_the_first_figure_of_pycocotools(self, monkeypatch):
        """The mean taken here against ``summarize`` of the same evaluation, on random masks."""
        evaluations = []
        accumulate = COCOeval.accumulate
        monkeypatch.setattr(COCOeval, 'accumulate', lambda self: (accumulate(self), evaluations.append(self)))
        rng = np.random.default_rng(0)
        gts = [encode_mask(first(rng.integers(20, 100))) for _ in range(20)]
        preds = [[(float(rng.random()), encode_mask(first(rng.integers(10, 100)))) for _ in range(5)] for _ in gts]
        value = average_precision(gts, preds)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluations[0].summarize()
        assert value == pytest.approx(evaluations[0].stats[0], abs=1e-12)
        assert evaluations[0].params.useCats == 0
        assert 0.05 < value < 0.95


class TestA2D:
    def test_by_hand(self):
        """IoU 1, 0.5 (of two equal scores the last), 0; unions 100, 100, 80."""
        samples = [
            make_sample('0', first(100), [(0.9, first(100)), (0.1, first(10))]),
            make_sample('1', first(100), [(0.8, first(100)), (0.8, first(50))]),
            make_sample('2', first(40), [(0.7, last(40))]),
        ]
        metrics = evaluate('A2DMetric', samples)
        assert metrics['a2d/P@0.5'] == pytest.approx(100 / 3)  # 0.5 is not above 0.5
        assert metrics['a2d/P@0.9'] == pytest.approx(100 / 3)
        assert metrics['a2d/oIoU'] == pytest.approx(100 * 150 / 280)
        assert metrics['a2d/mIoU'] == pytest.approx(50)
        assert metrics['a2d/n'] == 3
        # All: 0.9 right; then 0.8 right and 0.8 half, in pycocotools' order of images: recall 2/3 at precision 1.
        assert metrics['a2d/mAP'] == pytest.approx(100 * 67 / 101)
        # Best: the half mask is right at threshold 0.5 only.
        assert metrics['a2d/mAP_best'] == pytest.approx(100 * (67 / 101 + 9 * 34 / 101) / 10)

    def test_only_the_annotated_frame_counts_and_is_named_by_its_number(self, tmp_path):
        sample = make_sample('0', first(100), [(0.9, first(100))], around=2)
        assert evaluate('A2DMetric', [sample], out_dir=str(tmp_path))['a2d/n'] == 1
        assert 'v,0,00022,' in (tmp_path / 'a2d_expressions.csv').read_text(encoding='utf-8')

    def test_frames_of_one_sentence_are_different_samples(self):
        samples = [make_sample('0', first(100), [(1, first(100))], around=around) for around in (0, 1, 1)]
        assert evaluate('A2DMetric', samples, size=2)['a2d/n'] == 2

    def test_groups(self):
        samples = [make_sample(str(n), first(100), [(1, first(n))], kind=kind) for n, kind in ((100, 'a'), (20, 'b'))]
        metrics = evaluate('A2DMetric', samples, group_by='kind')
        assert [metrics['a2d/a/mIoU'], metrics['a2d/b/mIoU'], metrics['a2d/a/mAP']] == pytest.approx([100, 20, 100])

    def test_object_absent_and_nothing_predicted(self):
        metrics = evaluate('A2DMetric', [make_sample('0', None, [(0.5, first(0))])])
        assert metrics['a2d/mIoU'] == metrics['a2d/oIoU'] == 100

    def test_without_candidates(self):
        sample = make_sample('0', first(100), [(0.9, first(60))])
        del sample[0].pred_candidates
        with pytest.raises(KeyError, match='test_cfg.candidates=True'):
            evaluate('A2DMetric', [sample])
        metrics = evaluate('A2DMetric', [sample], all_queries=False, prefix='jhmdb')
        assert metrics['jhmdb/mIoU'] == pytest.approx(60)
        assert 'jhmdb/mAP' not in metrics
        assert 'jhmdb/mAP_best' in metrics

    def test_sizes_that_differ(self):
        sample = make_sample('0', first(100), [(0.9, np.ones((5, 5), bool))])
        with pytest.raises(ValueError, match=r'\(10, 10\).*\(5, 5\)'):
            evaluate('A2DMetric', [sample])

    def test_nothing_annotated(self):
        sample = make_sample('0', first(100), [(0.9, first(100))])
        del sample.key_frames_inds
        assert evaluate('A2DMetric', [sample])['a2d/n'] == 1  # the frame that has an annotation
        absent = make_sample('1', None, [(0.9, first(100))])
        del absent.key_frames_inds
        assert evaluate('A2DMetric', [sample, absent])['a2d/n'] == 2  # an annotation without instances is one
        sample[0].gt_instances = InstanceData()
        with pytest.raises(KeyError, match='no annotation'):
            evaluate('A2DMetric', [sample])


class TestRefCOCO:
    def test_by_hand(self):
        """Box IoU 0.6 (generalised the same), 0.525 (0.483 generalised), 0.43; mask IoU 0.6, 1, 0.2."""
        gt_box = [0.0, 0.0, 10.0, 10.0]
        cases = (([0.0, 0.0, 10.0, 6.0], 60), ([1.7, 1.7, 11.7, 11.7], 100), ([4.0, 0.0, 14.0, 10.0], 20))
        samples = [
            make_sample(str(index), first(100), [(0.9, first(pixels))], boxes=(gt_box, box))
            for index, (box, pixels) in enumerate(cases)
        ]
        metrics = evaluate('RefCOCOMetric', samples)
        assert metrics['refcoco/box_P@0.5'] == pytest.approx(200 / 3)
        assert metrics['refcoco/box_P@0.5_giou'] == pytest.approx(100 / 3)
        assert metrics['refcoco/P@0.5'] == pytest.approx(200 / 3)
        assert metrics['refcoco/oIoU'] == pytest.approx(60)
        assert metrics['refcoco/mIoU'] == pytest.approx(60)

    def test_exactly_half_is_not_above(self):
        sample = make_sample('0', first(100), [(1, first(50))], boxes=([0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]))
        metrics = evaluate('RefCOCOMetric', [sample])
        assert metrics['refcoco/box_P@0.5'] == metrics['refcoco/P@0.5'] == 0
        assert metrics['refcoco/box_P@0.5_giou'] == 100

    def test_no_object(self):
        """Without annotated object the box is right if the mask is empty."""
        samples = [
            make_sample(str(pixels), None, [(1, first(pixels))], boxes=([], [0.0, 0.0, 1.0, 1.0])) for pixels in (0, 9)
        ]
        assert evaluate('RefCOCOMetric', samples)['refcoco/box_P@0.5'] == 50

    def test_box_missing_is_named(self):
        sample = make_sample('0', first(100), [(1, first(50))], boxes=([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]))
        del sample[0].pred_track_instances.bboxes
        with pytest.raises(KeyError, match='pred_track_instances.bboxes'):
            evaluate('RefCOCOMetric', [sample])
