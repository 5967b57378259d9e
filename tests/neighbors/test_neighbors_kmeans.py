"""Exact labels and exact sums: no backend, block or order of rows shows."""

from __future__ import annotations

import numpy as np
import pytest

from newtest.clip.encoder import unit_rows
from newtest.neighbors.kmeans import added, nearest, renewed, trained


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
    # Lloyd's rounds by the book, from the same first centroids.
    plain = trained(rows, 40, np.random.default_rng(5), 0)
    for _ in range(9):
        labels = ordered(rows, plain)[:, 0]
        plain = renewed(*added(rows, labels, 40))
    assert plain.tobytes() == made[0].tobytes()


def test_fewer_different_rows_than_clusters() -> None:
    rows = np.repeat(halves(6, 3), 5, axis=0)
    centroids = trained(rows, 6, np.random.default_rng(0))
    assert np.isfinite(centroids).all() and len(np.unique(nearest(rows, centroids))) == 3
