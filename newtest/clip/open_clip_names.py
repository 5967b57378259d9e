"""Which model of open_clip a name means: its configuration, its weights and what its pictures go through.

A name is ``MODEL/TAG`` (published weights), ``MODEL@FILE`` or ``MODEL/TAG@FILE`` (a file's weights in the model's or
the tag's configuration), ``CONFIG.json@FILE``, ``hf-hub:ORG/NAME``, or ``local-dir:PATH``.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.clip.preprocessing import Preprocessing, preprocessing_of
from newtest.clip.torch_runtime import library
from newtest.config import fingerprint
from newtest.errors import NotFoundError, UsageError
from newtest.files import sha256_of
from newtest.reading.jsons import read_json

__all__ = ["DEFAULT", "HUB", "LOCAL", "WITHOUT_NETWORK", "ModelName", "Recipe", "recipe"]

WITHOUT_NETWORK = (
    "without a network name a checkpoint on this machine, MODEL@CHECKPOINT (HF_HUB_OFFLINE=1 asks no hub and says so "
    "within seconds)"
)
"""What to do where the hub cannot be reached. It tries for about 50 s first, and no setting of its says otherwise."""

DEFAULT = "default"
"""In a result's name: the configuration that the model itself has, and no tag's."""

CONFIG = "open_clip_config.json"
MOST_CONFIG = 1 << 20
"""Bytes of a configuration that we are willing to parse."""
HUB, LOCAL = "hf-hub:", "local-dir:"
_WEIGHTS = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip
"""What open_clip looks for in a folder, in its order."""


@dataclass(frozen=True)
class ModelName:
    """The parts of a name. ``tag`` is that of the weights, or, with ``file``, that whose configuration they need."""

    model: str
    tag: str = ""
    file: Path | None = None

    @classmethod
    def parse(cls, name: str, like: str | None = None) -> ModelName:
        """``like`` is a tag whose configuration a file's weights need. Raises UsageError."""
        model, tag, file = name, "", None
        if not name.startswith((HUB, LOCAL)):
            if ".json@" in name:
                model, _, rest = name.partition(".json@")
                model, file = f"{model}.json", Path(rest)
            else:
                model, at, rest = name.partition("@")
                file = Path(rest) if at else None
            if not model.endswith(".json"):
                model, _, tag = model.partition("/")
        if like is not None:
            if file is None or tag or model.endswith(".json"):
                raise UsageError(
                    f"{name}: `like` names the tag whose configuration a checkpoint needs: MODEL@CHECKPOINT"
                )
            tag = like
        return cls(model, tag, file)

    def anywhere(self) -> str:
        """The name with whole paths: the same model from whichever folder it is asked for."""
        model = self.model
        if model.startswith(LOCAL):
            model = f"{LOCAL}{Path(model.removeprefix(LOCAL)).resolve()}"
        elif model.endswith(".json"):
            model = str(Path(model).resolve())
        return model + (f"/{self.tag}" if self.tag else "") + (f"@{self.file.resolve()}" if self.file else "")


@dataclass(frozen=True)
class Recipe:
    """What to build. ``name`` tells it from every other (but for precision); ``model`` and ``weights`` are what
    ``open_clip.create_model`` takes, ``tokenizer`` what ``open_clip.get_tokenizer`` takes.

    ``quick_gelu`` is None where the model's own configuration decides.
    """

    name: str
    model: str
    weights: str | None
    tokenizer: str
    dimension: int
    preprocessing: Preprocessing
    quick_gelu: bool | None = None
    doubt: str = ""
    """What a person should know of the choice, a sentence."""


def recipe(name: ModelName) -> Recipe:
    """Raises UsageError for models, tags, configurations and files that are not there, and MissingExtra."""
    if name.file is not None and not name.file.is_file():
        raise NotFoundError(f"{name.file}: there is no such checkpoint")
    if name.model.startswith(HUB):
        return _hub(name.model)
    if name.model.startswith(LOCAL):
        return _folder(Path(name.model.removeprefix(LOCAL)))
    if name.model.endswith(".json"):
        if name.file is None:
            raise UsageError(f"{name.model}: name its weights too, {name.model}@CHECKPOINT")
        config = _read(Path(name.model))
        known = f"{Path(name.model).stem}:{fingerprint(config)[:8]}@{_digest(name.file)}"
        return _registered(config, known, Path(name.model), name.file)
    return _named(name)


def _named(name: ModelName) -> Recipe:
    open_clip = library("open_clip", "open_clip_torch", "clip")
    model = open_clip.get_model_config(name.model) if name.model in open_clip.list_models() else None
    if model is None:
        raise UsageError(f"open_clip has no model {name.model!r}; open_clip.list_models() lists them")
    tags = open_clip.list_pretrained_tags_by_model(name.model)
    tag = name.tag.lower().replace("-", "_")  # as open_clip does
    if tag and tag != DEFAULT and tag not in tags:
        known = f"it has {', '.join(tags)}" if tags else "it has none; name a file, MODEL@CHECKPOINT"
        raise UsageError(f"open_clip has no tag {name.tag!r} of {name.model}: {known}")
    if name.file is None and tag in ("", DEFAULT):
        raise UsageError(f"{name.model}: name its weights too, {name.model}/TAG or {name.model}@CHECKPOINT")
    configs = [open_clip.get_pretrained_cfg(name.model, one) for one in ([tag] if tag in tags else tags)]
    config = configs[0] if configs and all(_look(one) == _look(configs[0]) for one in configs) else {}
    tag = tag or DEFAULT
    return Recipe(
        name=f"{name.model}/{tag}" + (f"@{_digest(name.file)}" if name.file else ""),
        model=name.model,
        weights=str(name.file) if name.file else tag,
        tokenizer=name.model,
        dimension=int(model["embed_dim"]),
        preprocessing=preprocessing_of(config, model["vision_cfg"].get("image_size", 224), name.model),
        # A tag that says nothing of it was trained with the model as it is (roberta-ViT-B-32, for one).
        quick_gelu=config.get("quick_gelu") if tag in tags else None,
        doubt="" if tag in tags else _doubt(name, model, dict(zip(tags, configs, strict=True))),
    )


def _doubt(name: ModelName, model: dict[str, Any], configs: dict[str, dict[str, Any]]) -> str:
    """Published weights of the model that another activation or other pixels were made for."""
    own = model.get("quick_gelu", False)
    other = [tag for tag, one in configs.items() if one.get("quick_gelu", own) != own]
    pixels = [tag for tag, one in configs.items() if _look(one) != _look(next(iter(configs.values())))]
    parts = [
        f"{', '.join(tags[:4])}{', ...' if len(tags) > 4 else ''} {what}"
        for tags, what in (
            (other, f"need {'GELU' if own else 'QuickGELU'}"),
            (pixels, "need other pixels than the first"),
        )
        if tags
    ]
    if not parts:
        return ""
    return (
        f"{name.file} has the configuration of {name.model} itself; of its published weights {' and '.join(parts)}: "
        "if it comes of one of these, name the tag with `like`"
    )


def _look(config: dict[str, Any]) -> list[Any]:
    return [config.get(key) for key in ("mean", "std", "interpolation", "resize_mode", "fill_color")]


def _hub(model: str) -> Recipe:
    hub = library("huggingface_hub", "huggingface_hub", "clip")
    try:
        path = Path(hub.hf_hub_download(model.removeprefix(HUB), CONFIG))
    except Exception as error:  # hubs raise whatever they like
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UsageError(f"{model}: its {CONFIG} cannot be had: {reason}; {WITHOUT_NETWORK}") from error
    config = _read(path)
    revision = path.parent.name if path.parent.parent.name == "snapshots" else fingerprint(config)
    return _of_config(config, f"{model}@{revision[:12]}", path, model, None, model)


def _folder(folder: Path) -> Recipe:
    path = folder / CONFIG
    if not path.is_file():
        raise UsageError(f"{LOCAL}{folder}: there is no {CONFIG} in it")
    config = _read(path)
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise UsageError(
            f"{LOCAL}{folder}: none of {', '.join(_WEIGHTS)} is in it; name the weights: {path}@CHECKPOINT"
        )
    name = f"{LOCAL}{folder.resolve().name}:{fingerprint(config)[:8]}@{_digest(weights)}"
    return _registered(config, name, path, weights, tokenizer=f"{LOCAL}{folder}")


def _registered(
    config: dict[str, Any], name: str, path: Path, weights: Path, tokenizer: str | None = None
) -> Recipe:
    """The configuration made known to open_clip, under a name that no other configuration can have."""
    stem = path.stem if path.name != CONFIG else path.resolve().parent.name
    model = f"{stem}-{fingerprint(config)[:16]}"
    open_clip = library("open_clip", "open_clip_torch", "clip")
    if model not in open_clip.list_models():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / f"{model}.json").write_text(json.dumps(config.get("model_cfg", config)), "utf-8")
            open_clip.add_model_config(Path(folder) / f"{model}.json")
    return _of_config(config, name, path, model, str(weights), tokenizer or model)


def _of_config(
    config: dict[str, Any], name: str, path: Path, model: str, weights: str | None, tokenizer: str
) -> Recipe:
    built = config.get("model_cfg", config)
    try:
        dimension, size = int(built["embed_dim"]), built["vision_cfg"].get("image_size", 224)
        look = config.get("preprocess_cfg", {})
        if not isinstance(look, dict) or not isinstance(built["text_cfg"], dict):
            raise TypeError("text_cfg and preprocess_cfg must be objects")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: not a model configuration of open_clip ({error!r})") from error
    return Recipe(name, model, weights, tokenizer, dimension, preprocessing_of(look, size, str(path)))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_CONFIG:
            raise ValueError(f"it is larger than {MOST_CONFIG} bytes")
        config = read_json(path)
        built = config.get("model_cfg", config)
        missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in built]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: not a model configuration of open_clip ({error})") from error
    if missing:
        raise UsageError(
            f"{path}: a model configuration of open_clip has {missing[0]!r}, and this one has not"
        )
    return dict(config)


def _digest(path: Path) -> str:
    return f"sha256:{sha256_of(path)[:16]}"
