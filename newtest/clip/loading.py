"""Which encoder a name means."""

from __future__ import annotations

from newtest.clip.encoder import Encoder
from newtest.errors import UsageError

__all__ = ["encoder"]


def encoder(
    name: str = "conse", *, like: str | None = None, device: str | None = None, precision: str = "float32"
) -> Encoder:
    """An encoder by name: ``conse``, or a model of open_clip.

    These are ``MODEL/TAG`` (published weights), ``MODEL@CHECKPOINT`` (a local file, in the model's own configuration),
    ``MODEL/TAG@CHECKPOINT`` (in the tag's: which pixels, which activation; ``like`` may name the tag instead),
    ``hf-hub:ORG/NAME`` and ``local-dir:PATH``. MODEL may be a ``.json`` of open_clip's model configuration. Raises
    UsageError, MissingExtra.
    """
    if name == "conse":
        if like is not None:
            raise UsageError("`like` is for checkpoints of open_clip's models; conse has its own weights")
        from newtest.clip.conse import Conse

        return Conse(device=device)
    if "@" in name or "/" in name or name.startswith(("hf-hub:", "local-dir:")):
        from newtest.clip.open_clip import OpenClip

        return OpenClip(name, like=like, device=device, precision=precision)
    raise UsageError(
        f"no encoder is called {name!r}; give conse, MODEL/TAG (ViT-B-32/openai), MODEL@CHECKPOINT, "
        "hf-hub:ORG/NAME or local-dir:PATH"
    )
