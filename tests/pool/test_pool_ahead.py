"""Reading ahead in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from newtest.errors import PoolError
from newtest.pool.prefetch import read_ahead


def test_the_same_things_in_order_and_no_more_ahead_than_allowed() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    for taken, number in enumerate(read_ahead(source(), 5)):
        assert number == taken
        assert len(read) <= taken + 1 + 5 + 1  # taken, waiting, and one in the reader's hand


def test_errors_of_the_reader_are_raised_after_what_it_read() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise PoolError("a broken tar")

    stream = read_ahead(source(), 5)
    assert next(stream) == 1
    with pytest.raises(PoolError, match="a broken tar"):
        next(stream)


def test_left_early_it_leaves_no_thread() -> None:
    before = threading.active_count()
    with closing(read_ahead(iter(range(1_000_000)), 3)) as stream:
        assert next(stream) == 0
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
