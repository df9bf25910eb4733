"""Merging and the unsupervised task against hand-worked cases and a literal version of the official steps."""

import itertools

import numpy as np
import pytest

from ifirvos.evaluation.functional import contour_accuracy, region_similarity
from ifirvos.evaluation.functional.davis17 import VOID, evaluate_unsupervised, merge_objects

HEIGHT, WIDTH = 24, 40


def label_map(*objects, num_frames=2):
    """A clip in which object 1, 2, … covers the given columns of every row but the last two; None covers none."""
    labels = np.zeros((num_frames, HEIGHT, WIDTH), np.uint8)
    for label, part in enumerate(objects, 1):
        if part:
            labels[:, :-2, slice(*part)] = label
    return labels


class TestMerge:
    def test_by_hand(self):
        """Six pixels: nobody, below the threshold, at it, second is surer, first is surer, both equally sure."""
        first = np.array([[0.0, 0.49, 0.5, 0.6, 0.9, 0.7]], np.float32)
        second = np.array([[0.1, 0.3, 0.0, 0.8, 0.6, 0.7]], np.float32)
        assert merge_objects([first, second], (1, 6)).tolist() == [[0, 0, 1, 2, 1, 1]]

    def test_equals_argmax_over_background_and_objects(self):
        rng = np.random.default_rng(0)
        probabilities = rng.random((5, 3, 7, 9)).astype(np.float32).round(1)  # rounded: ties
        dense = np.where(probabilities < 0.5, 0, probabilities)
        dense = np.concatenate([np.full((1, 3, 7, 9), 0.1), dense])
        np.testing.assert_array_equal(merge_objects(probabilities, (3, 7, 9)), dense.argmax(axis=0))

    def test_background_wins_below_its_probability(self):
        assert merge_objects([np.full((1, 1), 0.6)], (1, 1), background=0.7).tolist() == [[0]]

    def test_no_object(self):
        assert not merge_objects([], (2, 3)).any()

    def test_another_shape(self):
        with pytest.raises(ValueError, match=r'object 2 .*\(2, 2\)'):
            merge_objects([np.zeros((2, 3)), np.zeros((2, 2))], (2, 3))


class TestUnsupervised:
    def test_labels_need_not_agree(self):
        region, contour = evaluate_unsupervised(label_map((0, 10), (20, 30)), label_map((20, 30), (0, 10)))
        assert region.tolist() == contour.tolist() == [[1, 1], [1, 1]]

    def test_half_an_object_and_a_missing_one(self):
        region, contour = evaluate_unsupervised(label_map((0, 10), (20, 30)), label_map((0, 5)))
        assert region.tolist() == [[0.5, 0.5], [0, 0]]
        assert contour[1].tolist() == [0, 0]

    def test_nothing_predicted(self):
        region, contour = evaluate_unsupervised(label_map((0, 10)), label_map())
        assert region.tolist() == contour.tolist() == [[0, 0]]

    def test_proposals_left_over_cost_nothing(self):
        region, contour = evaluate_unsupervised(label_map((0, 10)), label_map((20, 30), (0, 10), (30, 40)))
        assert region.tolist() == contour.tolist() == [[1, 1]]

    def test_one_to_one(self):
        """Both objects fit proposal 1 best; the sum is largest if the second takes the empty one's rest."""
        gt, pred = label_map((0, 10), (10, 20)), label_map((0, 20))
        region, _ = evaluate_unsupervised(gt, pred)
        assert sorted(region.mean(axis=1).tolist()) == [0, 0.5]

    def test_void_counts_neither_way(self):
        gt = label_map((0, 10))
        gt[:, :, 10:14] = VOID
        gt[1] = VOID
        region, contour = evaluate_unsupervised(gt, label_map((0, 14)))
        assert region.tolist() == contour.tolist() == [[1, 1]]

    def test_objects_are_those_of_the_first_frame(self):
        gt = label_map((0, 10), (20, 30))
        gt[0][gt[0] == 2] = 0
        region, _ = evaluate_unsupervised(gt, label_map((0, 10)))
        assert region.shape == (1, 2)
        gt[0, -1, -1] = 2  # one pixel makes it an object, absent or not
        assert evaluate_unsupervised(gt, label_map((0, 10)))[0].shape == (2, 2)

    def test_gap_in_the_labels_is_an_empty_object(self):
        """Official oddity: label 1 of 2 annotated nowhere is found by predicting nothing."""
        region, _ = evaluate_unsupervised(label_map(None, (0, 10)), label_map((0, 10)))
        assert region.tolist() == [[1, 1], [1, 1]]

    def test_first_frame_without_objects(self):
        gt = label_map((0, 10))
        gt[0] = VOID
        assert evaluate_unsupervised(gt, label_map((0, 10)))[0].shape == (0, 2)

    def test_too_many_proposals(self):
        pred = label_map()
        pred[1, 0, 0] = 21
        with pytest.raises(ValueError, match='label 21'):
            evaluate_unsupervised(label_map((0, 10)), pred)
        pred[1, 0, 0] = 20
        evaluate_unsupervised(label_map((0, 10)), pred)

    def test_sizes_that_differ(self):
        with pytest.raises(ValueError, match='same shape'):
            evaluate_unsupervised(label_map(), label_map(num_frames=3))

    @pytest.mark.parametrize('seed', range(4))
    def test_equals_trying_every_assignment(self, seed):
        """Blocks of random labels: all ways to give proposals to objects, the best one by mean J and F."""
        rng = np.random.default_rng(seed)
        gt, pred = (
            np.kron(rng.integers(0, high, (3, 4, 5)), np.ones((1, 6, 8))).astype(np.uint8) for high in (4, 5 - seed)
        )
        gt[:, :3, :5] = VOID
        objects = int(np.where(gt[0] == VOID, 0, gt[0]).max())
        proposals = max(int(pred.max()), objects)
        void = gt == VOID
        measures = np.array(
            [
                [
                    [measure(gt == i, pred == k, void) for measure in (region_similarity, contour_accuracy)]
                    for k in range(1, proposals + 1)
                ]
                for i in range(1, objects + 1)
            ]
        )  # (O, P, 2, T)
        best = max(
            sum(measures[i, k].mean() for i, k in enumerate(choice))
            for choice in itertools.permutations(range(proposals), objects)
        )
        found = np.stack(evaluate_unsupervised(gt, pred), axis=1)
        assert found.mean(axis=(1, 2)).sum() == pytest.approx(best, abs=1e-12)
