"""Classifiers see what their own libraries show them: torchvision 0.28's and timm 1.0's transforms, pixel by pixel.

The libraries' own code is run beside ours: https://github.com/pytorch/vision, https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from newtest.clip.torch_runtime import library
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring.classifiers import build, full_name
from newtest.evaluation.scoring.models import ModelConfig, run_model
from newtest.evaluation.scoring.sets import read_set


def noise(width: int, height: int) -> PIL.Image.Image:
    return PIL.Image.effect_noise((width, height), 90).convert("RGB")


def saved(module: Any, path: Path) -> Path:
    import torch

    torch.save(module.state_dict(), path)
    return path


def vision() -> Any:
    return library("torchvision", "torchvision", "clip")


def test_every_weights_of_torchvision_has_a_name_of_its_own() -> None:
    several = 0
    for model in vision().models.list_models(module=vision().models):
        weights = vision().models.get_model_weights(model)
        several += len(weights) > 1
        for one in weights:
            assert full_name(f"torchvision:{model}.{one.name}", None) == f"torchvision:{model}.{one.name}"
        assert full_name(f"torchvision:{model}", None) == f"torchvision:{model}.{weights.DEFAULT.name}"
    assert several >= 29


@pytest.mark.parametrize("named", ["IMAGENET1K_V1", "IMAGENET1K_V2", ""])
def test_a_file_is_shown_what_the_named_weights_are(named: str, tmp_path: Path) -> None:
    file = saved(vision().models.get_model("mobilenet_v2", weights=None), tmp_path / "w.pt")
    name = "torchvision:mobilenet_v2" + (f".{named}" if named else "")
    transform = vision().models.get_model_weights("mobilenet_v2")[named or "DEFAULT"].transforms()
    built = build(name, file)
    for size in [(640, 480), (333, 500), (1000, 80), (9, 5)]:
        assert np.array_equal(built.transform(noise(*size)).shape, (3, 224, 224))
        picture = noise(*size)
        assert np.array_equal(built.transform(picture).numpy(), transform(picture).numpy())
    import torch

    state = torch.load(file, weights_only=True)
    torch.save({"epoch": 3, "model": state, "model_ema": state}, file)
    assert build(name, file).module is not None, "a training script's file has the weights within"
    found = full_name(name, file)
    assert found.startswith(f"torchvision:mobilenet_v2.{named or 'IMAGENET1K_V2'}@sha256:")


def test_what_the_weights_need_of_the_network_is_built(tmp_path: Path) -> None:
    """torchvision's builder changes the network with its weights; a file in their place needs the same."""
    file = saved(vision().models.get_model("googlenet", weights=None, init_weights=False), tmp_path / "w.pt")
    module = build("torchvision:googlenet.IMAGENET1K_V1", file).module
    assert module.transform_input and module.aux1 is None
    chosen = vision().models.get_model_weights("googlenet").IMAGENET1K_V1
    assert "get_state_dict" not in vars(chosen), "the published weights are as they were"


@pytest.mark.parametrize(
    "model", ["test_resnet", "test_vit", "test_efficientnet.r160_in1k", "test_convnext2"]
)
def test_timms_transforms_are_timms_own(model: str, tmp_path: Path) -> None:
    timm = library("timm", "timm", "clip")
    module = timm.create_model(model, pretrained=False)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    built = build(f"timm:{model}", saved(module, tmp_path / "w.pt"))
    for size in [(640, 480), (333, 500), (1000, 80), (9, 5)]:
        picture = noise(*size)
        assert np.array_equal(built.transform(picture).numpy(), transform(picture).numpy())
    tag = timm.get_pretrained_cfg(model).tag
    assert full_name(f"timm:{model}", None) == f"timm:{model.partition('.')[0]}.{tag}"


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_runs(precision: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    timm = library("timm", "timm", "clip")
    file = saved(timm.create_model("test_resnet", pretrained=False), tmp_path / "w.pt")
    for at in range(4):
        (tmp_path / "set" / str(at % 2)).mkdir(parents=True, exist_ok=True)
        noise(50, 40 + at).save(tmp_path / "set" / str(at % 2) / f"{at}.png")
    found, broken = run_model(
        "timm:test_resnet",
        read_set(tmp_path / "set"),
        ModelConfig(precision=precision, weights=file, device="cpu"),
        tmp_path / "out",
    )
    assert not broken and (found.values >= 0).all()
    assert found.preprocessing.endswith(f"; {precision}") and "@sha256:" in found.model


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torchvision:resnet50.IMAGENET1K_V9", "no such weights of it; it has IMAGENET1K_V1, IMAGENET1K_V2"),
        ("torchvision:fcn_resnet50", "no classifier 'fcn_resnet50'"),
        ("timm:no_such", "timm has no such model"),
        ("timm:resnet50.no_such", "timm has no such weights of it; it has resnet50.a1_in1k"),
        ("efficientnet-lite0:x", "unknown; known are"),
        ("other:x", "unknown; known are"),
    ],
)
def test_names_that_mean_nothing_are_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises((EvaluationError, UsageError), match=sentence):
        full_name(name, None)
