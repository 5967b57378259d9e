from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import UsageError
from newtest.pool.filtering.quantile import Stream, Tied, bounds, exact_cut, halves
from newtest.pool.storage.uids import UID, Uids

SCORES = st.lists(
    st.one_of(
        st.sampled_from([0.0, -0.0, 0.25, 0.5, float("nan"), float("inf"), -1.0]),
        st.floats(-2, 2, allow_nan=False),
    ),
    max_size=60,
)


def stream(scores: np.ndarray, size: int) -> Stream:
    def pieces(reduce: Callable[[Any], Any]) -> Iterator[Any]:
        for start in range(0, len(scores), size):
            # Shards of one pool may have their scores in either precision.
            part = scores[start : start + size]
            exact = (part.astype(np.float32).astype(np.float64) == part) | np.isnan(part)
            yield reduce(part.astype(np.float32) if exact.all() else part)

    return pieces


def tied(scores: np.ndarray, uids: np.ndarray, size: int) -> Tied:
    def pieces(score: float) -> Iterator[tuple[Uids, np.ndarray]]:
        for start in reversed(range(0, len(scores), size)):
            rows = start + np.flatnonzero(scores[start : start + size] == score)
            yield uids[rows], rows

    return pieces


@settings(deadline=None, max_examples=200)
@given(SCORES, st.sampled_from([0.1, 0.3, 0.5, 1.0]), st.integers(1, 20), st.sampled_from([3, 101]))
def test_exactly_n_rows_stay_whatever_the_pieces(
    values: list[float], fraction: float, size: int, distinct: int
) -> None:
    scores = np.array(values, np.float64)
    uids = np.array([(0, (i * 7919) % distinct) for i in range(len(values))], UID)
    cut = exact_cut(stream(scores, size), tied(scores, uids, size), fraction)
    kept = cut.keep(scores, lambda rows: (uids[rows], rows))
    valid = [(-s, u[1], i) for i, (s, u) in enumerate(zip(values, uids.tolist(), strict=True)) if s == s]
    n = min(int(fraction * len(values) + 1e-9), len(valid))
    assert sorted(np.flatnonzero(kept)) == sorted(i for _, _, i in sorted(valid)[:n])
    assert cut.without_score == len(values) - len(valid)


def test_more_ties_than_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newtest.pool.filtering.quantile._HELD_TIES", 10)
    scores = np.zeros(500)
    uids = np.array([(i * 7919 % 503, 0) for i in range(500)], UID)
    cut = exact_cut(stream(scores, 7), tied(scores, uids, 7), 0.3)
    kept = cut.keep(scores, lambda rows: (uids[rows], rows))
    assert sorted(uids["f0"][kept]) == sorted(uids["f0"])[:150]


@settings(deadline=None, max_examples=100)
@given(SCORES)
def test_bins_hold_the_scores_that_are_counted_in_them_and_rise_with_them(values: list[float]) -> None:
    scores = np.sort(
        np.array([value for value in values if value == value] + [3e38, -1e-300, 1e-300, -np.inf])
    )
    for precise in (np.append(scores, 1e300), scores.astype(np.float32)):
        found = [bounds(half) for half in halves(precise).tolist()]
        with np.errstate(over="ignore"):
            rounded = precise.astype(np.float32)
        for score, (low, high) in zip(rounded, found, strict=True):
            assert low <= score <= high
        assert found == sorted(found)


def test_bins_do_not_overlap() -> None:
    infinite = 0x7F80
    rising = [half | 0x8000 for half in range(infinite, 0, -1)] + list(range(infinite + 1))
    ends = np.array([bounds(half) for half in rising])
    assert (ends[1:, 0] > ends[:-1, 1]).all() and (ends[:, 0] <= ends[:, 1]).all()
    assert bounds(0x8000) == bounds(0)


@pytest.mark.parametrize("fraction", [0, -1, 1.01, float("nan")])
def test_a_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        exact_cut(stream(np.zeros(1), 1), tied(np.zeros(1), np.zeros(1, UID), 1), fraction)
