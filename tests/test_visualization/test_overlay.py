"""The overlay: what is meant stands out from what is under it, and sentences from one another."""

import cv2
import numpy as np
import pytest

from ifirvos.visualization import COLORS, OverlayColors, draw_result, draw_together, overlay_frame
from ifirvos.visualization.overlay import _lab, edge_of


def scene(background, thing) -> tuple[np.ndarray, np.ndarray]:
    """A frame of one colour with a square of another."""
    frame = np.full((120, 160, 3), background, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[30:80, 40:100] = True
    frame[mask] = thing
    return frame, mask


def lab(color) -> np.ndarray:
    return cv2.cvtColor(np.float32([[color]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]


def apart(a, b) -> float:
    """CIE76 distance; 2.3 is just noticeable."""
    return float(np.linalg.norm(lab(a) - lab(b)))


@pytest.mark.parametrize('color', [*COLORS, (255, 255, 255), (0, 0, 0), (128, 128, 128)])
@pytest.mark.parametrize('background', [(255, 255, 255), (0, 0, 0), COLORS[0]])
def test_the_outline_is_seen_on_any_object(color, background):
    """The colour chosen is far from the object's and from its surroundings', and so is the line around it."""
    frame, mask = scene(background, color)
    chosen = OverlayColors().color(0, frame, mask)
    assert min(apart(chosen, color), apart(chosen, background)) > 30
    out = overlay_frame(frame, [mask], [chosen])
    line = out[edge_of(mask)]
    near = [min(apart(chosen, pixel) for pixel in line), max(apart(color, pixel) for pixel in line)]
    assert near[0] < 20, 'the line is there, in its colour'
    assert near[1] > 30, 'and does not look like the object'


def test_what_is_not_meant_loses_colour_and_light_and_the_object_keeps_its_own():
    frame, mask = scene((40, 160, 60), (200, 30, 30))
    out = overlay_frame(frame, [mask], [COLORS[1]]).astype(int)
    there, rest = out[50, 70], out[5, 150]
    assert np.abs(there - (200, 30, 30)).max() < 30
    assert rest.max() < 0.6 * 160
    assert np.ptp(rest) < 0.3 * np.ptp(frame[5, 150].astype(int))
    paint = overlay_frame(frame, [mask], [COLORS[1]], 'paint')
    assert (paint[5, 150] == frame[5, 150]).all()
    assert np.abs(paint[50, 70].astype(int) - (np.array(COLORS[1]) + (200, 30, 30)) // 2).max() <= 1


def test_sentences_keep_colours_of_their_own():
    colors, frame = OverlayColors(), np.full((60, 80, 3), (230, 80, 0), np.uint8)  # all over the first of COLORS
    mask = np.zeros((60, 80), bool)
    assert colors.color(0, frame, mask) == COLORS[0], 'nothing seen, nothing chosen'
    mask[20:40, 20:40] = True
    first = [colors.color(index, frame, mask) for index in range(len(COLORS))]
    assert sorted(first) == sorted(COLORS), 'none twice before all are used'
    assert first[-1] == COLORS[0], 'what looks like the object comes last'
    other = np.full_like(frame, 255) - frame
    assert [colors.color(index, other, mask) for index in range(len(COLORS))] == first, 'they stay'
    assert colors.color(99, frame, mask) in COLORS


def test_all_sentences_in_one_picture():
    frame, first = scene((90, 90, 90), (200, 30, 30))
    second, nothing = np.roll(first, 55, 1), np.zeros_like(first)
    second[:, :40] = False
    texts = ['the red one', 'a sentence ' * 40, 'not there']
    out = draw_together(frame, [first, second, nothing], texts, COLORS[:3])
    assert out.shape[1:] == frame.shape[1:]
    legend = out[120:].reshape(3, -1, 160, 3)
    assert [tuple(line[0, 0]) for line in legend] == list(COLORS[:3])
    assert all(line[:, 10:].max() > 200 for line in legend), 'every sentence is written'
    assert out[5, 5].max() < 60
    assert np.abs(out[50, 70].astype(int) - (200, 30, 30)).max() < 40, 'meant by one sentence: not dimmed'


@pytest.mark.parametrize('size', [(192, 288), (8, 8), (1, 1), (720, 90)])
def test_any_frame_and_mask(size):
    frame, mask = np.zeros((*size, 3), np.uint8), np.ones(size, bool)
    for style in ('spotlight', 'paint'):
        for seen in (mask, ~mask):
            color = OverlayColors().color(0, frame, seen)
            out = draw_result(frame, seen, 'the star', 0.5, color, style)
            assert (out.shape, out.dtype) == (frame.shape, np.uint8)
            assert not frame.any(), 'the frame itself stays as it is'


def test_an_unknown_style_names_the_known_ones():
    frame, mask = scene(0, 255)
    with pytest.raises(ValueError, match='spotlight'):
        overlay_frame(frame, [mask], [COLORS[0]], 'glow')


def test_cielab_has_the_published_values_of_the_primaries():
    """For the white D65."""
    colors = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (119, 119, 119)]
    expected = [
        (0, 0, 0),
        (100, 0, 0),
        (53.24, 80.09, 67.20),
        (87.73, -86.18, 83.18),
        (32.30, 79.19, -107.86),
        (50.03, 0, 0),
    ]
    np.testing.assert_allclose(_lab(colors), expected, atol=0.02)
