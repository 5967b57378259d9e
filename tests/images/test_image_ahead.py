"""Pictures decoded ahead: in order, few under way, none left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from newtest.images.ahead import decoded_ahead


def late(number: int) -> int:
    time.sleep(0.002 if number % 3 == 0 else 0)
    return number * number


@pytest.mark.parametrize(("ahead", "threads"), [(0, 1), (0, 2), (4, 3)])
def test_the_order_is_that_of_the_things_whoever_is_ready_first(ahead: int, threads: int) -> None:
    batches = list(decoded_ahead(range(50), late, batch=8, ahead=ahead, threads=threads))
    assert [len(batch) for batch in batches] == [8] * 6 + [2]
    assert [square for batch in batches for square in batch] == [number * number for number in range(50)]


def test_no_more_is_under_way_than_allowed() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    for taken, batch in enumerate(decoded_ahead(source(), late, batch=5, ahead=2, threads=2)):
        assert len(batch) == 5
        assert len(read) <= (taken + 3) * 5


def test_errors_are_raised_and_a_stream_left_early_leaves_no_thread() -> None:
    before = threading.active_count()
    with closing(decoded_ahead(range(10**9), late, batch=4, ahead=1, threads=3)) as stream:
        assert next(stream) == [0, 1, 4, 9]
    assert threading.active_count() == before
    with pytest.raises(ZeroDivisionError):
        list(decoded_ahead([1, 0], lambda number: 1 / number, batch=2, ahead=0, threads=2))
    assert threading.active_count() == before


def test_nothing_gives_no_batch() -> None:
    assert list(decoded_ahead([], late, batch=4, ahead=1, threads=2)) == []
