from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.quota import share

ids = st.lists(st.integers(0, 60).map(str), unique=True, max_size=40)


def test_the_quota_is_split_evenly_and_a_shortfall_goes_to_the_others() -> None:
    few, many = [f"a{n}" for n in range(3)], [f"b{n}" for n in range(50)]
    assert [len(part) for part in share(20, [few, many], [False, False]).taken] == [3, 17]
    assert [len(part) for part in share(20, [many, [f"c{n}" for n in range(50)]], [False, False]).taken] == [
        10,
        10,
    ]
    assert [len(part) for part in share(2, [many, few, ["c"]], [False] * 3).taken] == [1, 1, 0]


def test_it_stops_where_more_results_would_decide() -> None:
    assert share(10, [["a"], ["b"] * 1], [False, True]).wanted == 1
    assert share(10, [[], []], [True, True]).wanted == 0
    assert share(1, [["a"], []], [True, True]).wanted is None


def test_an_image_that_two_queries_found_counts_once() -> None:
    shared = share(4, [["x", "y", "z"], ["x", "y", "w", "v"]], [False, False])
    assert shared.taken == (("x", "y"), ("w", "v"))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 80), st.lists(ids, min_size=1, max_size=4))
def test_all_that_can_be_filled_is_filled_each_image_once(quota: int, found: list[list[str]]) -> None:
    taken = share(quota, found, [False] * len(found)).taken
    everything = {image for part in found for image in part}
    chosen = [image for part in taken for image in part]
    assert len(chosen) == len(set(chosen)) == min(quota, len(everything))
    for part, results in zip(taken, found, strict=True):
        assert list(part) == [image for image in results if image in part]


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 80), st.lists(ids, min_size=1, max_size=4), st.integers(1, 7))
def test_page_by_page_ends_where_one_look_ends(quota: int, found: list[list[str]], page: int) -> None:
    """Each page only extends what was taken before, so candidates need never be taken back."""
    seen = [0] * len(found)
    before: tuple[tuple[str, ...], ...] = tuple(() for _ in found)
    while True:
        part = share(
            quota,
            [results[:n] for results, n in zip(found, seen, strict=True)],
            [n < len(results) for results, n in zip(found, seen, strict=True)],
        )
        assert all(new[: len(old)] == old for new, old in zip(part.taken, before, strict=True))
        before = part.taken
        if part.wanted is None:
            break
        seen[part.wanted] += page
    assert before == share(quota, found, [False] * len(found)).taken
