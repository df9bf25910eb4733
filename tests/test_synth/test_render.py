"""Label maps and pictures show the same objects, in the order and place the scene says."""

import numpy as np
import pytest

from ifirvos.synth import draw_frames, ground_truth, make_clip
from ifirvos.synth.appearance import COLOURS, GREY, SHAPES, Appearance
from ifirvos.synth.render import POLYGONS, draw_background, extent
from ifirvos.synth.scene import Scene, SceneObject

SIZE = (96, 144)


def still(centre, radius=20.0, colour='red', shape='circle', present=(True, True), coloured=(True, True)):
    path = np.tile(np.array(centre, float), (2, 1))
    return SceneObject(Appearance('small', colour, shape), radius, path, np.array(present), np.array(coloured))


def scene_of(*things, front_to_back=None):
    return Scene('spatial', SIZE, things, tuple(front_to_back or range(len(things))), 0)


def test_a_circle_covers_pi_r_squared_around_its_centre():
    facts = ground_truth(scene_of(still((60.5, 48))))
    y, x = np.nonzero(facts.labels[0])
    assert len(x) == pytest.approx(np.pi * 20**2, rel=0.02)
    assert (x.mean(), y.mean()) == pytest.approx((60.5, 48), abs=0.15)


@pytest.mark.parametrize('shape', SHAPES)
def test_shapes_of_one_radius_cover_similar_areas_and_fit_their_extent(shape):
    labels = ground_truth(scene_of(still((72, 48), shape=shape))).labels[0]
    assert 0.7 < labels.sum() / (np.pi * 20**2) < 1.1
    y, x = np.nonzero(labels)
    assert max(np.abs(x - 72).max(), np.abs(y - 48).max()) <= extent(shape) * 20 + 1
    assert set(POLYGONS) == set(SHAPES)


def test_the_nearer_object_hides_the_farther():
    near, far = still((60, 48)), still((60, 48), radius=30.0, colour='blue')
    facts = ground_truth(scene_of(near, far))
    assert facts.labels[0, 48, 60] == 1
    assert facts.visible[:, 0] == pytest.approx([1, 1 - (20 / 30) ** 2], abs=0.01)
    hidden = ground_truth(scene_of(near, far, front_to_back=(1, 0)))
    assert hidden.labels[0, 48, 60] == 2
    assert hidden.visible[0, 0] == 0
    assert hidden.in_view[0, 0] == 1


def test_outside_and_absent_objects_leave_no_trace():
    facts = ground_truth(scene_of(still((0, 48)), still((-200, 48)), still((100, 48), present=(True, False))))
    assert facts.in_view[0] == pytest.approx(0.5, abs=0.03)
    assert facts.in_view[1:].tolist() == [[0, 0], [1, 0]]
    assert [set(np.unique(label)) for label in facts.labels] == [{0, 1, 3}, {0, 1}]


@pytest.mark.parametrize('colour', COLOURS)
def test_the_picture_shows_colour_and_grey_where_the_scene_says(colour):
    frames = draw_frames(scene_of(still((72, 48), colour=colour, coloured=(True, False))))
    for frame, rgb in zip(frames, (COLOURS[colour], GREY)):
        np.testing.assert_allclose(frame[48, 72], rgb[::-1], atol=6)  # BGR


def test_pictures_change_where_labels_say_and_shadows_fall_only():
    scene = make_clip(0, 'train', 1).facts.scene
    frames, labels = draw_frames(scene), ground_truth(scene).labels
    background = draw_background(np.random.default_rng(scene.background_seed), scene.size)
    difference = np.abs(frames.astype(float) - background).max(-1)
    assert np.median(difference[labels > 0]) > 25
    far = np.stack([label == 0 for label in labels]) & (difference > 3)
    assert far.mean() < 0.12  # outlines and shadows


def test_backgrounds_are_pale():
    for seed in range(20):
        background = draw_background(np.random.default_rng(seed), SIZE)
        assert background.shape == (*SIZE, 3)
        saturation = 1 - background.min(-1) / background.max(-1)
        assert np.median(saturation) < 0.35
