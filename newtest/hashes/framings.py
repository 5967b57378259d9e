"""The parts of a picture that are hashed, so that copies which were cut, framed or turned a little meet one of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

__all__ = ["FRAMINGS", "Framing"]


@dataclass(frozen=True)
class Framing:
    """What is cut off at each side, as shares of width and height; or else the picture turned by ``tilt`` degrees,
    the middle ``zoom`` of it. ``bars``: of the picture with its bars; the others are of what is inside them.
    """

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    tilt: float = 0.0
    zoom: float = 1.0
    bars: bool = False


def _placed(cut: float, *places: float, bars: bool = False) -> list[Framing]:
    """``cut`` of the width and height gone, at each place in each direction: 0 leaves the left or top edge."""
    return [
        Framing(cut * across, cut * down, cut * (1 - across), cut * (1 - down), bars=bars)
        for across, down in product(places, places)
    ]


def _one_sided(cut: float) -> list[Framing]:
    return [Framing(left=cut), Framing(top=cut), Framing(right=cut), Framing(bottom=cut)]


FRAMINGS: tuple[Framing, ...] = (
    Framing(),
    # A hash bears about .025 of the side at each edge: steps of .05 leave no gap up to a cut of a tenth, at any place.
    *_placed(0.05, 0, 1),
    *_placed(0.05, 0.5),
    *_placed(0.10, 0, 0.5, 1),
    *_placed(0.20, 0.5),
    *_placed(0.30, 0.5),
    *_one_sided(0.10),
    *_one_sided(0.20),
    *_one_sided(0.30),
    # A frame that belongs to the photo is cut with it, and then no longer taken for bars.
    Framing(bars=True),
    *_placed(0.05, 0, 1, bars=True),
    *(cut for share in (0.05, 0.10, 0.20) for cut in _placed(share, 0.5, bars=True)),
    # With the corners that turning leaves empty, and without them.
    *(Framing(tilt=tilt, zoom=zoom) for zoom in (1.0, 0.93) for tilt in (-3.0, 3.0)),
)
"""The first is the whole without its bars: it is compared with all of the other picture's."""
