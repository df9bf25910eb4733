"""Windows over a stream of frames, and the query that goes on with its object; no model but hand-made ones."""

import threading
from itertools import count, islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ifirvos.inference.windows import FeatureWindow, ahead, until, windows


def spans(length, clip_len, overlap, full_last=True):
    """Of every window: the frames it sees and those it gives, as numbers in the video."""
    seen, found = 0, []
    for window in windows(range(length), clip_len, overlap, full_last):
        seen += len(window.new)
        start = seen - window.size
        assert window.new == list(range(seen - len(window.new), seen))
        found.append((range(start, seen), range(start + window.gives[0], start + window.gives[1]), window.shared))
    return found


def test_a_video_by_hand():
    """Ten frames, windows of four that share two: the half of the shared frames farther from the border."""
    assert [(list(sees), list(gives), shared) for sees, gives, shared in spans(10, 4, 2)] == [
        ([0, 1, 2, 3], [0, 1, 2], 0),
        ([2, 3, 4, 5], [3, 4], 2),
        ([4, 5, 6, 7], [5, 6], 2),
        ([6, 7, 8, 9], [7, 8, 9], 2),
    ]


def test_the_last_window_is_full_or_like_davis_the_rest():
    assert [list(sees) for sees, _, _ in spans(7, 3, 0)] == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert [list(gives) for _, gives, _ in spans(7, 3, 0)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [list(sees) for sees, _, _ in spans(7, 3, 0, full_last=False)] == [[0, 1, 2], [3, 4, 5], [6]]


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 11), st.booleans())
def test_every_frame_comes_in_once_and_is_given_once(length, clip_len, overlap, full_last):
    overlap = min(overlap, clip_len - 1)
    found = spans(length, clip_len, overlap, full_last)
    assert [t for _, gives, _ in found for t in gives] == list(range(length))
    for number, (sees, gives, shared) in enumerate(found):
        assert set(gives) <= set(sees)
        assert len(sees) <= clip_len
        assert shared == (len(set(sees) & set(found[number - 1][0])) if number else 0)
        if number and full_last:
            assert shared >= overlap
            assert len(sees) == clip_len


def test_all_at_once_and_nothing():
    assert [list(sees) for sees, _, _ in spans(50, None, 0)] == [list(range(50))]
    assert spans(0, 4, 2) == []
    with pytest.raises(ValueError, match='cannot share'):
        next(windows(range(9), 4, 4))


def test_a_stream_without_end_is_read_one_frame_ahead():
    stream = count()
    first, second = islice(windows(stream, 6, 2), 2)
    assert (first.new, second.new) == (list(range(6)), list(range(6, 10)))
    assert next(stream) == 11


def test_items_are_made_ahead_in_a_thread():
    made, closed, threads = [], [], set()

    def items():
        try:
            for number in range(3):
                made.append(threading.current_thread())
                yield number
            raise OSError('cannot be read')
        finally:
            closed.append(True)

    coming = ahead(items())
    assert next(coming) == 0
    assert next(coming) == 1
    assert next(coming) == 2
    with pytest.raises(OSError, match='cannot be read'):  # when its item is asked for, not before
        next(coming)
    threads.update(made)
    assert len(made) == 3
    assert threading.main_thread() not in threads
    assert closed
    closed.clear()
    coming = ahead(items())
    next(coming)
    coming.close()  # whoever stops early leaves no thread and no open file behind
    assert closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith('ahead')]
    assert list(ahead([])) == []


def test_whoever_leaves_waits_for_one_frame_and_not_for_a_window():
    left, seen = threading.Event(), []

    def frames():
        for number in range(100):
            seen.append(number)
            if number > 4:  # of the second window, which is being read when the first is used
                assert left.wait(20)
            yield number

    coming = ahead((window.new for window in windows(until(left, frames()), 4)), left)
    assert next(coming) == [0, 1, 2, 3]
    coming.close()
    assert len(seen) < 8


def test_features_are_those_of_the_frames_that_a_window_sees():
    everything = torch.arange(40.0).view(10, 4, 1, 1)
    features, seen = FeatureWindow(), 0
    for window in windows(range(10), 4, 2):
        fresh = everything[window.new]
        feats = features.extend([fresh, 10 * fresh], window.size)
        seen += len(fresh)
        assert torch.equal(feats[0], everything[seen - window.size : seen])
        assert torch.equal(feats[1], 10 * feats[0])
