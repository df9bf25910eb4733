"""What reaches pycocotools' C code is a mask; everything else is refused before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from ifirvos.errors import AnnotationError
from ifirvos.run_lengths import decode_segmentation


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_every_code_that_pycocotools_writes_is_read(mask):
    code = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    assert (decode_segmentation(code, (1, 1)) == mask).all()
    text = dict(code, counts=code['counts'].decode())
    assert (decode_segmentation(text, (1, 1)) == mask).all()


def test_polygons_and_plain_counts():
    square = decode_segmentation([[1, 1, 4, 1, 4, 3, 1, 3]], (5, 6))
    assert square.shape == (5, 6)
    assert square.sum() == 6
    assert square[1:3, 1:4].all()
    column = decode_segmentation(dict(size=[2, 3], counts=[2, 2, 2]), (9, 9))
    assert column.tolist() == [[0, 1, 0], [0, 1, 0]]
    outside = decode_segmentation([[-5.5, -5, 3, -5, 3, 99, -5.5, 99]], (4, 4))
    assert outside[:, :3].all(), 'a polygon may reach over the edge'


HOSTILE = [
    [[]],
    [[1, 2]],
    [[1, 2, 3, 4]],
    [[1, 2, 3, 4, 5]],
    [[1e300, 1, 2, 1e300, 3, 3]],
    [[4e9, 1, 2, 4e9, 3, 3]],
    [[float('nan'), 1, 2, 2, 3, 3]],
    [[float('inf'), 1, 2, 2, 3, 3]],
    [[None, 1, 2, 2, 3, 3]],
    [['1', 1, 2, 2, 3, 3]],
    [[1e6, 1e6, -1e6, -1e6] * 30],
    [3],
    ['abc'],
    3,
    'abc',
    {},
    dict(size=[2, 2]),
    dict(size=[2, 2], counts=None),
    dict(size=[2, 2], counts=[-1, 5]),
    dict(size=[2, 2], counts=[1, 1]),
    dict(size=[2, 2], counts=[2**40]),
    dict(size=[2, 2], counts=['4']),
    dict(size=[2], counts=[4]),
    dict(size='22', counts=[4]),
    dict(size=[0, 4], counts=[]),
    dict(size=[-2, -2], counts=[4]),
    dict(size=[2**40, 2**40], counts=[4]),
    dict(size=[2.0, 2], counts=[4]),
    dict(size=[2, 2], counts=''),
    dict(size=[2, 2], counts='é'),
    dict(size=[2, 2], counts='`'),  # goes on, and does not
    dict(size=[2, 2], counts='oooooooooo4'),
    dict(size=[2, 2], counts='9'),
    dict(size=[2, 2], counts='\x7f\x01'),
]


@pytest.mark.parametrize('segmentation', HOSTILE, ids=range(len(HOSTILE)))
def test_what_would_crash_the_process_is_refused(segmentation):
    with pytest.raises(AnnotationError, match='no COCO segmentation'):
        decode_segmentation(segmentation, (20, 20))


@settings(max_examples=300)
@given(st.text(alphabet=[chr(c) for c in range(45, 115)], max_size=12), st.integers(1, 9), st.integers(1, 9))
def test_any_string_is_a_mask_or_refused(counts, height, width):
    try:
        mask = decode_segmentation(dict(size=[height, width], counts=counts), (1, 1))
    except AnnotationError:
        return
    assert mask.shape == (height, width)
    assert mask.max() <= 1


@settings(max_examples=100)
@given(st.lists(st.lists(st.floats(), max_size=10), max_size=3))
def test_any_polygons_are_a_mask_or_refused(polygons):
    try:
        mask = decode_segmentation(polygons, (7, 5))
    except AnnotationError:
        return
    assert mask.shape == (7, 5)
