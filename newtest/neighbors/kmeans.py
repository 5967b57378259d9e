"""Spherical k-means whose result no device, thread, tile or chunk changes.

Labels are exact: products in float32 propose, and where the best is not ahead by more than their rounding, sums in
float64 decide (the lower centroid, where even these are equal). Sums of members are exact too: rows are float16, whose
values are whole multiples of 2^-24, and float64 adds 2^29 of them without rounding. So they may be added in any order.

Why not FAISS's k-means: FAISS is an extra, and its result depends on threads. Side by side in one run:
``benchmarks/results/kmeans-2cores-2026-11.md``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from newtest.neighbors.rows import Rows, similarities

__all__ = ["ROUNDS", "Centroids", "added", "nearest", "renewed", "started", "trained"]

Ints = npt.NDArray[np.int64]
Centroids = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
PRODUCTS = 1 << 22
"""Products that are looked at at a time: what a core's cache and its neighbours' hold."""
BLOCK = 4096
CAREFUL = 256
"""Clusters up to which first centroids are spread (k-means++): with few the luck of the draw shows most."""
SPREAD_FROM = 16
"""Rows per cluster that they are chosen from."""
ROUNDS = 12
LONGEST = 1.01
"""No unit row in float16 is longer."""
WIDENED = 1 << 27
"""Numbers of a sample that are kept as float32: 512 MiB."""
LARGE = 2e10
"""Multiplications of a round from which importing torch pays."""


class _Multiplies(Protocol):
    """Best columns of products of rows with centroids."""

    def best(self, rows: npt.NDArray[np.float32], most: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Columns (n, most) of the largest products, best first, and ``most`` + 1 products, the next one last."""
        ...


class _Numpy:
    def __init__(self, centroids: Centroids) -> None:
        self.turned = np.ascontiguousarray(centroids.T)
        self.products = np.empty((0, 0), np.float32)

    def best(self, rows: npt.NDArray[np.float32], most: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        shape = (len(rows), self.turned.shape[1])
        if self.products.shape != shape:  # fresh pages for each block would cost a third of the products
            self.products = np.empty(shape, np.float32)
        products = np.matmul(rows, self.turned, out=self.products)
        each = np.arange(len(rows))
        columns = np.empty((len(rows), most), np.int64)
        values = np.full((len(rows), most + 1), -np.inf, np.float32)
        for place in range(min(most, products.shape[1])):
            columns[:, place] = products.argmax(axis=1)
            values[:, place] = products[each, columns[:, place]]
            products[each, columns[:, place]] = -np.inf
        if products.shape[1] > most:
            values[:, most] = products.max(axis=1)
        return columns, values


class _Torch:
    """float32 on the CPU or on CUDA, where torch's default keeps it from being rounded to fewer bits."""

    def __init__(self, centroids: Centroids, device: str) -> None:
        import torch

        self.torch, self.device = torch, device
        if device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.turned = torch.from_numpy(np.ascontiguousarray(centroids.T)).to(self.device)

    def best(self, rows: npt.NDArray[np.float32], most: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        products = self.torch.from_numpy(rows).to(self.device) @ self.turned
        columns, values = [], []
        for _ in range(most):
            value, column = products.max(dim=1)
            products.scatter_(1, column[:, None], -float("inf"))
            columns.append(column)
            values.append(value)
        values.append(products.amax(dim=1))
        stacked = (
            self.torch.stack(columns, dim=1).cpu().numpy(),
            self.torch.stack(values, dim=1).cpu().numpy(),
        )
        return np.asarray(stacked[0], np.int64), np.asarray(stacked[1], np.float32)


def nearest(
    rows: npt.NDArray[Any], centroids: Centroids, probe: int = 1, device: str = "auto", backend: str = "auto"
) -> Ints:
    """The ``probe`` centroids (k, d) with the largest products with each row (n, d), (n, probe), best first.

    Exact, as the module says; where there are fewer centroids than ``probe``, all. ``backend``: auto, numpy, torch.
    """
    return _scored(
        rows, centroids, min(probe, len(centroids)), _multiplier(rows, centroids, device, backend)
    )[0]


def _scored(
    rows: npt.NDArray[Any], centroids: Centroids, probe: int, multiply: _Multiplies
) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Labels (n, probe), and the products with these and with the next best, (n, probe + 1), but for rounding."""
    labels = np.empty((len(rows), probe), np.int64)
    scores = np.empty((len(rows), probe + 1), np.float32)
    limits = np.empty(len(rows), np.float32)
    base, slack = Rows.open(centroids), _slack(centroids)
    step = max(min(PRODUCTS // max(len(centroids), 1), BLOCK), 64)
    for start in range(0, len(rows), step):
        some = np.asarray(rows[start : start + step], np.float32)
        columns, values = multiply.best(some, probe)
        limits[start : start + step] = slack * np.sqrt(np.einsum("nd,nd->n", some, some))
        labels[start : start + step], scores[start : start + step] = columns, values
    # Where two neighbours in the order are too close to tell, and where the next one might be among the best.
    close = np.flatnonzero((scores[:, :-1] - scores[:, 1:] <= limits[:, None]).any(axis=1))
    for start in range(0, len(close), step):
        part = close[start : start + step]
        some = np.asarray(rows[part], np.float32)
        labels[part] = _exactly(some, base, scores[part, probe - 1] - limits[part], probe)
    return labels, scores


def _slack(centroids: Centroids) -> float:
    """Twice what a float32 product of a row of length 1 with a centroid may be off."""
    longest = float(np.sqrt(np.einsum("kd,kd->k", centroids, centroids).max(initial=0.0)))
    return float(2.002 * (centroids.shape[1] + 8) * 2.0**-24 * longest)


def _exactly(
    rows: npt.NDArray[np.float32], base: Rows, floors: npt.NDArray[np.floating[Any]], probe: int
) -> Ints:
    """The best centroids of each row by float64 sums, of those whose product is at least the row's floor."""
    i, j = np.nonzero(rows @ base.values.T >= floors[:, None])
    exact = similarities(Rows(rows, 1.0, 1.0), base, i, j)
    order = np.lexsort((j, -exact, i))
    i, j = i[order], j[order]
    return np.asarray(
        j[np.arange(len(i)) - np.searchsorted(i, i) < probe].reshape(len(rows), probe), np.int64
    )


def added(
    rows: npt.NDArray[np.floating[Any]], labels: Ints, clusters: int
) -> tuple[npt.NDArray[np.float64], Ints]:
    """The exact sum of each cluster's rows, (k, d), and how many they are, (k,)."""
    sums = np.zeros((clusters, rows.shape[1]))
    for start in range(0, len(rows), BLOCK):
        some, of_some = rows[start : start + BLOCK].astype(np.float64), labels[start : start + BLOCK]
        met, places = np.unique(of_some, return_inverse=True)
        ones = (np.ones(len(some)), (places, np.arange(len(some))))
        sums[met] += csr_array(ones, shape=(len(met), len(some))) @ some
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
    # Squared distances, rounded to what no library's sums differ by.
    away = np.maximum(np.round((2 - 2 * (rows @ rows.T)) * np.float32(4096)), 0)
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
    # float16 is slow to convert, and each round would; a large sample is left as it is.
    rows = np.asarray(sample, np.float32) if sample.size <= WIDENED else sample
    centroids = started(sample, clusters, draw)
    labels, sure = np.full(len(rows), -1), np.full(len(rows), -np.inf)
    sums, counts = np.zeros(centroids.shape), np.zeros(clusters, np.int64)
    for _ in range(rounds):
        # A centroid that moved by m changed its product with a unit row by m at most (Hamerly 2010).
        redo = np.flatnonzero(sure <= 2 * _slack(centroids))
        some = rows if len(redo) == len(rows) else rows[redo]
        found, scores = _scored(some, centroids, 1, _multiplier(some, centroids, device, backend))
        other = redo[found[:, 0] != labels[redo]]
        left = other[labels[other] >= 0]
        for sign, changed in ((-1, left), (1, other)):  # exact sums may be taken from, too
            labels[redo] = np.where(sign > 0, found[:, 0], labels[redo])
            change, of_each = added(rows[changed], labels[changed], clusters)
            sums += sign * change
            counts += sign * of_each
        sure[redo] = (scores[:, 0] - scores[:, 1]) / LONGEST
        new = renewed(sums, counts)
        moved = np.linalg.norm(new.astype(np.float64) - centroids, axis=1)
        if not moved.any():
            break
        centroids, sure = new, sure - moved[labels] - moved.max()
    return centroids


def _multiplier(rows: npt.NDArray[Any], centroids: Centroids, device: str, backend: str) -> _Multiplies:
    cuda = device.startswith("cuda")
    large = float(len(rows)) * centroids.size >= LARGE
    if backend == "numpy" or (backend == "auto" and not cuda and not (large and find_spec("torch"))):
        return _Numpy(centroids)
    return _Torch(centroids, device)
