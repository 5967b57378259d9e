"""An order of rows that hashes of their uids give: random, and the same whatever the shards."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from newtest.pool.storage.uids import Uids

__all__ = ["order_of"]

Words = npt.NDArray[np.uint64]


def order_of(uids: Uids, *names: object) -> Words:
    """A hash of each uid (n,) and of what it is for, by which to sort: SplitMix64's finalizer (Steele et al. 2014),
    twice.
    """
    key = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()[:8]
    return _mixed(uids["f0"] ^ _mixed(uids["f1"] + np.uint64(int.from_bytes(key, "big"))))


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
