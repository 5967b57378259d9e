"""Digital: contrast, elastic distortion, pixels, JPEG."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import PIL.Image
from scipy import ndimage

from newtest.images import encode_jpeg, shown

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate"]

Pixels = npt.NDArray[np.float64]


def contrast(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """So much of the distance from each channel's mean is kept."""
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    mean = x.mean(axis=(0, 1), keepdims=True)
    found: Pixels = (x - mean) * kept + mean
    return found


def elastic_transform(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """A random affine map, then every pixel from a place nearby, by a smooth random field (Simard et al. 2003).

    The constants are in pixels of a picture of 224; those of other pictures are in proportion to the shorter side.
    """
    strength, smoothness, affine = (
        (488.0, 170.8, 24.4),
        (488.0, 19.52, 48.8),
        (12.2, 2.44, 4.88),
        (17.08, 2.44, 4.88),
        (29.28, 2.44, 4.88),
    )[severity - 1]
    scale = min(x.shape[:2]) / 224
    bent = _affine(x, affine * scale, draws)
    field = [
        ndimage.gaussian_filter(
            draws.uniform(-1, 1, x.shape[:2]), smoothness * scale, mode="reflect", truncate=3
        )
        * (strength * scale)
        for _ in range(2)
    ]
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]].astype(np.float64)
    return _taken(bent, rows + field[1], columns + field[0], "reflect")


def _affine(x: Pixels, most: float, draws: np.random.Generator) -> Pixels:
    """Three corners of a square in the middle go elsewhere, each by at most ``most`` pixels along each side."""
    height, width = x.shape[:2]
    middle, size = np.array([width // 2, height // 2], dtype=np.float64), min(height, width) // 3
    corners = middle + size * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = corners + draws.uniform(-most, most, corners.shape)
    # Where each pixel of the result comes from: the map that takes the moved corners back.
    back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    places = columns[..., None] * back[0] + rows[..., None] * back[1] + back[2]
    return _taken(x, places[..., 1], places[..., 0], "mirror")


def _taken(x: Pixels, rows: Pixels, columns: Pixels, mode: str) -> Pixels:
    """The picture's values at places between its pixels, by linear interpolation."""
    parts = [ndimage.map_coordinates(x[..., at], [rows, columns], order=1, mode=mode) for at in range(3)]
    return np.stack(parts, axis=-1)


def pixelate(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Made smaller by this factor, each pixel the mean of what it covers, and large again."""
    factor = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    image = _image(x)
    width, height = (max(1, int(side * factor)) for side in image.size)
    box = PIL.Image.Resampling.BOX
    return np.asarray(image.resize((width, height), box).resize(image.size, box), dtype=np.float64) / 255


def jpeg_compression(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Through a JPEG of this quality."""
    quality = (25, 18, 15, 10, 7)[severity - 1]
    return np.asarray(shown(encode_jpeg(_image(x), quality)), dtype=np.float64) / 255


def _image(x: Pixels) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.round(x * 255).astype(np.uint8), "RGB")
