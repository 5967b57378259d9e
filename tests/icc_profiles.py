"""ICC profiles of version 2 (ICC.1:2001-04), made from primaries, and what they mean, by formula."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

WHITE = (0.31270, 0.32900)
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
_D50 = np.array([0.96422, 1.0, 0.82521])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

Floats = npt.NDArray[np.float64]


def _xyz(point: tuple[float, float]) -> Floats:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> Floats:
    """(3, 3): linear RGB to XYZ under D50, by Lindbloom's equations and Bradford's adaptation."""
    columns = np.stack([_xyz(point) for point in primaries], axis=1)
    matrix = columns * np.linalg.solve(columns, _xyz(WHITE))
    scale = np.diag(_BRADFORD @ _D50 / (_BRADFORD @ _xyz(WHITE)))
    return np.asarray(np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix)


def srgb_of(
    levels: npt.NDArray[np.uint8], primaries: tuple[tuple[float, float], ...], gamma: float
) -> Floats:
    """Levels 0..255 of another space with a plain power as its curve, as sRGB levels (IEC 61966-2-1)."""
    linear = (levels / 255.0) ** gamma
    there = np.clip(linear @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T, 0, 1)
    return np.asarray(255 * np.where(there <= 0.0031308, 12.92 * there, 1.055 * there ** (1 / 2.4) - 0.055))


def profile(primaries: tuple[tuple[float, float], ...], gamma: float) -> bytes:
    """A matrix profile for a display: ``rXYZ`` and its fellows, and one curve for the three channels."""
    fixed = lambda value: struct.pack(">i", round(value * 65536))  # noqa: E731
    matrix = to_xyz(primaries)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(fixed, _D50)),
        **{
            name: b"XYZ \0\0\0\0" + b"".join(map(fixed, matrix[:, at]))
            for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
        },
        **dict.fromkeys(
            (b"rTRC", b"gTRC", b"bTRC"), b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
        ),
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I", start + len(body)) + b"\0\0\0\0" + b"\x02\x10\0\0" + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + b"".join(map(fixed, _D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
