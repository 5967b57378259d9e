"""Which encoder a name means."""

from __future__ import annotations

from newtest.clip.encoder import Encoder
from newtest.clip.open_clip_names import HUB, LOCAL, ModelName
from newtest.errors import UsageError

__all__ = ["PREFIX", "encoder", "names_an_encoder", "with_tag"]

PREFIX = "open_clip:"
"""What may stand before a name of open_clip's, and must where classifiers are meant too and the name says no more."""

_LIKE = "`like` is for checkpoints of open_clip's models; conse has its own weights"


def encoder(
    name: str = "conse", *, like: str | None = None, device: str | None = None, precision: str = "float32"
) -> Encoder:
    """An encoder by name: ``conse``, or a model of open_clip.

    These are ``MODEL/TAG`` (published weights), ``MODEL@CHECKPOINT`` (a local file, in the model's own configuration),
    ``MODEL/TAG@CHECKPOINT`` (in the tag's: which pixels, which activation; ``like`` may name the tag instead),
    ``hf-hub:ORG/NAME`` and ``local-dir:PATH``. MODEL may be a ``.json`` of open_clip's model configuration.
    ``open_clip:`` before any of them changes nothing. Raises UsageError, MissingExtra.
    """
    name = name.removeprefix(PREFIX)
    if name == "conse":
        if like is not None:
            raise UsageError(_LIKE)
        from newtest.clip.conse import Conse

        return Conse(device=device)
    if "@" in name or "/" in name or name.startswith((HUB, LOCAL)):
        from newtest.clip.open_clip import OpenClip

        return OpenClip(name, like=like, device=device, precision=precision)
    raise UsageError(
        f"no encoder is called {name!r}; give conse, MODEL/TAG (ViT-B-32/openai), MODEL@CHECKPOINT, "
        "hf-hub:ORG/NAME or local-dir:PATH"
    )


def with_tag(name: str, like: str | None) -> str:
    """The name of the same encoder with ``like`` in it, for what keeps one name: ``MODEL/TAG@CHECKPOINT``.

    Raises UsageError where the name is not that of a checkpoint.
    """
    name = name.removeprefix(PREFIX)
    if like is None:
        return name
    if name == "conse":
        raise UsageError(_LIKE)
    parsed = ModelName.parse(name, like)
    return f"{parsed.model}/{parsed.tag}@{parsed.file}"


def names_an_encoder(name: str) -> bool:
    """Whether a name is spelt as one of an encoder, where it could be one of a classifier."""
    if name.startswith(("timm:", "torchvision:")):
        return False
    return name == "conse" or name.startswith((PREFIX, HUB, LOCAL)) or "/" in name or "@" in name
