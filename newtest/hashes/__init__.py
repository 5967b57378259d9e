"""Perceptual hashes of our own: 144 signs of a photo's lowest cosine frequencies, for many framings of it.

Why not imagededup's or another pHash: those do not see through mirroring, crops, borders and bars; recall of each kind
of change, and the rate, side by side: ``benchmarks/results/duplicates-2cores-2026-11.md``.

A hash is the signs of the 12 x 12 lowest cosine frequencies (without the constant ones) of the grey picture, which is
the family of pHash (Zauner 2010) with one difference: signs about zero instead of about the median, so that mirroring
and turning a picture turns its hash exactly into another (an odd frequency changes its sign). One stored hash thus
serves all eight orientations. Uniform bars at the sides are taken away first (``newtest.hashes.bars``). Cut and
slightly turned copies are found because the hash of the whole picture is compared with the hashes of all *framings* of
the other (``newtest.hashes.framings``), both ways round. All come from one decoded 128 x 128 picture by small matrix
products.

A distance is a number of differing signs, 0 to 144; smaller is closer. Unrelated photos lie near 72.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.hashes.bars import content, stretched
from newtest.hashes.framings import FRAMINGS, Framing
from newtest.images import ImageError, luma, read_image

__all__ = [
    "BITS",
    "FRAMINGS",
    "KIND",
    "MIRROR",
    "ORIENTATIONS",
    "RADIUS",
    "WORDS",
    "Framing",
    "Words",
    "detail",
    "grey",
    "hash_of",
    "hashes",
    "oriented",
]

KIND = "dct144-3"
"""Name and version: hashes of different kinds are never compared."""
SIDE = 128
ORDER = 12
BITS = ORDER * ORDER
WORDS = 3
"""A hash is three 64-bit words: 144 bits and 48 zeros."""

RADIUS = 28
"""Bits of 144 up to which two pictures are close unless somebody says otherwise: copies that were cut at a random place
or turned by 3 degrees lie below, the nearest of a thousand strangers well above (docs/duplicates.md)."""

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

FAINT = 0.5
"""Median amplitude of the frequencies, in grey levels, below which a framing is not asked for: what is left of a
picture when its subject is cut away, a smooth sky, is like any other. Its hash is then that of the whole."""

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
    """(n, 128, 128) grey pictures -> (n, len(FRAMINGS), WORDS) hashes; framing 0 is the whole without its bars."""
    signs = np.zeros((len(pictures), len(FRAMINGS), BITS), dtype=bool)
    for place, picture in enumerate(pictures):
        box = content(picture)
        inside = picture if box == (0, 0, SIDE, SIDE) else stretched(picture, box)
        if detail(inside) < FLAT:
            inside = picture
        found = _framed(inside, picture)
        found[_middle(np.abs(found)) < FAINT * _sizes()] = found[0]
        signs[place] = found > 0
    return _pack(signs)


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


def _middle(amplitudes: Grey) -> Grey:
    """The median of each row (n, BITS), in half of np.median's time."""
    below, above = BITS // 2 - 1, BITS // 2
    return np.asarray(np.partition(amplitudes, (below, above), axis=1)[:, below : above + 1].mean(axis=1))


def _framed(inside: Grey, picture: Grey) -> Grey:
    """(len(FRAMINGS), BITS) coefficients; ``inside`` is the picture without its bars."""
    waves, cuts, cuts_with_bars = _plan()
    found = np.empty((len(FRAMINGS), ORDER, ORDER), dtype=np.float32)
    for shown, (place, rows, columns) in ((inside, cuts), (picture, cuts_with_bars)):
        down = np.matmul(
            waves, shown
        )  # many small products: one large one would start BLAS's threads in every thread
        found[place] = np.matmul(down[rows], waves[columns].swapaxes(1, 2))
    whole, pixels = waves[0], inside.ravel()
    for tilted, shown_pixels in _tilts().items():
        found[tilted] = whole @ pixels[shown_pixels] @ whole.T
    return found.reshape(len(FRAMINGS), BITS)


_Cuts = tuple[list[int], list[int], list[int]]
"""Framings that are cuts: place among all, and which part of a side their rows and their columns take."""


@lru_cache(maxsize=1)
def _plan() -> tuple[Grey, _Cuts, _Cuts]:
    """Cosines (n, ORDER, SIDE) over each part of a side that is used, the whole first; cuts without and with bars."""
    parts: dict[tuple[float, float], int] = {(0.0, 1.0): 0}
    cuts: dict[bool, _Cuts] = {False: ([], [], []), True: ([], [], [])}
    for place, cut in enumerate(FRAMINGS):
        if not cut.tilt:
            rows = parts.setdefault((cut.top, 1 - cut.bottom), len(parts))
            columns = parts.setdefault((cut.left, 1 - cut.right), len(parts))
            for column, value in zip(cuts[cut.bars], (place, rows, columns), strict=True):
                column.append(value)
    return np.stack([_basis(low, high) for low, high in parts]), cuts[False], cuts[True]


@lru_cache(maxsize=1)
def _sizes() -> npt.NDArray[np.float64]:
    """What a coefficient of each framing is for an amplitude of one grey level: a quarter of its pixels."""
    shares = [(1 - cut.left - cut.right) * (1 - cut.top - cut.bottom) for cut in FRAMINGS]
    return np.array(shares) * SIDE * SIDE / 4


@lru_cache(maxsize=1)
def _tilts() -> dict[int, npt.NDArray[np.intp]]:
    """For each framing that is turned: which pixel (SIDE, SIDE) of the picture each of its own shows, the nearest."""
    found = {}
    middle = (SIDE - 1) / 2
    for place, framing in enumerate(FRAMINGS):
        if framing.tilt:
            down, across = (np.mgrid[:SIDE, :SIDE] - middle) * framing.zoom
            sine, cosine = np.sin(np.radians(framing.tilt)), np.cos(np.radians(framing.tilt))
            rows, columns = down * cosine + across * sine, across * cosine - down * sine
            rows, columns = (
                np.clip(np.rint(x + middle), 0, SIDE - 1).astype(np.intp) for x in (rows, columns)
            )
            found[place] = rows * SIDE + columns
    return found


def _basis(low: float, high: float) -> Grey:
    """Cosines of order 1..12 over the part [low, high] of a side of 128 pixels, each blind to a constant."""
    edges = np.arange(SIDE + 1) / SIDE
    covered = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * SIDE
    position = ((np.arange(SIDE) + 0.5) / SIDE - low) / (high - low)
    waves = np.cos(np.pi * np.arange(1, ORDER + 1)[:, None] * position) * covered
    blind = waves - covered * (waves.sum(axis=1, keepdims=True) / covered.sum())
    return np.asarray(blind, dtype=np.float32)
