"""Exact labels and exact sums: no backend, block or order of rows shows."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from newtest.clip.encoder import unit_rows
from newtest.neighbors import kmeans
from newtest.neighbors.halves import widened
from newtest.neighbors.kmeans import added, nearest, renewed, started, trained


def halves(seed: int, rows: int, width: int = 24, heaps: int = 8) -> np.ndarray:
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(heaps, width))
    return unit_rows(centres[draw.integers(0, heaps, rows)] + 0.6 * draw.normal(size=(rows, width))).astype(
        np.float16
    )


def ordered(rows: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The reference: float64 sums, the larger first, equal ones by their number."""
    products = (rows.astype(np.float64)[:, None] * centroids.astype(np.float64)[None]).sum(axis=2)
    return np.argsort(-products, axis=1, kind="stable")


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("probe", [1, 2, 3])
def test_labels_are_those_of_exact_sums(backend: str, probe: int) -> None:
    rows = halves(0, 700)
    centroids = rows[:30].astype(np.float32)
    centroids[7] = centroids[3]  # a tie: the lower number comes first
    centroids[8] = np.nextafter(centroids[3], 1)
    found = nearest(rows, centroids, probe, backend=backend)
    assert np.array_equal(found, ordered(rows, centroids)[:, :probe])
    assert np.array_equal(nearest(rows, centroids[:2], 5, backend=backend), ordered(rows, centroids[:2]))


def test_sums_do_not_depend_on_the_order() -> None:
    rows = halves(1, 5000)
    labels = np.random.default_rng(2).integers(0, 7, 5000)
    order = np.random.default_rng(3).permutation(5000)
    sums, counts = added(rows, labels, 8)
    again, _ = added(rows[order], labels[order], 8)
    parts = sum(added(rows[some], labels[some], 8)[0] for some in np.array_split(order, 9))
    assert sums.tobytes() == again.tobytes() == np.asarray(parts).tobytes()
    assert np.array_equal(counts, np.bincount(labels, minlength=8))


def test_a_cluster_without_rows_takes_half_of_the_largest() -> None:
    sums = np.array([[3.0, 0], [0, 0], [0, 9.0]])
    centroids = renewed(sums, np.array([3, 0, 9]))
    assert np.allclose(centroids, [[1, 0], [0, 1], [0, 1]], atol=2e-3)
    assert not np.array_equal(centroids[1], centroids[2])


def test_both_backends_train_the_same_centroids_and_skipped_rows_lose_nothing() -> None:
    rows = halves(4, 3000)
    made = [trained(rows, 40, np.random.default_rng(5), 9, backend=name) for name in ("numpy", "torch")]
    assert made[0].tobytes() == made[1].tobytes()
    assert by_the_book(rows, 40, 5, 9).tobytes() == made[0].tobytes()


def by_the_book(rows: np.ndarray, clusters: int, seed: int, rounds: int) -> np.ndarray:
    """Lloyd's rounds, from the same first centroids."""
    plain = trained(rows, clusters, np.random.default_rng(seed), 0)
    for _ in range(rounds):
        plain = renewed(*added(rows, ordered(rows, plain)[:, 0], clusters))
    return plain


@pytest.mark.parametrize(
    ("rows", "clusters", "heaps", "copies"),
    [
        (2500, 130, 90, 1),
        (1500, 60, 400, 1),
        (1200, 90, 60, 12),
        (900, 300, 5, 1),
        (40, 1, 3, 1),
        (7, 7, 7, 1),
    ],
)
def test_what_is_skipped_changes_nothing(rows: int, clusters: int, heaps: int, copies: int) -> None:
    some = np.repeat(halves(rows, rows // copies, heaps=heaps), copies, axis=0)
    made = trained(some, clusters, np.random.default_rng(8), 12)
    assert made.tobytes() == by_the_book(some, clusters, 8, 12).tobytes()


def test_neither_threads_nor_a_sample_left_in_halves_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = halves(9, 6000)
    one = trained(rows, 60, np.random.default_rng(1))
    with threadpool_limits(1):
        assert trained(rows, 60, np.random.default_rng(1)).tobytes() == one.tobytes()
        alone = nearest(rows, one, 2)
    assert np.array_equal(nearest(rows, one, 2), alone)
    monkeypatch.setattr(kmeans, "WIDENED", 0)
    assert trained(rows, 60, np.random.default_rng(1)).tobytes() == one.tobytes()


def test_first_centroids_do_not_depend_on_the_order_of_sums() -> None:
    rows = halves(10, 400)
    order = np.random.default_rng(0).permutation(rows.shape[1])
    chosen, other = (started(some, 30, np.random.default_rng(2)) for some in (rows, rows[:, order]))
    assert np.array_equal(chosen[:, order], other)


@pytest.mark.parametrize("flushed", [False, True])
def test_every_half_is_widened_exactly(flushed: bool) -> None:
    """Also where a library has told the processor to take the smallest numbers for 0."""
    import torch

    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)].reshape(-1, 2)
    expected = every.astype(np.float32)
    torch.set_flush_denormal(flushed)
    try:
        for cut in (np.s_[:], np.s_[::3], np.s_[:, ::-1], np.s_[:0]):
            assert widened(every[cut]).tobytes() == expected[cut].tobytes()
    finally:
        torch.set_flush_denormal(False)


def test_fewer_different_rows_than_clusters() -> None:
    rows = np.repeat(halves(6, 3), 5, axis=0)
    centroids = trained(rows, 6, np.random.default_rng(0))
    assert np.isfinite(centroids).all() and len(np.unique(nearest(rows, centroids))) == 3
