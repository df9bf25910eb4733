"""The measures against hand-worked cases, and J and F against a literal full-frame version of the official formulas."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ifirvos.evaluation.functional import (
    bitmask,
    bootstrap_interval,
    contour_accuracy,
    mean_iou,
    overall_iou,
    precision_at_k,
    region_similarity,
    sequence_statistics,
)


def disk(radius):
    steps = np.arange(-radius, radius + 1)
    return (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)


def official_boundary(mask):
    east, south, south_east = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    east[:, :-1] = mask[:, 1:]
    south[:-1, :] = mask[1:, :]
    south_east[:-1, :-1] = mask[1:, 1:]
    edges = mask ^ east | mask ^ south | mask ^ south_east
    edges[-1, :] = mask[-1, :] ^ east[-1, :]
    edges[:, -1] = mask[:, -1] ^ south[:, -1]
    edges[-1, -1] = 0
    return edges


def official_f(gt, pred, void=None, bound_th=0.008):
    """One frame: both boundaries dilated over the full frame, every case of the official code spelt out."""
    radius = bound_th if bound_th >= 1 else np.ceil(bound_th * np.linalg.norm(gt.shape))
    keep = np.ones_like(gt) if void is None else ~void
    gt_edge, pred_edge = official_boundary(gt & keep), official_boundary(pred & keep)
    near_gt = cv2.dilate(gt_edge.astype(np.uint8), disk(radius))
    near_pred = cv2.dilate(pred_edge.astype(np.uint8), disk(radius))
    num_gt, num_pred = gt_edge.sum(), pred_edge.sum()
    if num_pred == 0 and num_gt > 0:
        precision, recall = 1, 0
    elif num_pred > 0 and num_gt == 0:
        precision, recall = 0, 1
    elif num_pred == 0 and num_gt == 0:
        precision, recall = 1, 1
    else:
        precision = (pred_edge * near_gt).sum() / num_pred
        recall = (gt_edge * near_pred).sum() / num_gt
    return 0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def official_j(gt, pred, void=None):
    keep = np.ones_like(gt) if void is None else ~void
    union = ((gt | pred) & keep).sum()
    return 1 if union == 0 else (gt & pred & keep).sum() / union


def frame(height, width, *pixels):
    mask = np.zeros((1, height, width), bool)
    for row, column in pixels:
        mask[0, row, column] = True
    return mask


def rectangle(height, width, top, left, bottom, right):
    mask = np.zeros((1, height, width), bool)
    mask[0, top:bottom, left:right] = True
    return mask


@st.composite
def mask_clips(draw):
    """gt, pred and void of one shape: noise, rectangles with holes, objects at frame and word borders, empty, full."""
    num_frames = draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 3, 17, 63, 64, 65, 100, 127, 128, 129]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def clip():
        kind = draw(st.sampled_from(['noise', 'rectangles', 'sparse', 'empty', 'full']))
        if kind in ('empty', 'full'):
            return np.full((num_frames, height, width), kind == 'full')
        if kind != 'rectangles':
            return rng.random((num_frames, height, width)) < (0.5 if kind == 'noise' else 0.01)
        masks = np.zeros((num_frames, height, width), bool)
        for mask in masks:
            for value in (True, True, False):
                rows, columns = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
                mask[slice(*rows), slice(*columns)] = value
        return masks

    return clip(), clip(), draw(st.sampled_from([None, rng.random((num_frames, height, width)) < 0.1]))


class TestAgainstTheOfficialFormula:
    @settings(max_examples=300, deadline=None)
    @given(mask_clips(), st.sampled_from([0.008, 0.0, 0.05, 0.3, 0.9, 1, 2, 3, 8, 70]))
    def test_f(self, clips, bound_th):
        gt, pred, void = clips
        expected = [
            official_f(g, p, None if void is None else void[t], bound_th)
            for t, (g, p) in enumerate(zip(gt, pred, strict=True))
        ]
        np.testing.assert_array_equal(contour_accuracy(gt, pred, void, bound_th), expected)

    @settings(max_examples=100, deadline=None)
    @given(mask_clips())
    def test_j(self, clips):
        gt, pred, void = clips
        expected = [
            official_j(g, p, None if void is None else void[t]) for t, (g, p) in enumerate(zip(gt, pred, strict=True))
        ]
        np.testing.assert_array_equal(region_similarity(gt, pred, void), expected)

    @settings(max_examples=100, deadline=None)
    @given(mask_clips())
    def test_f_is_symmetric_and_one_for_equal_masks(self, clips):
        gt, pred, _ = clips
        np.testing.assert_array_equal(contour_accuracy(gt, pred), contour_accuracy(pred, gt))
        assert (contour_accuracy(gt, gt) == 1).all()
        assert (region_similarity(gt, gt) == 1).all()

    def test_long_clip_of_large_frames_is_the_same_as_its_frames_alone(self):
        """The clip is worked on in chunks of frames and in the window of its objects; neither may show."""
        rng = np.random.default_rng(0)
        noise = np.stack([cv2.GaussianBlur(rng.standard_normal((480, 854)), (0, 0), 12) for _ in range(24)])
        gt, pred = noise > 0.03, np.roll(noise, (5, -9), (1, 2)) > 0.03
        gt[7] = False
        expected = [official_f(g, p) for g, p in zip(gt, pred, strict=True)]
        np.testing.assert_array_equal(contour_accuracy(gt, pred), expected)


class TestRegionSimilarity:
    def test_hand_worked(self):
        gt = rectangle(4, 4, 0, 0, 2, 2)  # 4 pixels
        pred = rectangle(4, 4, 1, 0, 3, 3)  # 6 pixels, 2 shared
        assert region_similarity(gt, pred).tolist() == [2 / 8]

    def test_void_removes_pixels_from_intersection_and_union(self):
        gt, pred = rectangle(4, 4, 0, 0, 2, 2), rectangle(4, 4, 1, 0, 3, 3)
        assert region_similarity(gt, pred, frame(4, 4, (1, 0), (2, 2))).tolist() == [1 / 6]

    def test_empty_frames(self):
        empty, full = np.zeros((1, 3, 5), bool), np.ones((1, 3, 5), bool)
        assert region_similarity(empty, empty).tolist() == [1]
        assert region_similarity(empty, full).tolist() == [0]
        assert region_similarity(full, empty).tolist() == [0]
        assert region_similarity(full, empty, void=full).tolist() == [1]


class TestContourAccuracy:
    @pytest.mark.parametrize(
        ('pixel', 'edge_pixels'),
        [
            ((2, 3), {(2, 3), (1, 3), (2, 2), (1, 2)}),  # the pixel, and those that see it right, below, right-below
            ((0, 0), {(0, 0)}),
            ((4, 3), {(4, 3), (4, 2), (3, 3), (3, 2)}),  # last row: the pixel and its left neighbour look right
            ((2, 6), {(2, 6), (1, 6), (2, 5), (1, 5)}),  # last column: it and its upper neighbour look down
            ((4, 6), {(4, 5), (3, 6), (3, 5)}),  # the last pixel itself is never a boundary
        ],
    )
    def test_boundary_of_one_pixel(self, pixel, edge_pixels):
        last_column = np.full((1, 1, 1), 1 << 6, np.uint64)
        words = bitmask.boundary(bitmask.pack(frame(5, 7, pixel)), last_column)
        rows = words[0, :, 0]
        found = {(row, column) for row in range(5) for column in range(64) if int(rows[row]) >> column & 1}
        assert found == edge_pixels

    @pytest.mark.parametrize(('offset', 'f'), [(0, 1), (8, 1), (9, 316 / 500)])
    def test_tolerance_is_8_pixels_at_480x854(self, offset, f):
        """By hand: a rectangle of 100x150 has 500 boundary pixels. Moved by 9, its upper and lower edge match but for
        one pixel each (300); of one upright edge the 8 pixels next to either corner do (16), of the other none.
        """
        gt = rectangle(480, 854, 150, 200, 250, 350)
        assert contour_accuracy(gt, np.roll(gt, offset, axis=2))[0] == pytest.approx(f, abs=1e-12)

    def test_tolerance_is_a_euclidean_disk(self):
        """Edges of single pixels 3 down and 4 right of one another: matched at 5 pixels, not at 4."""
        gt, pred = frame(40, 90, (10, 62)), frame(40, 90, (13, 66))
        assert contour_accuracy(gt, pred, bound_th=5)[0] == 1
        assert contour_accuracy(gt, pred, bound_th=4)[0] < 1

    def test_object_that_starts_with_a_word(self):
        """Its left boundary, in column 63, lies in the word before, which holds no pixel of it."""
        gt, pred = rectangle(30, 200, 5, 64, 20, 100), rectangle(30, 200, 5, 68, 20, 100)
        assert contour_accuracy(gt, pred)[0] == official_f(gt[0], pred[0]) < 1

    def test_empty_frames(self):
        empty, some = np.zeros((1, 30, 70), bool), rectangle(30, 70, 5, 5, 9, 9)
        assert contour_accuracy(empty, empty).tolist() == [1]
        assert contour_accuracy(some, empty).tolist() == [0]
        assert contour_accuracy(empty, some).tolist() == [0]

    def test_a_full_frame_has_no_boundary(self):
        """The official code's corner case: J says wrong, F says right."""
        empty, full = np.zeros((1, 30, 70), bool), np.ones((1, 30, 70), bool)
        assert contour_accuracy(full, empty).tolist() == [1]
        assert region_similarity(full, empty).tolist() == [0]

    def test_void_is_cut_out_before_the_boundary_is_taken(self):
        gt, pred = rectangle(30, 70, 5, 5, 20, 20), rectangle(30, 70, 5, 5, 20, 60)
        void = rectangle(30, 70, 0, 20, 30, 70)
        assert contour_accuracy(gt, pred)[0] < 1
        assert contour_accuracy(gt, pred, void).tolist() == [1]

    @pytest.mark.parametrize('bound_th', [-0.1, 1.5])
    def test_refuses_a_tolerance_that_is_no_number_of_pixels(self, bound_th):
        with pytest.raises(ValueError, match='bound_th'):
            contour_accuracy(frame(4, 4), frame(4, 4), bound_th=bound_th)


@pytest.mark.parametrize('measure', [region_similarity, contour_accuracy])
def test_refuses_masks_that_do_not_fit(measure):
    with pytest.raises(ValueError, match='same shape'):
        measure(frame(4, 4), frame(4, 5))
    with pytest.raises(ValueError, match='same shape'):
        measure(np.zeros((4, 4), bool), np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match='void'):
        measure(frame(4, 4), frame(4, 4), frame(4, 5))


@pytest.mark.parametrize('measure', [region_similarity, contour_accuracy])
def test_takes_0_255_masks_and_leaves_its_input_alone(measure):
    gt, pred = rectangle(20, 20, 2, 2, 9, 9), rectangle(20, 20, 3, 2, 9, 9)
    as_png = gt.astype(np.uint8) * 255
    before = as_png.copy()
    np.testing.assert_array_equal(measure(as_png, pred), measure(gt, pred))
    np.testing.assert_array_equal(as_png, before)
    assert measure(gt[:0], pred[:0]).shape == (0,)


def test_count_without_numpys_bitwise_count(monkeypatch):
    """numpy below 2 has none."""
    masks = np.random.default_rng(0).random((3, 9, 130)) < 0.5
    words = bitmask.pack(masks)
    monkeypatch.delattr(np, 'bitwise_count', raising=False)
    assert bitmask.count(words).tolist() == masks.sum(axis=(1, 2)).tolist()


class TestSequenceStatistics:
    def test_hand_worked(self):
        # quarters of 9 frames share their ends: 0-2, 2-4, 4-6, 6-8
        values = [1, 1, 1, 0.5, 0.5, 0.5, 0, 0, 0.3]
        mean, recall, decay = sequence_statistics(values)
        assert mean == pytest.approx(4.8 / 9)
        assert recall == 3 / 9  # strictly above 0.5
        assert decay == pytest.approx(1 - 0.1)

    def test_more_than_256_frames(self):
        values = np.linspace(1, 0, 1001)  # ends of the quarters: 0, 250, 500, 750, 1000
        assert sequence_statistics(values)[2] == pytest.approx(0.75)

    def test_nan_frames_have_no_mean_but_count_as_misses(self):
        mean, recall, _ = sequence_statistics([1, np.nan, 1, 1])
        assert (mean, recall) == (1, 0.75)

    def test_one_frame_and_none(self):
        assert sequence_statistics([0.7]) == (0.7, 1.0, 0.0)
        with pytest.raises(ValueError, match='at least one frame'):
            sequence_statistics([])


class TestIoUOverSamples:
    def test_precision_is_strict(self):
        assert precision_at_k([0.5, 0.6, 1.0, 0.2], [0.5, 0.9, 0.0]).tolist() == [0.5, 0.25, 1.0]
        with pytest.raises(ValueError, match='at least one'):
            precision_at_k([], [0.5])

    def test_overall_weighs_pixels_and_mean_weighs_samples(self):
        gts = [rectangle(4, 4, 0, 0, 2, 2)[0], rectangle(9, 9, 0, 0, 9, 9)[0]]  # sizes differ
        preds = [rectangle(4, 4, 0, 0, 2, 1)[0], rectangle(9, 9, 0, 0, 9, 9)[0]]
        assert overall_iou(gts, preds) == (2 + 81) / (4 + 81)
        assert mean_iou(gts, preds) == (0.5 + 1) / 2

    def test_empty_masks(self):
        empty, some = np.zeros((4, 4), bool), np.ones((4, 4), bool)
        assert mean_iou([empty, empty], [empty, some]) == 0.5
        assert overall_iou([empty, empty], [empty, some]) == 0
        assert overall_iou([empty], [empty]) == 1

    def test_refuses_pairs_that_do_not_fit(self):
        with pytest.raises(ValueError, match='equal shapes'):
            mean_iou([np.zeros((4, 4), bool)], [np.zeros((4, 5), bool)])
        with pytest.raises(ValueError, match='at least one'):
            overall_iou([], [])


class TestBootstrapInterval:
    def test_one_video_has_no_spread(self):
        assert bootstrap_interval([0.2, 0.6], ['a', 'a']) == (pytest.approx(0.4), pytest.approx(0.4))

    def test_draws_videos_not_expressions(self):
        """Two videos, equal values within each: half of the draws take one video twice, so the ends are its values."""
        assert bootstrap_interval([0.0] * 50 + [1.0] * 50, ['a'] * 50 + ['b'] * 50) == (0, 1)

    def test_close_to_the_normal_interval_and_the_same_for_the_same_seed(self):
        values = np.random.default_rng(1).random(400)
        videos = [str(index) for index in range(400)]
        low, high = bootstrap_interval(values, videos, samples=4000, seed=3)
        half = 1.96 * values.std() / 20
        assert low == pytest.approx(values.mean() - half, abs=3e-3)
        assert high == pytest.approx(values.mean() + half, abs=3e-3)
        assert bootstrap_interval(values, videos, samples=4000, seed=3) == (low, high)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=70)))
def test_pack_keeps_every_pixel(masks):
    words = bitmask.pack(masks)
    octets = np.ascontiguousarray(words.transpose(2, 1, 0)).view(np.uint8)
    unpacked = np.unpackbits(octets, axis=-1, bitorder='little')[..., : masks.shape[2]]
    np.testing.assert_array_equal(unpacked, masks)
    assert bitmask.count(words).tolist() == masks.sum(axis=(1, 2)).tolist()
