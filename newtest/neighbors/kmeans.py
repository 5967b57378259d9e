"""Spherical k-means whose result no device, thread, tile or chunk changes.

Labels are exact: products in float32 propose, and where the best is not ahead by more than their rounding, sums in
float64 decide (the lower centroid, where even these are equal). Sums of members are exact too: rows are float16, whose
values are whole multiples of 2^-24, and float64 adds 2^29 of them without rounding. So they may be added in any order.

Why not FAISS's k-means: FAISS is an extra, and its result depends on threads. Side by side in one run:
``benchmarks/results/kmeans-2cores-2026-11.md``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.neighbors.halves import widen, widened
from newtest.neighbors.lloyd import Labels, change_of, exactly, in_blocks
from newtest.neighbors.products import Centroids, multiplier, slack
from newtest.neighbors.threads import Room, threads

__all__ = ["ROUNDS", "Centroids", "added", "nearest", "renewed", "started", "trained"]

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]
BLOCK = 4096
CAREFUL = 256
"""Clusters up to which first centroids are spread (k-means++): with few the luck of the draw shows most."""
SPREAD_FROM = 8
"""Rows per cluster that they are chosen from."""
SHARED = 1024
"""Rows from which another thread is worth its start."""
FINE = np.float32(2048)
ROUNDS = 12
WIDENED = 1 << 27
"""Numbers of a sample that are kept as float32: 512 MiB."""


def nearest(
    rows: npt.NDArray[Any], centroids: Centroids, probe: int = 1, device: str = "auto", backend: str = "auto"
) -> Ints:
    """The ``probe`` centroids (k, d) with the largest products with each row (n, d), (n, probe), best first.

    Exact, as the module says; where there are fewer centroids than ``probe``, all. ``backend``: auto, numpy, torch.
    """
    probe, off = min(probe, len(centroids)), slack(centroids)
    multiply = multiplier(centroids, len(rows), device, backend)
    labels, room = np.empty((len(rows), probe), np.int64), Room()

    def work(block: slice) -> None:
        some = widened(rows[block], room.array(block.stop - block.start, centroids.shape[1]))
        found = multiply.best(some, probe, len(centroids))
        limits = off * np.sqrt(np.einsum("nd,nd->n", some, some))
        labels[block] = found.columns
        # Two neighbours in the order are too close to tell, or the next one might be among the best.
        close = np.flatnonzero((found.values[:, :-1] - found.values[:, 1:] <= limits[:, None]).any(axis=1))
        if len(close):
            floors = found.values[close, probe - 1] - limits[close]
            labels[block.start + close] = exactly(some[close], centroids, floors, probe)

    blocks = in_blocks(len(rows), multiply, len(centroids))
    with threads(len(blocks) if multiply.parallel else 1) as each:
        each(work, blocks)
    return labels


def added(rows: npt.NDArray[np.floating[Any]], labels: Ints, clusters: int) -> tuple[Doubles, Ints]:
    """The exact sum of each cluster's rows, (k, d), and how many they are, (k,)."""
    sums = np.zeros((clusters, rows.shape[1]))
    for start in range(0, len(rows), BLOCK):
        some = labels[start : start + BLOCK]
        met, change = change_of(rows[start : start + BLOCK], np.full(len(some), -1), some)
        sums[met] += change
    return sums, np.bincount(labels, minlength=clusters)


def renewed(sums: npt.NDArray[np.float64], counts: Ints) -> Centroids:
    """Unit centroids (k, d) of sums. One that lost all its rows takes half of the largest cluster's that is left, as in
    FAISS: both are the old one, with every other number a little larger in one and smaller in the other.
    """
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    centroids = sums / np.where(lengths > 0, lengths, 1)
    tilt = np.where(np.arange(sums.shape[1]) % 2, 1 + 2.0**-10, 1 - 2.0**-10)
    empty = np.flatnonzero(counts == 0)
    for lost, large in zip(empty, np.argsort(-counts, kind="stable"), strict=False):
        centroids[lost], centroids[large] = centroids[large] * tilt, centroids[large] / tilt
    return centroids.astype(np.float32)


def started(sample: Halves, clusters: int, draw: np.random.Generator) -> Centroids:
    """First centroids: rows of the sample. A few are spread by k-means++ (Arthur and Vassilvitskii 2007): each is drawn
    with a chance in proportion to its squared distance to the nearest that is there, the best of a few draws.
    """
    size = len(sample)
    if clusters > CAREFUL:
        return np.asarray(sample[np.sort(draw.choice(size, clusters, replace=False))], np.float32)
    some = np.sort(draw.choice(size, min(size, clusters * SPREAD_FROM), replace=False))
    rows = np.asarray(sample[some], np.float32)
    # Of whole numbers, whose products float32 adds without rounding: 2^11 times a unit row is less than 2^12 long.
    whole = np.rint(rows * FINE)
    away = whole @ whole.T
    lengths = away.diagonal().copy()
    away *= -2
    away += lengths
    away += lengths[:, None]
    tries = 2 + int(np.log(clusters))
    chosen = [int(draw.integers(len(rows)))]
    nearest_one = away[chosen[0]]
    while len(chosen) < clusters:
        total = np.cumsum(nearest_one, dtype=np.float64)
        drawn = np.searchsorted(total, draw.random(tries) * total[-1], "right")
        if not total[-1] > 0:  # no row is left that differs from those
            drawn = np.setdiff1d(np.arange(len(rows)), chosen)[:1]
        others = np.minimum(away[np.minimum(drawn, len(rows) - 1)], nearest_one)
        best = int(others.sum(axis=1, dtype=np.float64).argmin())
        chosen.append(int(min(drawn[best], len(rows) - 1)))
        nearest_one = others[best]
    return rows[chosen]


def trained(
    sample: Halves,
    clusters: int,
    draw: np.random.Generator,
    rounds: int = ROUNDS,
    device: str = "auto",
    backend: str = "auto",
) -> Centroids:
    """Unit centroids (k, d) of unit rows (n, d) in float16, by Lloyd's rounds, or fewer where nothing changes."""
    with threads(len(sample) // SHARED) as each:
        centroids, moved = started(sample, clusters, draw), np.zeros(clusters)
        rows: npt.NDArray[np.floating[Any]] = sample
        if sample.size <= WIDENED:  # else each round widens again
            rows = wide = np.empty(sample.shape, np.float32)
            each(partial(_widen, sample, wide), range(0, len(sample), BLOCK))
        state = Labels.of(rows, clusters)
        for _ in range(rounds):
            state.renew(centroids, moved, lambda some, size: multiplier(some, size, device, backend), each)
            new = renewed(state.sums, state.counts)
            moved = np.linalg.norm(new.astype(np.float64) - centroids, axis=1)
            if not moved.any():
                break
            centroids = new
    return centroids


def _widen(source: Halves, target: npt.NDArray[np.float32], start: int) -> None:
    widen(source[start : start + BLOCK], target[start : start + BLOCK])
