"""Perceptual hashes of our own: 144 signs of a photo's lowest cosine frequencies, for nine framings of it.

Why not imagededup's or another pHash: those do not see through mirroring, crops and borders. Of five named kinds of
copies this one finds 1.00 and imagededup's pHash 0.72, at 2.0 times its rate
(``benchmarks/results/duplicates-2cores-2026-11.md``).

A hash is the signs of the 12 x 12 lowest cosine frequencies (without the constant ones) of the grey picture, which is
the family of pHash (Zauner 2010) with one difference: signs about zero instead of about the median, so that mirroring
and turning a picture turns its hash exactly into another (an odd frequency changes its sign). One stored hash thus
serves all eight orientations. Cropped and bordered copies are found because the hash of the whole picture is compared
with the hashes of nine *framings* of the other (the whole, four centred crops, four corner crops), both ways round.
All framings come from one decoded 128 x 128 picture by two small matrix products.

A distance is a number of differing signs, 0 to 144; smaller is closer. Unrelated photos lie near 72.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.images import ImageError, luma, read_image

__all__ = [
    "BITS",
    "FRAMINGS",
    "KIND",
    "MIRROR",
    "ORIENTATIONS",
    "WORDS",
    "Words",
    "detail",
    "grey",
    "hash_of",
    "hashes",
    "oriented",
]

KIND = "dct144-2"
"""Name and version: hashes of different kinds are never compared."""
SIDE = 128
ORDER = 12
BITS = ORDER * ORDER
WORDS = 3
"""A hash is three 64-bit words: 144 bits and 48 zeros."""

FRAMINGS: tuple[tuple[float, float, float, float], ...] = (
    (0.0, 0.0, 0.0, 0.0),
    *((share, share, share, share) for share in (0.03, 0.06, 0.10, 0.15)),
    *((left, top, 0.07 - left, 0.07 - top) for left in (0.0, 0.07) for top in (0.0, 0.07)),
)
"""What is cut off at the left, top, right and bottom, as shares of width and height. The first is the whole picture."""

ORIENTATIONS: tuple[tuple[bool, bool, bool], ...] = tuple(
    (transpose, across, down)
    for transpose in (False, True)
    for across in (False, True)
    for down in (False, True)
)
"""The eight ways to lay a picture down: (transposed, mirrored left to right, mirrored top to bottom)."""
MIRROR = (ORIENTATIONS[0], (False, True, False))
"""As it is, and mirrored left to right: the two that photos in the wild come in."""

FLAT = 3.0
"""Below this standard deviation of grey levels (of 255) a picture has no structure that a hash could compare."""

Words = npt.NDArray[np.uint64]
Grey = npt.NDArray[np.float32]


def grey(image: Path | bytes) -> Grey:
    """A picture as 128 x 128 grey levels in 0..255, EXIF orientation applied, squashed whatever its shape.

    JPEGs are decoded at a reduced size, luma alone: most of the time goes into decoding. What is transparent is white.
    Raises ImageError, also for a file that cannot be read.
    """
    try:
        data = image if isinstance(image, bytes) else read_image(image)
    except OSError as error:
        raise ImageError("unreadable", f"the file cannot be read ({error.strerror or error})") from error
    return np.asarray(luma(data, SIDE), dtype=np.float32)


def detail(picture: Grey) -> float:
    """Standard deviation of the grey levels; below ``FLAT`` the picture's hash means nothing."""
    return float(picture.std())


def hashes(pictures: Grey) -> Words:
    """(n, 128, 128) grey pictures -> (n, len(FRAMINGS), WORDS) hashes; framing 0 is the whole picture."""
    rows, columns = _bases()
    framings = [
        np.matmul(np.matmul(down, pictures), across.T).reshape(len(pictures), BITS)
        for down, across in zip(rows, columns, strict=True)
    ]
    return _pack(np.stack(framings, axis=1) > 0)


def hash_of(image: Path | bytes) -> Words | None:
    """One picture's (len(FRAMINGS), WORDS) hashes; None for a flat picture, which nothing can be told from."""
    picture = grey(image)
    return hashes(picture[None])[0] if detail(picture) >= FLAT else None


def oriented(words: Words, orientation: tuple[bool, bool, bool]) -> Words:
    """The hashes (..., WORDS) that the same pictures would have in another orientation (of the whole picture)."""
    transpose, across, down = orientation
    bits = _unpack(words).reshape(*words.shape[:-1], ORDER, ORDER)
    odd = np.arange(1, ORDER + 1) % 2 == 1
    if across:
        bits = bits ^ odd[None, :]
    if down:
        bits = bits ^ odd[:, None]
    if transpose:
        bits = np.swapaxes(bits, -1, -2)
    return _pack(bits.reshape(*words.shape[:-1], BITS))


def _pack(bits: npt.NDArray[np.bool_]) -> Words:
    octets = np.zeros((*bits.shape[:-1], WORDS * 8), dtype=np.uint8)
    octets[..., : BITS // 8] = np.packbits(bits, axis=-1, bitorder="little")
    return octets.view("<u8").astype(np.uint64, copy=False)


def _unpack(words: Words) -> npt.NDArray[np.bool_]:
    octets = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=BITS, bitorder="little").astype(bool)


@lru_cache(maxsize=1)
def _bases() -> tuple[list[Grey], list[Grey]]:
    rows = [_basis(top, 1 - bottom) for _, top, _, bottom in FRAMINGS]
    columns = [_basis(left, 1 - right) for left, _, right, _ in FRAMINGS]
    return rows, columns


def _basis(low: float, high: float) -> Grey:
    """Cosines of order 1..12 over the part [low, high] of a side of 128 pixels, each blind to a constant."""
    edges = np.arange(SIDE + 1) / SIDE
    covered = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * SIDE
    position = ((np.arange(SIDE) + 0.5) / SIDE - low) / (high - low)
    waves = np.cos(np.pi * np.arange(1, ORDER + 1)[:, None] * position) * covered
    blind = waves - covered * (waves.sum(axis=1, keepdims=True) / covered.sum())
    return np.asarray(blind, dtype=np.float32)
