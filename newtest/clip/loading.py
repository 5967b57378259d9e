"""Which encoder a name means."""

from __future__ import annotations

from newtest.clip.encoder import Encoder
from newtest.errors import UsageError

__all__ = ["encoder"]


def encoder(name: str = "conse", *, device: str | None = None, precision: str = "float32") -> Encoder:
    """An encoder by name: ``conse``, ``MODEL/TAG`` of open_clip, or ``MODEL@CHECKPOINT`` with a local file.

    MODEL may also be a ``.json`` of open_clip's model configuration. Raises UsageError, MissingExtra.
    """
    if name == "conse":
        from newtest.clip.conse import Conse

        return Conse(device=device)
    if "@" in name or "/" in name:
        from newtest.clip.open_clip import OpenClip

        model, at, checkpoint = name.partition("@")
        if not at:
            model, _, checkpoint = name.partition("/")
        return OpenClip(model, checkpoint, device=device, precision=precision)
    raise UsageError(
        f"no encoder is called {name!r}; give conse, MODEL/TAG (ViT-B-32/openai) or MODEL@CHECKPOINT"
    )
