"""The same answers by FAISS's flat index. The only file that imports faiss; without a GPU build it runs on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from newtest.errors import MissingExtra, UsageError
from newtest.neighbors.exact import Found, joined
from newtest.neighbors.rows import Rows, similarities

__all__ = ["faiss_pairs"]

SLACK = 2.0**-14
BLOCK = 8192


def faiss_pairs(a: Rows, b: Rows, threshold: float, device: str) -> Found:
    """What ``exact.pairs`` gives, searched by IndexFlatIP.range_search and rescored in float64.

    The index holds all of ``b`` in float32. Raises MissingExtra without faiss, UsageError for CUDA
    without its GPU build.
    """
    index = _index(b, device)
    limit, parts = threshold - SLACK * a.longest * b.longest, []
    for start in range(0, len(a), BLOCK):
        ends, _, found = index.range_search(a.block(start, start + BLOCK), float(limit))
        i = np.repeat(np.arange(len(ends) - 1), np.diff(ends.astype(np.int64))) + start
        j = found.astype(np.int64)
        if a is b:
            i, j = i[i < j], j[i < j]
        exact = similarities(a, b, i, j)
        near = exact >= threshold
        parts.append((i[near], j[near], exact[near]))
    return joined(parts)


def _index(b: Rows, device: str) -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("faiss", "faiss") from error
    index: Any = faiss.IndexFlatIP(b.width)
    if device.startswith("cuda"):
        if not hasattr(faiss, "StandardGpuResources"):
            raise UsageError(
                "this faiss is built without CUDA: install the gpu extra, or take the torch backend"
            )
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    for start in range(0, len(b), BLOCK):
        index.add(b.block(start, start + BLOCK))
    return index
