from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.sampling.histogram import at_least, bin_labels, bin_of, largest_remainder

EDGES = (0.2, 0.4, 0.6, 0.8)


@pytest.mark.parametrize(
    ("counts", "scaled"),
    [
        ([0, 1, 1, 1, 0], [0, 3, 3, 4, 0]),
        ([1, 2, 3, 5, 9], [0, 1, 1, 3, 5]),
        ([1, 1, 2, 4, 13], [0, 1, 1, 2, 6]),
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
        ([1, 1, 1, 1, 1], [2, 2, 2, 2, 2]),
    ],
)
def test_the_published_examples_of_rounding(counts: list[int], scaled: list[int]) -> None:
    assert largest_remainder(counts, 10).tolist() == scaled


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 500))
def test_rounding_keeps_the_total_and_stays_within_one(counts: list[int], total: int) -> None:
    scaled = largest_remainder(counts, total)
    if sum(counts) == 0:
        assert scaled.sum() == 0
        return
    assert scaled.sum() == total
    for count, got in zip(counts, scaled.tolist(), strict=True):
        share = Fraction(count * total, sum(counts))
        assert int(share) <= got <= int(share) + 1
        assert got == share or share.denominator > 1


def test_rows_are_scaled_one_by_one() -> None:
    rows = np.array([[0, 1, 1, 1, 0], [1, 2, 3, 5, 9], [0, 0, 0, 0, 0]])
    assert largest_remainder(rows, 10).tolist() == [largest_remainder(row, 10).tolist() for row in rows]


def test_edges_belong_to_the_bin_above_exactly() -> None:
    selected, shown = np.arange(11), np.full(11, 10)
    assert bin_of(selected, shown, EDGES).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
    # 0.6 * 5 and 0.7 * 10 are off by an ulp in floating point; the counts are not.
    assert bin_of(np.array([3, 6, 60]), np.array([5, 10, 100]), EDGES).tolist() == [3, 3, 3]
    assert at_least(np.array([7, 69, 70, 0]), np.array([10, 100, 100, 0]), 0.7).tolist() == [
        True,
        False,
        True,
        False,
    ]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bins_agree_with_fractions(counts: tuple[int, int]) -> None:
    k, n = counts
    expected = sum(Fraction(k, n) >= Fraction(edge) for edge in ("0.2", "0.4", "0.6", "0.8"))
    assert bin_of(np.array([k]), np.array([n]), EDGES).tolist() == [expected]


def test_labels_say_which_side_is_closed() -> None:
    assert bin_labels(EDGES) == ("[0,0.2)", "[0.2,0.4)", "[0.4,0.6)", "[0.6,0.8)", "[0.8,1]")
    assert bin_labels(()) == ("[0,1]",)
