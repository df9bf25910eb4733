"""Windows over a stream of frames, and the query that goes on with its object; no model but hand-made ones."""

from itertools import count, islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ifirvos.long_video import FeatureWindow, QueryLinker, agreement, windows


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


def test_features_are_those_of_the_frames_that_a_window_sees():
    everything = torch.arange(40.0).view(10, 4, 1, 1)
    features, seen = FeatureWindow(), 0
    for window in windows(range(10), 4, 2):
        fresh = everything[window.new]
        feats = features.extend([fresh, 10 * fresh], window.size)
        seen += len(fresh)
        assert torch.equal(feats[0], everything[seen - window.size : seen])
        assert torch.equal(feats[1], 10 * feats[0])


# ---------------------------------------------------------------------- linking
LEFT, RIGHT = torch.zeros(2, 4, 6), torch.zeros(2, 4, 6)
LEFT[:, :, :3], RIGHT[:, :, 3:] = 1, 1


def logits(*masks):
    """bool-like (T, h, w) of each query -> (T, N, h, w)."""
    return torch.stack(masks, 1) * 2 - 1


def test_agreement_by_hand():
    half = LEFT.clone()
    half[1] = 0  # in one of two frames only
    assert agreement(logits(LEFT, RIGHT, half) > 0, LEFT > 0).tolist() == [1, 0, 0.5]
    assert agreement(torch.zeros(2, 1, 4, 6) > 0, LEFT > 0).tolist() == [0]


def link(scores, *masks, weight=0.5, before=LEFT, shared=2):
    linker = QueryLinker(weight)
    linker.remember(before * 2 - 1)
    linker.begin(shared)
    return linker.choose(torch.tensor(scores).expand(5, -1), lambda n: logits(*masks)[:n])


def test_the_query_follows_the_object_unless_another_is_clearly_better():
    assert link([0.7, 0.4], RIGHT, LEFT) == 1, '0.7 against 0.4 + 0.5'
    assert link([0.95, 0.4], RIGHT, LEFT) == 0, '0.95 against 0.4 + 0.5'
    assert link([0.7, 0.4], RIGHT, LEFT, weight=0) == 0
    assert link([0.7, 0.4], LEFT, RIGHT) == 0


def test_the_score_decides_where_nothing_can_be_compared():
    assert link([0.7, 0.4], RIGHT, LEFT, shared=0) == 0
    assert link([0.7, 0.4], RIGHT, LEFT, before=torch.zeros(2, 4, 6)) == 0, 'the object was not in the shared frames'
    fresh = QueryLinker()
    fresh.begin(0)
    assert fresh.choose(torch.tensor([[0.1, 0.9]]), lambda n: pytest.fail('nothing to draw')) == 1


def test_the_last_frames_of_the_window_before_are_compared():
    before = torch.cat([RIGHT, LEFT])  # the object went from right to left
    assert link([0.5, 0.4], RIGHT, LEFT, before=before) == 1
