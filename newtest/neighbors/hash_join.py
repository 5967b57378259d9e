"""Close pictures by perceptual hash, over framings and orientations: what one stored hash a framing can find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from newtest import hashes as perceptual
from newtest.hashes import FRAMINGS
from newtest.neighbors.hamming import hamming_pairs

__all__ = ["close_hashes"]

Ints = npt.NDArray[np.int64]


def close_hashes(
    left: perceptual.Words,
    right: perceptual.Words,
    radius: int,
    orientations: Sequence[tuple[bool, bool, bool]] = perceptual.MIRROR,
) -> tuple[Ints, Ints, Ints]:
    """Every (i, j, distance) whose distance is at most ``radius``; arrays are (images, framings, words).

    The distance of two pictures is the least over: the whole of one in each orientation against every framing of the
    other, both ways round. A picture is close to itself. Exact, by ``hamming_pairs``.
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
    count = len(whole)
    queries = np.concatenate([perceptual.oriented(whole[:, 0], orientation) for orientation in orientations])
    base, owners = _distinct(framed)
    i, j, near = hamming_pairs(queries, base, radius, bits=perceptual.BITS)
    return i % max(count, 1), owners[j], near


def _distinct(framed: perceptual.Words) -> tuple[perceptual.Words, Ints]:
    """The hashes of all pictures and whose they are, without those that only repeat one of their picture: where there
    are no bars the framings with bars do, and so do framings that show next to nothing."""
    cuts = {framing: place for place, framing in enumerate(FRAMINGS) if not framing.bars}
    new = np.ones(framed.shape[:2], dtype=bool)
    for place, framing in enumerate(FRAMINGS[: framed.shape[1]]):
        for same in {0, cuts[replace(framing, bars=False)]} - {place}:
            new[:, place] &= (framed[:, place] != framed[:, same]).any(axis=1)
    return framed[new], np.nonzero(new)[0]
