"""Spherical k-means over memory-mapped unit rows, and SemDeDup's join within clusters with its recall.

Why not FAISS's k-means: FAISS is an extra, and its draws are its own. Ours takes a half to a quarter of its CPU time;
the mean cosine to the centroid is .710 for both with 100 clusters, .662 against .678 with 20
(``benchmarks/results/own-code-2cores-2026-11.md``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from newtest.clip.encoder import unit_rows
from newtest.draws import generator

__all__ = ["Clustered", "assigned", "clustered", "kmeans"]

Ints = npt.NDArray[np.int64]
BLOCK = 8192
TRAIN_PER_CLUSTER = 256
RECALL_ROWS = 20_000


@dataclass(frozen=True)
class Clustered:
    """Pairs within clusters, and what is said of them."""

    left: Ints
    right: Ints
    closeness: npt.NDArray[np.float32]
    details: dict[str, Any] = field(default_factory=dict)


def kmeans(vectors: npt.NDArray[Any], clusters: int, seed: int, rounds: int = 12) -> npt.NDArray[np.float32]:
    """Unit centroids, shape (k, d), by Lloyd's rounds over at most 256 rows a cluster, drawn with the seed.

    A cluster that loses all its rows is given the row that is worst off.
    """
    draw = generator(seed, "kmeans", str(len(vectors)), str(clusters))
    size = min(len(vectors), clusters * TRAIN_PER_CLUSTER)
    sample = np.asarray(vectors[np.sort(draw.choice(len(vectors), size, replace=False))], np.float32)
    centroids = sample[np.sort(draw.choice(size, clusters, replace=False))]
    ones = np.ones(size, np.float32)
    for _ in range(rounds):
        labels, closeness = assigned(sample, centroids)
        members = csr_array((ones, (labels, np.arange(size))), shape=(clusters, size))
        sums = np.asarray(members @ sample)
        empty = np.flatnonzero(np.bincount(labels, minlength=clusters) == 0)
        sums[empty] = sample[np.argsort(closeness, kind="stable")[: len(empty)]]
        updated = unit_rows(sums)
        if np.array_equal(updated, centroids):
            break
        centroids = updated
    return centroids


def assigned(
    vectors: npt.NDArray[Any], centroids: npt.NDArray[np.float32]
) -> tuple[Ints, npt.NDArray[np.float32]]:
    """The nearest centroid of each row and the cosine to it, both (n,), a block of rows at a time."""
    labels = np.empty(len(vectors), np.int64)
    closeness = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK):
        part = slice(start, start + BLOCK)
        products = np.asarray(vectors[part], np.float32) @ centroids.T
        labels[part] = products.argmax(1)
        closeness[part] = products.max(1)
    return labels, closeness


def clustered(
    vectors: npt.NDArray[Any], threshold: float, clusters: int, seed: int, device: str
) -> Clustered:
    """All pairs at or above the threshold whose rows share a cluster, sorted, with the recall against the exact join.

    The recall is counted on the exact pairs among 20,000 rows drawn with the seed (all rows, where there are fewer).
    """
    from newtest.neighbors import pairs_above

    count = max(1, min(clusters or len(vectors) // 1000, len(vectors)))
    labels, _ = (
        assigned(vectors, kmeans(vectors, count, seed)) if len(vectors) else (np.empty(0, np.int64), None)
    )
    order = np.argsort(labels, kind="stable")
    edges = np.searchsorted(labels[order], np.arange(count + 1))
    lefts, rights, near = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start, end in pairwise(edges.tolist()):
        if end - start < 2:
            continue
        members = order[start:end]
        i, j, closeness = pairs_above(np.asarray(vectors[members]), threshold=threshold, device=device)
        lefts.append(members[i])
        rights.append(members[j])
        near.append(closeness)
    left, right, closeness = np.concatenate(lefts), np.concatenate(rights), np.concatenate(near)
    sort = np.lexsort((right, left))
    details = {"clusters": count, **_recall(vectors, labels, threshold, seed, device)}
    return Clustered(left[sort], right[sort], closeness[sort], details)


def _recall(
    vectors: npt.NDArray[Any], labels: Ints, threshold: float, seed: int, device: str
) -> dict[str, Any]:
    from newtest.neighbors import pairs_above

    draw = generator(seed, "recall", str(len(vectors)))
    rows = np.sort(draw.choice(len(vectors), min(RECALL_ROWS, len(vectors)), replace=False))
    if not len(rows):
        return {"recall": None, "recall_pairs": 0, "recall_rows": 0}
    i, j, _ = pairs_above(np.asarray(vectors[rows]), threshold=threshold, device=device)
    together = int(np.count_nonzero(labels[rows[i]] == labels[rows[j]]))
    share = together / len(i) if len(i) else None
    return {"recall": share, "recall_pairs": len(i), "recall_rows": len(rows)}
