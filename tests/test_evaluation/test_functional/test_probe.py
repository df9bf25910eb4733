"""The measures that tell more than J and F, on masks worked out by hand."""

import numpy as np
import pytest

from ifirvos.evaluation.ablation import ALL, Cell, draw_chart, markdown, measures_of, summarize_variant, table_rows
from ifirvos.evaluation.functional.probe import chance_region, oracle_region, probe_expression


def box(*columns: slice) -> np.ndarray:
    """bool (T, 8, 12), a full-height box of those columns in each frame."""
    masks = np.zeros((len(columns), 8, 12), bool)
    for mask, part in zip(masks, columns, strict=True):
        mask[:, part] = True
    return masks


LEFT, RIGHT, HALF, NONE = slice(0, 4), slice(8, 12), slice(0, 2), slice(0, 0)


def test_the_oracle_takes_one_query_for_the_whole_clip():
    """Query 0 is right in the first frame only, query 1 in the second only, query 2 half right in both."""
    gt = box(LEFT, LEFT)
    candidates = np.stack([box(LEFT, RIGHT), box(RIGHT, LEFT), box(HALF, HALF)], 1)
    assert oracle_region(gt, candidates) == 0.5
    assert oracle_region(gt, np.concatenate([candidates, box(LEFT, HALF)[:, None]], 1)) == 0.75


def test_chance_is_any_object_with_its_perfect_masks():
    labels = 1 * box(LEFT, LEFT) + 2 * box(RIGHT, RIGHT)
    assert chance_region(box(LEFT, LEFT), labels) == 0.5
    labels = np.where(box(slice(5, 6), slice(5, 6)), 3, labels)
    assert chance_region(box(LEFT, LEFT), labels) == pytest.approx(1 / 3)
    void = np.where(box(slice(5, 6), slice(5, 6)), 255, 1 * box(LEFT, LEFT) + 2 * box(RIGHT, RIGHT))  # of DAVIS
    assert chance_region(box(LEFT, LEFT), void) == 0.5
    absent = 1 * box(LEFT, NONE) + 2 * box(RIGHT, NONE)  # both absent in the second frame: right by accident
    assert chance_region(box(LEFT, NONE), absent) == 0.75


def test_probe():
    gt = box(LEFT, LEFT)
    row = probe_expression(gt, gt, gt[:, None], box(HALF, LEFT), box(RIGHT, LEFT), 1 * gt)
    assert (row['J'], row['F'], row['oracle_J'], row['chance_J']) == (100, 100, 100, 100)
    assert (row['reversal_IoU'], row['shuffled_J'], row['shuffled_F']) == (75, 50, 50)
    assert 'chance_J' not in probe_expression(gt, gt, gt[:, None], gt, gt)


def rows(*values: tuple[str, str, float]) -> list[dict]:
    """Of video, kind and J; F is 10 lower, as a csv file has them: text."""
    return [
        dict(
            video_id=video,
            exp_id=str(number),
            kind=kind,
            J=str(j),
            F=str(j - 10),
            oracle_J='90',
            reversal_IoU='100',
            shuffled_J=str(j),
            shuffled_F=str(j),
            chance_J='25',
            text='x',
        )
        for number, (video, kind, j) in enumerate(values)
    ]


def test_measures_of_an_expression():
    (row,) = rows(('v', 'attr', 51.0))
    assert measures_of(row) == {
        'J': 51,
        'F': 41,
        'J&F': 46,
        'S': 100,
        'oracle_J': 90,
        'reversal_IoU': 100,
        'shuffled_J&F': 51,
        'chance_J': 25,
    }
    assert measures_of(rows(('v', 'attr', 50.0))[0])['S'] == 0, 'above 0.5, not from'


def test_means_over_expressions_then_seeds():
    seeds = [
        rows(('v', 'attr', 60.0), ('v', 'motion', 40.0), ('w', 'attr', 20.0)),
        rows(('v', 'attr', 80.0), ('v', 'motion', 40.0), ('w', 'attr', 20.0)),
    ]
    summary = summarize_variant(seeds)
    assert summary['attr']['J'].mean == 45
    assert summary['attr']['J'].seeds == (40, 50)
    assert summary['motion']['J'].mean == 40
    cell = summary[ALL]['J']
    assert cell.mean == pytest.approx(130 / 3)
    # Whole videos are drawn: w twice, or v twice; of v's expressions the mean over seeds is 70 and 40.
    assert (cell.low, cell.high) == (20, 55)


def test_seeds_of_other_expressions_are_refused():
    with pytest.raises(ValueError, match='different expressions'):
        summarize_variant([rows(('v', 'attr', 1.0)), rows(('w', 'attr', 1.0))])


def test_table_and_chart(tmp_path):
    variants = {
        name: summarize_variant([rows(('v', 'attr', j), ('w', 'motion', j))] * 2)
        for name, j in (('full', 80.0), ('a', 30.0))
    }
    text = markdown(variants, dict(full=dict(steps='3'), a=dict(steps='4')))
    lines = [line.split('|') for line in text.splitlines() if line.startswith('| full')]
    assert lines[0][2].strip() == '75.0 [75.0, 75.0] (75.0–75.0)'
    assert lines[0][-2].strip() == '3'
    assert '| a random object: J | 25.0 | 25.0 |' in text
    table = table_rows(variants)
    assert len(table) == 2 * 3 * 8
    assert table[0] == dict(
        variant='full', kind='attr', measure='J&F', mean=75.0, low=75.0, high=75.0, seeds='75.000 75.000'
    )
    draw_chart(variants, tmp_path / 'chart.png')
    draw_chart({'a': {ALL: {'J&F': Cell(5, 4, 6, (5,))}}}, tmp_path / 'other.png')
    assert (tmp_path / 'chart.png').read_bytes() != (tmp_path / 'other.png').read_bytes()
