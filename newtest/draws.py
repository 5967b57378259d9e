"""Random draws that are the same in any process: a generator is made of a seed and the thing's name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["bootstrap_rows", "generator"]


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on nothing but ``seed`` and ``names``, such as ``generator(0, "sample", wnid)``.

    Draw from sorted sequences only: neither sets nor global state may decide what a seed means. PCG64's stream
    is covered by NumPy's compatibility promise; the methods of Generator are covered within a NumPy release series.
    """
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big"))))


def bootstrap_rows(
    count: int, clusters: npt.NDArray[np.int64] | None = None
) -> Callable[[np.random.Generator], npt.NDArray[np.int64]]:
    """A function that draws one bootstrap sample: rows 0 to ``count`` - 1 with repeats, or whole clusters of them.

    ``clusters`` (count,) numbers the cluster of each row. As many clusters are drawn as there are, so the number of
    rows varies.
    """
    if clusters is None:
        return lambda random: random.integers(count, size=count)
    order = np.argsort(clusters, kind="stable").astype(np.int64)
    groups = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    return lambda random: np.concatenate(
        [groups[at] for at in random.integers(len(groups), size=len(groups))]
    )
