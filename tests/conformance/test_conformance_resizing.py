"""``fetch-pool --resize`` beside img2dataset's own ``Resizer``: the same sizes, and pictures that look alike.

Smaller pictures are the same to a rounding. Larger ones differ a little: OpenCV's Lanczos filter has other weights than
Pillow's.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from img2dataset_tool import resized_by_theirs
from servers.images import made_photo

from newtest.images import shown
from newtest.pool.resizing import MODES, Resize, resized

SIZE = 64


@pytest.mark.parametrize(("shape", "most"), [((320, 200), 1.0), ((203, 331), 1.0), ((40, 30), 2.0)])
def test_the_same_sizes_and_nearly_the_same_pixels(
    shape: tuple[int, int], most: float, tmp_path: Path
) -> None:
    modes: list[Any] = [mode for mode in MODES if mode != "no"]
    buffer = io.BytesIO()
    PIL.Image.open(io.BytesIO(made_photo(3, shape))).convert("RGB").save(buffer, "PNG")
    (tmp_path / "in.png").write_bytes(buffer.getvalue())
    options = {
        mode: {
            "image_size": SIZE, "resize_mode": mode, "resize_only_if_bigger": False, "encode_format": "png",
            "encode_quality": 9,
        }
        for mode in modes
    }  # fmt: skip
    resized_by_theirs(tmp_path, json.dumps(options))
    for mode in modes:
        made = resized(buffer.getvalue(), Resize(mode, SIZE, "png"))
        assert made is not None
        ours = np.asarray(shown(made.data)).astype(float)
        theirs = np.asarray(shown((tmp_path / f"{mode}.png").read_bytes())).astype(float)
        assert ours.shape == theirs.shape, mode
        if mode == "border":  # newer albumentations fills with black: its argument for the colour was renamed
            filled = (ours == 255).all(axis=2)
            ours, theirs = ours[~filled], theirs[~filled]
        assert np.abs(ours - theirs).mean() < most, mode
