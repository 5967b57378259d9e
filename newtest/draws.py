"""Random draws that are the same in any process: a generator is made of a seed and the thing's name."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator"]


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on nothing but ``seed`` and ``names``, such as ``generator(0, "sample", wnid)``.

    Draw from sorted sequences only: neither sets nor global state may decide what a seed means. PCG64's stream
    is covered by NumPy's compatibility promise; the methods of Generator are covered within a NumPy release series.
    """
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big"))))
