"""Images with equal bytes in two lists of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["equal_bytes"]

Ints = npt.NDArray[np.int64]


def equal_bytes(left: Sequence[str], right: Sequence[str]) -> tuple[Ints, Ints]:
    """(i, j) of every ``left[i] == right[j]``, sorted, where both are sha256 of files."""
    fewer, more = (left, right) if len(left) <= len(right) else (right, left)
    places: dict[str, list[int]] = {}
    for place, sha256 in enumerate(fewer):
        places.setdefault(sha256, []).append(place)
    pairs = [(known, place) for place, sha256 in enumerate(more) for known in places.get(sha256, ())]
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)[:, :: 1 if fewer is left else -1]
    i, j = array[np.lexsort(array.T[::-1])].T
    return i, j
