"""Figure 5: which mask stands in which row and column, and which J."""

import numpy as np
import pytest

from ifirvos.visualization import comparison, contact_sheet
from ifirvos.visualization.comparison import TRUTH, Row, comparison_frame, comparison_sheet

FRAMES = np.full((3, 40, 60, 3), 100, np.uint8)


def masks(x):
    out = np.zeros((3, 40, 60), bool)
    out[:, 15:30, x : x + 12] = True
    return out


@pytest.fixture
def rows():
    return [
        Row(TRUTH, masks(5)),
        Row('A', masks(5), np.array([1.0, 0.5, 1])),
        Row('B', masks(40), np.array([0.0, 0.123, 0])),
    ]


def test_sheet_has_rows_columns_and_their_numbers(rows, monkeypatch):
    seen = {}

    def spy(lines, frame_ids, cell_width, title):
        seen.update(lines=lines, frame_ids=frame_ids, title=title)
        return contact_sheet(lines, frame_ids, cell_width=cell_width, title=title)

    monkeypatch.setattr(comparison, 'contact_sheet', spy)
    sheet = comparison_sheet(FRAMES, rows, [0, 2], 'the red star', cell_width=60)
    assert sheet.shape[1] == 2 * 66 + 6
    truth, first, second = seen['lines']
    assert (truth['title'], first['title'], second['title']) == ('ground truth', 'A', 'B')
    assert 'labels' not in truth
    assert first['labels'] == ['J 100.0', 'J 100.0']
    assert second['note'] == 'J over all 3 frames: 4.1'
    assert (seen['title'], seen['frame_ids']) == ('“the red star”', [0, 2])
    assert len({line['color'] for line in seen['lines']}) == 3


def test_model_rows_show_their_mask_and_the_outline_of_the_truth(rows, monkeypatch):
    monkeypatch.setattr(comparison, 'contact_sheet', lambda lines, *args, **kwargs: lines)
    truth, first, second = (line['images'][0] for line in comparison_sheet(FRAMES, rows, [0], '', cell_width=60))
    assert truth[20, 10].tolist() != [75, 75, 75], 'painted'
    assert truth[20, 45].tolist() == [75, 75, 75], 'darkened'
    assert second[20, 45].tolist() != [75, 75, 75]
    assert (second[15, 8:14] > 200).all(), "the truth's outline is white"
    assert not (truth > 200).all(2).any()


def test_labels_stand_in_the_pictures():
    image = np.full((40, 120, 3), 200, np.uint8)
    plain, labelled = (
        contact_sheet([dict(title='', images=[image, image], **more)], [0, 1], cell_width=120)
        for more in ({}, dict(labels=['', 'J 12.3']))
    )
    difference = (plain != labelled).any(2)
    assert not difference[:, : 120 + 6].any()
    assert difference[:, 126:200].any()


def test_video_frame_has_a_panel_a_row(rows):
    frame = comparison_frame(FRAMES[1], rows, 1)
    assert frame.shape == (40, 180, 3)
    panels = np.split(frame, 3, axis=1)
    painted = [(panel[20:] != 100).any(2) for panel in panels]
    assert painted[0][2, 10]
    assert painted[1][2, 10]
    assert not painted[2][2, 10]
    assert painted[2][2, 45]


def test_secret_truth(rows):
    alone = [Row('A', masks(5)), Row('B', masks(9))]
    assert comparison_sheet(FRAMES, alone, [0], 'x').ndim == 3
    assert comparison_frame(FRAMES[0], alone, 0).shape == (40, 120, 3)
