"""The Hamming join equals counting every pair, whatever the sizes, radii and skew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import UsageError
from newtest.neighbors import hamming, hamming_pairs
from newtest.neighbors import hamming as hamming_function
from newtest.neighbors.hamming import BUDGET, _tolerances


def every_pair(queries: np.ndarray, base: np.ndarray, radius: int) -> set[tuple[int, int, int]]:
    return {
        (i, j, int(hamming(a, b)))
        for i, a in enumerate(queries)
        for j, b in enumerate(base)
        if int(hamming(a, b)) <= radius
    }


def clusters(seed: int, count: int, bits: int) -> np.ndarray:
    """Hashes around a few centres, so that all distances occur."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2, (5, bits), dtype=np.uint8)
    flipped = centres[rng.integers(0, 5, count)] ^ (
        rng.random((count, bits)) < rng.choice([0.01, 0.08, 0.2], (count, 1))
    )
    octets = np.zeros((count, -(-bits // 64) * 8), np.uint8)
    octets[:, : -(-bits // 8)] = np.packbits(flipped.astype(np.uint8), axis=1, bitorder="little")
    return octets.view(np.uint64)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), radius=st.integers(0, 40), bits=st.sampled_from([64, 100, 144]))
def test_small_joins_find_every_pair(seed: int, radius: int, bits: int) -> None:
    queries, base = clusters(seed, 30, bits), clusters(seed + 1, 40, bits)
    found = set(zip(*(x.tolist() for x in hamming_pairs(queries, base, radius, bits=bits)), strict=True))
    assert found == every_pair(queries, base, radius)


@pytest.mark.parametrize("radius", [0, 8, 17, 22, 26])
def test_indexed_joins_find_every_pair(radius: int) -> None:
    queries, base = clusters(1, 1500, 144), clusters(1, 4000, 144)
    assert len(queries) * len(base) > BUDGET  # so the index is used
    i, j, distance = hamming_pairs(queries, base, radius, bits=144)
    expected = np.concatenate([np.bitwise_count(query ^ base).sum(axis=1)[None] for query in queries])
    rows, columns = np.nonzero(expected <= radius)
    assert np.array_equal(i, rows) and np.array_equal(j, columns)
    assert np.array_equal(distance, expected[rows, columns])


def test_tolerances_leave_no_pair_out() -> None:
    for radius in range(60):
        assert sum(t + 1 for t in _tolerances(radius, [16] * 9)) >= radius + 1


def test_nothing_against_nothing() -> None:
    empty = np.empty((0, 3), np.uint64)
    assert all(len(part) == 0 for part in hamming_pairs(empty, empty, 5))
    assert all(len(part) == 0 for part in hamming_pairs(clusters(0, 3, 144), empty, 5))


def test_other_widths_are_refused() -> None:
    with pytest.raises(UsageError, match="one width"):
        hamming_pairs(np.zeros((2, 3), np.uint64), np.zeros((2, 1), np.uint64), 4)
    assert hamming_function(np.zeros(3, np.uint64), np.full(3, 2**64 - 1, np.uint64)) == 192
