"""Close pairs of two lists of images: by equal bytes, and by perceptual hash over framings and orientations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from newtest import hashes as perceptual
from newtest.neighbors import hamming_pairs

__all__ = ["close_hashes", "equal_bytes"]

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


def close_hashes(
    left: perceptual.Words,
    right: perceptual.Words,
    radius: int,
    orientations: Sequence[tuple[bool, bool, bool]] = perceptual.MIRROR,
) -> tuple[Ints, Ints, Ints]:
    """Every (i, j, distance) whose distance is at most ``radius``; arrays are (images, framings, words).

    The distance of two pictures is the least over: the whole of one in each orientation against every framing of the
    other, both ways round. Exact, by ``newtest.neighbors.hamming_pairs``.
    """
    i, j, near = _one_way(left, right, radius, orientations)
    if left is not right:
        other_j, other_i, other = _one_way(right, left, radius, orientations)
        i, j, near = (np.concatenate(pair) for pair in ((i, other_i), (j, other_j), (near, other)))
    else:
        i, j, near = np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([near, near])
    order = np.lexsort((near, j, i))
    i, j, near = i[order], j[order], near[order]
    first = np.ones(len(i), dtype=bool)
    first[1:] = (i[1:] != i[:-1]) | (j[1:] != j[:-1])
    return i[first], j[first], near[first]


def _one_way(
    whole: perceptual.Words,
    framed: perceptual.Words,
    radius: int,
    orientations: Sequence[tuple[bool, bool, bool]],
) -> tuple[Ints, Ints, Ints]:
    count, framings = len(whole), framed.shape[1]
    queries = np.concatenate([perceptual.oriented(whole[:, 0], orientation) for orientation in orientations])
    base = framed.reshape(-1, framed.shape[2])
    i, j, near = hamming_pairs(queries, base, radius, bits=perceptual.BITS)
    return i % max(count, 1), j // framings, near
