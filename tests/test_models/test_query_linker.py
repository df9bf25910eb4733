"""QueryLinker: which query goes on with the object of the window before."""

import pytest
import torch

from ifirvos.models.query_linker import QueryLinker, agreement

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
