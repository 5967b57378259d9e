from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import SourceError
from newtest.records import Query
from newtest.sources.slices import Slices, seconds_of

CAP, SIZE = 20, 5


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4000), max_size=300), st.integers(0, 2))
def test_slicing_finds_everything_and_asks_nothing_twice(times: list[int], crowd: int) -> None:
    """Against a server that gives the first CAP results of a window and repeats the last page beyond."""
    per_second = {moment: times.count(moment) for moment in times}
    photos = sorted(
        (moment, n) for moment, number in per_second.items() for n in range(min(number + crowd, CAP))
    )
    slices: Slices | None = Slices("uploaded", ((0, 4000),), SIZE)
    found, asked = set(), []
    while slices is not None:
        lo, hi = slices.windows[0]
        inside = [photo for photo in photos if lo <= photo[0] <= hi]
        served = inside[:CAP]
        last = max(1, -(-len(served) // SIZE))
        assert slices.page <= last + 1, "one page more shows that a full last one was the last"
        page = served[(slices.page - 1) * SIZE :][:SIZE]
        repeats = not page  # Flickr gives the last page again
        found |= set(page)
        asked.append((lo, hi, slices.page))
        slices = slices.after(len(inside), CAP, len(page) or SIZE, repeats=repeats)
        if slices is not None:
            assert Slices.parse(slices.text()) == slices
    assert found == set(photos)
    assert len(asked) == len(set(asked))


def test_a_second_that_holds_more_than_the_cap_ends_all_the_same() -> None:
    slices: Slices | None = Slices("uploaded", ((7, 7),), SIZE)
    pages = []
    while slices is not None:
        pages.append(slices.page)
        slices = slices.after(1000, CAP, SIZE)
    assert pages == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "axis", "first", "last"),
    [
        (
            Query("c", "t", taken_after="2012-07-11", taken_before="2013-07-11"),
            "taken",
            "2012-07-11",
            "2013-07-11",
        ),
        (Query("c", "t", uploaded_before="2013-07-11"), "uploaded", "2004-02-10", "2013-07-11"),
        (
            Query("c", "t", taken_after="2012-07-11", uploaded_after="2013-01-01"),
            "uploaded",
            "2013-01-01",
            "2020-01-01",
        ),
        (Query("c", "t"), "uploaded", "2004-02-10", "2020-01-01"),
    ],
)
def test_the_window_is_the_querys(query: Query, axis: str, first: str, last: str) -> None:
    slices = Slices.of(query, 100, today="2020-01-01")
    assert slices.axis == axis
    assert slices.windows == ((seconds_of(first, end=False), seconds_of(last, end=True)),)


@pytest.mark.parametrize("cursor", ["", "7", "[]", '["uploaded", 3, 4, 5]', '["uploaded", [["a", 1]], 4, 5]'])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(SourceError, match="cursor"):
        Slices.parse(cursor)
