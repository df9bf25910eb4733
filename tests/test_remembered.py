"""Functions are called once inside a block, and as ever outside."""

import threading

import pytest

from ifirvos.remembered import remembered, remembering


def counted() -> tuple:
    calls = []

    @remembered
    def double(x: int) -> list[int]:
        calls.append(x)
        if x < 0:
            raise ValueError(x)
        return [2 * x]

    return double, calls


def test_once_inside_a_block_and_each_time_outside():
    double, calls = counted()
    assert double(1) == double(1) == [2]
    assert calls == [1, 1]
    with remembering():
        assert double(2) is double(2)
        assert double(3) == [6]
        assert calls == [1, 1, 2, 3]
    assert double(2) == [4]
    with remembering():
        assert double(2) == [4]
    assert calls == [1, 1, 2, 3, 2, 2]


def test_functions_are_told_apart():
    (double, _), (other, calls) = counted(), counted()
    with remembering():
        double(1)
        other(1)
    assert calls == [1]


def test_errors_are_not_remembered():
    double, calls = counted()
    with remembering():
        for _ in range(2):
            with pytest.raises(ValueError, match='-1'):
                double(-1)
    assert calls == [-1, -1]


def test_other_threads_do_not_share():
    double, calls = counted()
    with remembering():
        double(1)
        thread = threading.Thread(target=double, args=(1,))
        thread.start()
        thread.join()
    assert calls == [1, 1]
