"""What is not the photo: letterboxes, borders, credit bars, and what a screenshot shows above and below.

A bar is judged by lines (rows, and columns by the same rule). A line is *plain* where nearly all of its pixels have one
level. A bar begins at the picture's edge, goes on over plain lines with room for a line of text between two of them,
and ends where most pixels change at once, right after a plain line. A sky is plain too, but it does not end so.
Levels may differ from line to line, so a status bar above a white margin is one bar. Sides are looked at again after a
bar is taken away: the margin beside a photo becomes plain when the bars above and below it are gone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "content", "stretched"]

SAME = 3.0
"""Grey levels (of 255) within which pixels of a line count as one level: JPEG's noise in a uniform area."""
PLAIN = 0.8
"""Share of a plain line's pixels that have its level: the rest is text, icons, a logo."""
CHANGE = 8.0
"""Grey levels by which a pixel changes where a bar ends."""
ABRUPT = 0.5
"""Share of the pixels that change there."""
TEXT = 14
"""Lines (of 128) without a plain one inside a bar: a line of text."""
BESIDE = 3
"""Lines between the last plain one and the end of the bar: text that nearly touches the photo."""
LEAST = 5
"""At least one in so many lines stay."""

Grey = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]
"""First row, first column, and the row and column after the last: what is not bars."""


def content(picture: Grey) -> Box:
    """The part of a grey picture (rows, columns) without the bars at its sides; the whole where there are none."""
    top, left, bottom, right = 0, 0, picture.shape[0], picture.shape[1]
    for _ in range(4):  # bars around bars around a photo
        rest = picture[top:bottom, left:right]
        above, below = _bars(rest, picture.shape[0] // LEAST)
        before, behind = _bars(rest.T, picture.shape[1] // LEAST)
        if not (above or below or before or behind):
            break
        top, bottom, left, right = top + above, bottom - below, left + before, right - behind
    return top, left, bottom, right


def stretched(picture: Grey, box: Box) -> Grey:
    """The part of a picture in a box, at the size of the whole picture, by areas."""
    top, left, bottom, right = box
    rows, columns = _areas(top, bottom, picture.shape[0]), _areas(left, right, picture.shape[1])
    # In small products: a large one would start BLAS's threads in every thread that hashes.
    down = np.matmul(rows.reshape(-1, 8, rows.shape[1]), picture)
    return np.asarray(np.matmul(down, columns.T).reshape(picture.shape), dtype=np.float32)


def _bars(lines: Grey, least: int) -> tuple[int, int]:
    """How many lines at the beginning and at the end are bars; none where too little would stay."""
    if not _plain(lines[:TEXT]).any() and not _plain(lines[-TEXT:]).any():
        return 0, 0  # most photos: the lines between need not be looked at
    plain = _plain(lines)
    first, last = _bar(lines, plain), _bar(lines[::-1], plain[::-1])
    return (first, last) if len(lines) - first - last >= least else (0, 0)


def _plain(lines: Grey) -> npt.NDArray[np.bool_]:
    middle = lines.shape[1] // 2
    level = np.partition(lines, middle, axis=1)[:, middle, None]
    return np.asarray(np.count_nonzero(np.abs(lines - level) <= SAME, axis=1) >= PLAIN * lines.shape[1])


def _bar(lines: Grey, plain: npt.NDArray[np.bool_]) -> int:
    places = np.flatnonzero(plain)
    far = np.flatnonzero(np.diff(places, prepend=-1) > TEXT)
    places = places[: far[0]] if len(far) else places
    # Over two lines: where the bar ends between two of them, the line there is a mixture.
    abrupt = _changed(lines[:-2], lines[2:]) >= ABRUPT
    for place in places[::-1]:
        ends = np.flatnonzero(abrupt[place : place + BESIDE + 1])
        if len(ends):
            end = int(place + ends[0])
            return end + 1 if _changed(lines[end], lines[end + 1]) >= ABRUPT else end + 2
    return 0


def _changed(lines: Grey, others: Grey) -> npt.NDArray[np.float64]:
    return np.asarray((np.abs(lines - others) > CHANGE).mean(axis=-1))


def _areas(low: int, high: int, side: int) -> Grey:
    """(side, side) shares of the pixels from ``low`` to ``high`` in each pixel of a side stretched over them."""
    edges, pixels = np.linspace(low, high, side + 1), np.arange(side)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(shared, 0, None) * (side / (high - low)), dtype=np.float32)
