"""The Hamming join equals counting every pair, whatever the sizes, radii and skew."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import UsageError
from newtest.neighbors import hamming, hamming_pairs, multi_index
from newtest.neighbors.multi_index import chunks, close_by, cost


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


def counted(queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The distance of every pair."""
    return np.stack([np.bitwise_count(query ^ base).sum(axis=1) for query in queries])


@pytest.mark.parametrize("radius", [0, 8, 17, 22, 26, 48])
@pytest.mark.parametrize(("left", "right"), [(300, 1000), (1000, 300)])
def test_joins_by_chunks_find_every_pair(
    radius: int, left: int, right: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large joins go: by chunks, in several slabs and pieces, whichever side is the larger."""
    monkeypatch.setattr(sys.modules[hamming.__module__], "COUNTED", 1e9)
    monkeypatch.setattr(sys.modules[hamming.__module__], "SLAB", 400)
    monkeypatch.setattr(multi_index, "BLOCK", 5000)
    queries, base = clusters(1, left, 144), clusters(1, right, 144)
    i, j, distance = hamming_pairs(queries, base, radius, bits=144)
    expected = counted(queries, base)
    rows, columns = np.nonzero(expected <= radius)
    assert np.array_equal(i, rows) and np.array_equal(j, columns)
    assert np.array_equal(distance, expected[rows, columns])


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    radius=st.integers(0, 40),
    bits=st.sampled_from([40, 64, 100, 144, 192]),
    number=st.integers(2, 20),
)
def test_any_cut_into_chunks_finds_every_pair(seed: int, radius: int, bits: int, number: int) -> None:
    """A chunk gives the pairs that agree in it within its tolerance; the chunks together give all."""
    queries, base = clusters(seed, 40, bits), clusters(seed + 1, 50, bits)
    plan = [chunk for chunk in chunks(bits, radius, number) if chunk.lookups < 3000]
    near, within = counted(queries, base) <= radius, np.zeros((40, 50), bool)
    for chunk in plan:
        expected = near & (
            counted(chunk.keys(queries)[:, None], chunk.keys(base)[:, None]) <= chunk.tolerance
        )
        rows, columns = close_by(chunk, queries, base, radius, bits)
        found = np.zeros_like(near)
        found[rows, columns] = True
        assert len(rows) == found.sum() and np.array_equal(found, expected)
        within |= found
    if len(plan) == len(chunks(bits, radius, number)) > 0:
        assert np.array_equal(within, near)


def test_chunks_cover_the_bits_and_leave_no_pair_out() -> None:
    for bits, radius, number in [
        (144, 22, 8),
        (144, 22, 9),
        (64, 5, 6),
        (144, 60, 9),
        (100, 3, 7),
        (192, 30, 8),
    ]:
        plan = chunks(bits, radius, number)
        assert sum(chunk.tolerance + 1 for chunk in plan) == radius + 1
        covered = sorted(place for chunk in plan for place in range(chunk.low, chunk.low + chunk.width))
        assert len(set(covered)) == len(covered) and set(covered) <= set(range(bits))
        assert all(len(set(chunk.masks().tolist())) == chunk.lookups for chunk in plan)
    assert chunks(144, 22, 5) == []  # 29 bits would need a table of 2 GB


def test_wider_chunks_are_taken_for_more_rows() -> None:
    narrow, wide = chunks(144, 22, 11), chunks(144, 22, 8)
    assert cost(narrow, 300, 3000) < cost(wide, 300, 3000)
    assert cost(narrow, 20_000, 4_000_000) > cost(wide, 20_000, 4_000_000)


def test_nothing_against_nothing() -> None:
    empty = np.empty((0, 3), np.uint64)
    assert all(len(part) == 0 for part in hamming_pairs(empty, empty, 5))
    assert all(len(part) == 0 for part in hamming_pairs(clusters(0, 3, 144), empty, 5))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="one width"):
        hamming_pairs(np.zeros((2, 3), np.uint64), np.zeros((2, 1), np.uint64), 4)
    with pytest.raises(UsageError, match="1 to 64 bits, got 65"):
        hamming_pairs(np.zeros((2, 1), np.uint64), np.zeros((2, 1), np.uint64), 4, bits=65)
    assert hamming(np.zeros(3, np.uint64), np.full(3, 2**64 - 1, np.uint64)) == 192
