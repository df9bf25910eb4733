"""AUC, threshold and refusals by hand and against their definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifirvos.clip_score import clip_score
from ifirvos.evaluation.functional.absence import auc_interval, keeping_threshold, refusal_rate, roc_auc

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ('scores', 'share', 'expected'),
    [
        ([0.5], 1 / 3, 0.5),
        ([0.25, 0.75], 1 / 3, 0.75),
        ([0.25, 1.0, 0.5, 0.0, 0.125, 0.0], 1 / 3, 0.75),
        ([0.25, 1.0, 0.5, 0.25], 1, 0.5),
    ],
)
def test_the_clips_score_by_hand(scores, share, expected):
    assert clip_score(scores, share) == expected


def test_without_a_frame_there_is_no_score():
    assert math.isnan(clip_score([]))


def test_auc_by_hand():
    assert roc_auc([0.9, 0.4], [0.5, 0.1]) == 0.75
    assert roc_auc([0.5], [0.5]) == 0.5
    assert roc_auc([0.2], [0.3, 0.4]) == 0
    assert math.isnan(roc_auc([], [0.3]))
    assert math.isnan(roc_auc([0.3], []))


@given(SCORES, SCORES)
def test_auc_is_the_chance_of_a_win(present, absent):
    wins = [1.0 if p > a else 0.5 if p == a else 0.0 for p in present for a in absent]
    assert roc_auc(present, absent) == pytest.approx(np.mean(wins))
    assert roc_auc(present, absent) + roc_auc(absent, present) == pytest.approx(1)


@pytest.mark.parametrize(('keep', 'expected'), [(1.0, 0.1), (0.95, 0.1), (0.9, 0.2), (0.3, 0.8), (0.01, 1.0)])
def test_the_threshold_is_the_highest_that_keeps_enough(keep, expected):
    assert keeping_threshold([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], keep) == expected


@given(SCORES, st.floats(0.01, 1))
def test_the_threshold_keeps_at_least_the_share(present, keep):
    threshold = keeping_threshold(present, keep)
    assert np.mean(np.array(present) >= threshold) >= keep - 1e-9
    assert np.mean(np.array(present) > threshold) < keep  # the next higher one would not


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match='keep'):
        keeping_threshold([0.5], 0)
    with pytest.raises(ValueError, match='no score'):
        keeping_threshold([], 0.95)


def test_refusals_are_strictly_below():
    assert refusal_rate([0.1, 0.2, 0.3], 0.2) == pytest.approx(1 / 3)
    assert math.isnan(refusal_rate([], 0.2))


def test_the_interval_is_that_of_videos_drawn_with_all_their_sentences():
    rng = np.random.default_rng(3)
    present, videos = rng.random(40) < 0.6, rng.integers(0, 8, 40).astype(str)
    scores = (present + rng.normal(size=40)).round(1)  # with ties
    found = []
    for draw in np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), size=200):
        rows = [row for row in range(40) for _ in range(draw[int(videos[row])])]
        sorts = present[rows]
        if sorts.any() and not sorts.all():
            found.append(roc_auc(scores[rows][sorts], scores[rows][~sorts]))
    expected = np.quantile(found, [0.025, 0.975])
    assert auc_interval(scores, present, videos, samples=200) == pytest.approx(tuple(expected))
    assert expected[1] - expected[0] > 0.1


def test_the_interval_of_one_video_and_of_one_sort():
    assert auc_interval([0.9, 0.4, 0.5, 0.1], [True, True, False, False], ['a'] * 4) == (0.75, 0.75)
    assert all(map(math.isnan, auc_interval([0.9, 0.4], [True, True], ['a', 'b'])))
