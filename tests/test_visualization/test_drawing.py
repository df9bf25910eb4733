"""Pictures of results, pixel by pixel where a person can check them."""

import numpy as np
import pytest
from PIL import Image

from ifirvos.label_maps import davis_palette, read_palette_png, write_palette_png
from ifirvos.visualization import contact_sheet, draw_mask, draw_result, font, shorten


def square_mask(height=40, width=60):
    mask = np.zeros((height, width), bool)
    mask[15:30, 20:40] = True
    return mask


def test_mask_is_painted_inside_and_nowhere_else():
    image = np.full((40, 60, 3), 100, np.uint8)
    out = draw_mask(image, square_mask(), (200, 0, 50), alpha=0.5)
    assert out[22, 30].tolist() == [150, 50, 75]
    assert np.abs(out[15, 25] - np.array([200, 0, 50])).max() < 15, 'the outline is (all but for smoothing) opaque'
    outside = np.ones((40, 60), bool)
    outside[12:33, 17:43] = False  # the outline is smoothed over its neighbours
    assert (out[outside] == 100).all()
    assert (image == 100).all(), 'the frame itself stays as it is'


def test_empty_mask_changes_nothing():
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert (draw_mask(image, np.zeros((20, 30), bool), (255, 0, 0)) == image).all()


@pytest.mark.parametrize('text', ['the red star', 'x' * 5000, 'der größte Käfer', '左边的狗', '<b>bold</b>\nnext line'])
@pytest.mark.parametrize('size', [(192, 288), (8, 8), (1, 1)])
def test_any_sentence_on_any_frame(text, size):
    frame = np.zeros((*size, 3), np.uint8)
    out = draw_result(frame, np.ones(size, bool), text, score=0.5)
    assert out.shape == frame.shape
    assert out.dtype == np.uint8


def test_sentence_and_score_show():
    frame, mask = np.full((96, 144, 3), 90, np.uint8), np.zeros((96, 144), bool)
    plain, scored, other = (draw_result(frame, mask, *a, style='paint') for a in [('star',), ('star', 0.25), ('ball',)])
    assert (plain[:, 72:] != scored[:, 72:]).any(), 'the score stands at the right'
    assert (plain[:, :72] != other[:, :72]).any(), 'the sentence stands at the left'
    assert (plain[48:] == frame[48:]).all(), 'the strip is at the top only'


def test_shorten_fits_the_room():
    letters = font(12)
    assert shorten('two  words\n', letters, 500) == 'two words'
    cut = shorten('word ' * 300, letters, 100)
    assert cut.endswith('…')
    assert 70 < letters.getlength(cut) <= 100
    assert shorten('word', letters, 1) == ''


def test_contact_sheet_has_a_cell_a_frame_and_sentence():
    rows = [
        dict(title='first', images=[np.full((20, 40, 3), 10 * c, np.uint8) for c in range(3)]),
        dict(title='second', images=[np.full((20, 40, 3), 200, np.uint8)] * 3, note='J&F 80.0'),
    ]
    sheet = contact_sheet(rows, frame_ids=[0, 4, 8], cell_width=40, gap=6)
    assert sheet.shape[1] == 3 * 46 + 6
    middle_of_cells = [6 + column * 46 + 20 for column in range(3)]
    for column, x in enumerate(middle_of_cells):
        assert (sheet[:, x] == 10 * column).all(1).sum() >= 20
    assert (sheet == 200).all(2).sum() == 3 * 20 * 40


def test_palette_is_that_of_davis_and_voc():
    palette = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3)
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 8: (64, 0, 0), 255: (224, 224, 192)}
    assert {index: tuple(palette[index].tolist()) for index in expected} == expected


def test_palette_png_round_trip(tmp_path):
    labels = np.zeros((7, 9), np.uint8)
    labels[2:4, 3:5] = 3
    write_palette_png(tmp_path / '0.png', labels)
    with Image.open(tmp_path / '0.png') as picture:
        assert picture.mode == 'P'
        assert picture.convert('RGB').getpixel((3, 2)) == (128, 128, 0)
    assert (read_palette_png(tmp_path / '0.png') == labels).all()
    write_palette_png(tmp_path / 'bool.png', labels > 0)
    assert (read_palette_png(tmp_path / 'bool.png') == (labels > 0)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['0.png', 'bool.png']
