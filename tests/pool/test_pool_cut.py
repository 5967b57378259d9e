from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import UsageError
from newtest.pool.cut import exact_cut, keys
from newtest.pool.uids import UID

SCORES = st.lists(
    st.one_of(
        st.sampled_from([0.0, -0.0, 0.25, 0.5, float("nan"), float("inf"), -1.0]),
        st.floats(-2, 2, allow_nan=False),
    ),
    max_size=60,
)


def pieces(
    scores: np.ndarray, uids: np.ndarray, size: int
) -> Callable[[str, Callable[[Any], Any]], Iterator[Any]]:
    def stream(columns: str, reduce: Callable[[Any], Any]) -> Iterator[Any]:
        for start in range(0, len(scores), size):
            part = slice(start, start + size)
            yield reduce(scores[part] if columns == "score" else (scores[part], uids[part]))

    return stream


@settings(deadline=None, max_examples=150)
@given(SCORES, st.sampled_from([0.1, 0.3, 0.5, 1.0]), st.integers(1, 20))
def test_exactly_n_rows_stay_whatever_the_pieces(values: list[float], fraction: float, size: int) -> None:
    scores = np.array(values, np.float64)
    uids = np.array([(0, (i * 7919) % 101) for i in range(len(values))], UID)
    cut = exact_cut(pieces(scores, uids, size), fraction)
    kept = cut.keep(scores, uids)
    valid = [(-s, u[1], i) for i, (s, u) in enumerate(zip(values, uids.tolist(), strict=True)) if s == s]
    n = min(int(fraction * len(values) + 1e-9), len(valid))
    assert sorted(np.flatnonzero(kept)) == sorted(i for _, _, i in sorted(valid)[:n])
    assert cut.without_score == len(values) - len(valid)


def test_keys_have_the_order_of_scores() -> None:
    scores = np.array([-np.inf, -2.5, -1e-300, 0.0, 1e-300, 0.3, np.inf])
    assert (np.diff(keys(scores).astype(object)) > 0).all()
    assert keys(np.array([-0.0])) == keys(np.array([0.0]))


@pytest.mark.parametrize("fraction", [0, -1, 1.01, float("nan")])
def test_a_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        exact_cut(pieces(np.zeros(1), np.zeros(1, UID), 1), fraction)
