"""The pixels that a model sees are those of open_clip's own transform, for every published tag; no weights needed.

Compared with open_clip_torch 3.3.0 (``open_clip.transform.image_transform_v2`` over ``PreprocessCfg``, as
``open_clip.create_model_and_transforms`` builds it), https://github.com/mlfoundations/open_clip.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import pytest

from newtest.clip.loading import encoder
from newtest.clip.preprocessing import Preprocessing, preprocessing_of
from newtest.clip.torch_runtime import library

SIZES = [(640, 480), (480, 640), (333, 500), (1000, 80), (3, 2)]


def picture(width: int, height: int, mode: str = "RGB") -> PIL.Image.Image:
    """Noise over a slope: a shift of a fraction of a pixel shows."""
    rng = np.random.default_rng(width * 10_000 + height)
    slope = np.linspace(0, 160, width)[None, :, None] + np.linspace(0, 60, height)[:, None, None]
    noisy = np.clip(slope + rng.integers(0, 36, (height, width, 3)), 0, 255).astype(np.uint8)
    return PIL.Image.fromarray(noisy).convert(mode)


PICTURES = [picture(*size) for size in SIZES]


def their_pixels(config: dict[str, Any], images: list[PIL.Image.Image]) -> list[Any]:
    transform_module = library("open_clip.transform", "open_clip_torch", "clip")
    transform = transform_module.image_transform_v2(transform_module.PreprocessCfg(**config), is_train=False)
    return [transform(image).numpy() for image in images]


def ours(how: Preprocessing, images: list[PIL.Image.Image]) -> list[Any]:
    mean, std = (np.array(triple, np.float32)[:, None, None] for triple in (how.mean, how.std))
    scaled = [how.pixels(image).transpose(2, 0, 1).astype(np.float32) / np.float32(255) for image in images]
    return [(one - mean) / std for one in scaled]


def test_every_tag_sees_open_clips_pixels() -> None:
    open_clip = library("open_clip", "open_clip_torch", "clip")
    merge = library("open_clip.transform", "open_clip_torch", "clip").merge_preprocess_dict
    expected: dict[str, list[Any]] = {}
    tags = open_clip.list_pretrained()
    for model, tag in tags:
        size = open_clip.get_model_config(model)["vision_cfg"]["image_size"]
        config = merge(merge({}, open_clip.get_pretrained_cfg(model, tag)), {"size": size})
        loaded = encoder(f"{model}/{tag}", device="cpu")
        how = loaded.recipe.preprocessing  # type: ignore[attr-defined]
        if repr(config) not in expected:
            expected[repr(config)] = their_pixels(config, PICTURES)
            for mine, theirs in zip(ours(how, PICTURES), expected[repr(config)], strict=True):
                assert np.array_equal(mine, theirs), (model, tag)
            seen = how
        assert how == preprocessing_of(config, size, tag), (model, tag)
        assert seen.pixels(PICTURES[0]).dtype == np.uint8
    assert len(tags) >= 196
    assert len(expected) >= 20


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK"])
@pytest.mark.parametrize(
    "config",
    [
        {"size": (64, 64), "resize_mode": "shortest", "interpolation": "bilinear"},
        {"size": 64, "resize_mode": "squash", "interpolation": "bicubic"},
        {"size": (48, 80), "resize_mode": "shortest", "interpolation": "bilinear"},
        {"size": (48, 80), "resize_mode": "squash", "interpolation": "bilinear"},
        {"size": 64, "resize_mode": "longest", "interpolation": "bicubic", "fill_color": 0},
        {"size": (48, 80), "resize_mode": "longest", "interpolation": "bilinear", "fill_color": 127},
        {"size": 64, "interpolation": "random", "mean": 0.5, "std": [0.5, 0.25, 0.5]},
    ],
)
def test_every_mode_of_resizing_and_of_pictures(config: dict[str, Any], mode: str) -> None:
    images = [picture(*size, mode) for size in [(100, 70), (70, 100), (64, 64), (300, 20), (3, 2)]]
    how = preprocessing_of(config, config["size"], "test")
    for mine, theirs in zip(ours(how, images), their_pixels(config, images), strict=True):
        assert np.array_equal(mine, theirs)
