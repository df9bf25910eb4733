"""Paired differences between variants, by hand."""

import numpy as np
import pytest

from ifirvos.evaluation.ablation import difference_table, paired_difference


def rows(values, kinds=None, measure='J'):
    """An expression a value, J and F alike, two of every video."""
    return [
        dict(
            video_id=f'v{number // 2}',
            exp_id=str(number),
            kind=(kinds or {}).get(number, 'attr'),
            **dict.fromkeys(('J', 'F', 'oracle_J', 'reversal_IoU', 'shuffled_J', 'shuffled_F'), str(value)),
            text='',
        )
        for number, value in enumerate(values)
    ]


def test_means_by_hand_over_expressions_and_seeds():
    kinds = {2: 'motion', 3: 'motion'}
    variant = {1: rows([50, 60, 80, 90], kinds), 2: rows([52, 62, 80, 90], kinds)}
    reference = {1: rows([40, 50, 80, 80], kinds), 2: rows([40, 50, 80, 80], kinds)}
    cells = paired_difference(variant, reference)
    assert (cells['attr'].mean, cells['attr'].seeds) == (11, (10, 12))
    assert (cells['motion'].mean, cells['motion'].seeds) == (5, (5, 5))
    assert cells['all'].mean == 8
    assert list(cells) == ['all', 'attr', 'motion']


def test_what_is_hard_for_both_cancels_out():
    hard = np.random.default_rng(0).uniform(0, 90, 40)
    cell = paired_difference({1: rows(hard + 5)}, {1: rows(hard)})['all']
    assert (cell.low, cell.high) == pytest.approx((5, 5))


def test_the_interval_holds_what_other_seeds_would_change():
    level = [50.0] * 20
    one = paired_difference({1: rows(level)}, {1: rows(level)})['all']
    two = paired_difference({1: rows([55.0] * 20), 2: rows([45.0] * 20)}, {1: rows(level), 2: rows(level)})['all']
    assert (one.low, one.high) == (0, 0)
    # The mean of two seeds, 5 above and 5 below, has a standard deviation of 5, not the 5 / sqrt(2) of resampled seeds.
    assert (two.mean, two.low, two.high) == pytest.approx((0, -5 * 2**0.5, 5 * 2**0.5))


def test_one_video_says_nothing_of_others():
    cells = paired_difference({1: rows([60, 61])}, {1: rows([50, 50])})
    assert (cells['attr'].low, cells['attr'].high) == (-np.inf, np.inf)
    assert '**' not in difference_table(dict(effect=cells))
    assert '10.5 [-inf, inf]' in difference_table(dict(effect=cells))


def test_only_common_seeds_and_the_same_expressions_are_compared():
    level = rows([50, 50])
    assert paired_difference({1: level, 2: level}, {2: level, 3: level})['all'].seeds == (0,)
    with pytest.raises(ValueError, match='no seed'):
        paired_difference({1: level}, {2: level})
    with pytest.raises(ValueError, match='different expressions'):
        paired_difference({1: level}, {1: rows([50])})


def test_the_table_marks_what_is_clear():
    clear = paired_difference({1: rows([60, 62, 58, 60])}, {1: rows([50, 50, 50, 50])})
    unclear = paired_difference({1: rows([60, 40, 70, 30])}, {1: rows([50, 50, 50, 60])})
    first, _, one, other = difference_table({'a': clear, 'b': unclear}).splitlines()
    assert first == '| difference | all | attr |'
    assert one.startswith('| a | **10.0 [')
    assert '**' not in other
