"""Exact neighbours: who is close to whom, without an index that may miss some.

``pairs_above`` and ``top_k`` search rows by inner product (cosine, if the rows have length 1), ``hamming_pairs`` joins
binary hashes within a radius, ``close_hashes`` pictures by theirs. Memory is bounded by the tile and by what is found;
inputs may be ``.npy`` files.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.neighbors.choice import choose
from newtest.neighbors.engines import Engine
from newtest.neighbors.exact import Search, pairs, top
from newtest.neighbors.forest import Forest, linked, spanning
from newtest.neighbors.hamming import hamming, hamming_pairs
from newtest.neighbors.hash_join import close_hashes
from newtest.neighbors.rows import Rows, Source

__all__ = [
    "Forest", "close_hashes", "hamming", "hamming_pairs", "linked_above", "pairs_above", "spanning", "top_k",
]  # fmt: skip

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


def pairs_above(
    a: Source,
    b: Source | None = None,
    *,
    threshold: float,
    device: str = "auto",
    backend: str = "auto",
    tile: tuple[int, int] | None = None,
) -> tuple[Ints, Ints, Floats]:
    """Every pair whose inner product is at least ``threshold``: (i, j, similarity), sorted by i, then j.

    ``a`` (n, d) and ``b`` (m, d) are arrays of floats or paths of ``.npy`` files; without ``b`` the pairs are those
    within ``a`` with i < j. ``device``: auto, cpu, cuda. ``backend``: auto (torch where it is installed and pays, else
    NumPy), numpy, torch, faiss. ``tile``: rows of a and of b multiplied at a time. Larger similarity is closer.

    Exact whatever device, backend and tile: candidates come from low precision with a margin that its rounding cannot
    exceed, and each is decided by a float64 sum over its own two rows. Raises UsageError, MissingExtra.
    """
    left, right = _opened(a, b)
    if backend == "faiss":
        from newtest.neighbors.faiss_engine import faiss_pairs

        i, j, values = faiss_pairs(left, right, threshold, device)
    else:
        i, j, values = pairs(
            _search(left, right, tile, choose(backend, device, left, right, fine=False)), threshold
        )
    return i, j, values.astype(np.float32)


def linked_above(
    a: Source,
    b: Source | None = None,
    *,
    threshold: float,
    device: str = "auto",
    backend: str = "auto",
    tile: tuple[int, int] | None = None,
) -> tuple[Ints, Ints, Floats]:
    """Of the pairs of ``pairs_above`` a spanning set: for k rows of a group k - 1 pairs (``newtest.neighbors.forest``).

    Groups (connected components), and the rows that are close to any other, are the same; memory is linear in rows.
    ``backend``: auto, numpy or torch. Arguments, order, exactness and errors as in ``pairs_above``.
    """
    left, right = _opened(a, b)
    i, j, values = linked(
        _search(left, right, tile, choose(backend, device, left, right, fine=False)), threshold
    )
    return i, j, values.astype(np.float32)


def top_k(
    queries: Source,
    base: Source,
    k: int,
    *,
    device: str = "auto",
    backend: str = "auto",
    tile: tuple[int, int] | None = None,
) -> tuple[Ints, Floats]:
    """The ``k`` rows of ``base`` with the largest inner product for each query: (indices, similarities), both (n, k).

    Best first; equal similarities by smaller index. Arguments, exactness and errors as in ``pairs_above`` (FAISS is
    not a choice here); UsageError too where ``base`` has fewer than ``k`` rows. A query in the base finds itself.
    """
    left, right = _opened(queries, base)
    if not 1 <= k <= len(right):
        raise UsageError(f"k must be 1 to the {len(right)} rows of the base, got {k}")
    indices, values = top(_search(left, right, tile, choose(backend, device, left, right, fine=True)), k)
    return indices, values.astype(np.float32)


def _opened(a: Source, b: Source | None) -> tuple[Rows, Rows]:
    left = Rows.open(a)
    right = left if b is None else Rows.open(b)
    if left.width != right.width:
        raise UsageError(f"both sets of rows must have one width, got {left.width} and {right.width}")
    return left, right


def _search(left: Rows, right: Rows, tile: tuple[int, int] | None, engine: Engine) -> Search:
    if tile is not None and min(tile) < 1:
        raise UsageError(f"a tile has at least one row and one column, got {tile}")
    return Search(left, right, engine, tile or engine.tile)
