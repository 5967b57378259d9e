"""The corruptions against what other people's code made of the same picture.

``corruptions.json`` was recorded on 26 November 2026. Fourteen kinds: imagecorruptions 1.1.2 (bethgelab/
imagecorruptions, with numpy 2.4.6, scikit-image 0.26, OpenCV 5.0; two names that these versions dropped were given
back) on the picture below, 96 x 96, mean of 40 seeds. ``elastic_transform``: the function of hendrycks/robustness,
ImageNet-C/create_c/make_imagenet_c.py, on the picture of 224 x 224, 30 seeds; imagecorruptions has another one. Of
each: mean, standard deviation, mean step between neighbours and distance from the picture, and how these vary over
seeds; of kinds without chance every twelfth pixel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

from newtest.corruption import KINDS, corrupted

RECORDED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "corruptions.json").read_text())
PLAIN = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
SEEDS = 5


def picture(side: int) -> npt.NDArray[np.uint8]:
    rows, columns = np.mgrid[:side, :side] / side
    red = 0.5 + 0.4 * np.sin(9 * rows) * np.cos(7 * columns)
    green = (columns + rows) / 2
    blue = ((rows * 8).astype(int) + (columns * 8).astype(int)) % 2 * 0.7 + 0.15
    return np.round(255 * np.stack([red, green, blue], axis=-1)).astype(np.uint8)


def test_all_fifteen_are_recorded() -> None:
    assert {key.partition(".")[0] for key in RECORDED} == set(KINDS) and len(RECORDED) == 75
    assert len(KINDS) == 15


@pytest.mark.parametrize("kind", PLAIN)
def test_kinds_without_chance_give_their_pixels(kind: str) -> None:
    image = PIL.Image.fromarray(picture(96))
    for severity in (1, 2, 3, 4, 5):
        ours = np.asarray(corrupted(image, kind, severity))[::12, ::12].ravel().astype(int)
        assert np.abs(ours - RECORDED[f"{kind}.{severity}"]["pixels"]).max() <= 1


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in PLAIN])
def test_kinds_with_chance_are_as_strong(kind: str) -> None:
    """Within 4 standard errors of the two means (frost: 4 of its wide spread, for its ice is drawn), and a little."""
    clean = picture(224 if kind == "elastic_transform" else 96)
    image = PIL.Image.fromarray(clean)
    for severity in (1, 5) if kind == "elastic_transform" else (1, 3, 5):
        found = [
            np.asarray(corrupted(image, kind, severity, seed=seed)).astype(float) for seed in range(SEEDS)
        ]
        ours = np.mean(
            [
                (
                    one.mean(),
                    one.std(),
                    np.abs(np.diff(one, axis=1)).mean(),
                    np.sqrt(((one - clean) ** 2).mean()),
                )
                for one in found
            ],
            axis=0,
        )
        recorded = RECORDED[f"{kind}.{severity}"]
        error = 4 * np.array(recorded["spread"]) * np.sqrt(1 / SEEDS + 1 / 30)
        slack = 0.02 * np.array(recorded["statistics"]) + (2.0 if kind == "frost" else 0.3)
        assert (np.abs(ours - recorded["statistics"]) <= error + slack).all(), (severity, ours, recorded)
