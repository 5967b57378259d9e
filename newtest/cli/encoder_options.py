"""Options of the commands that take an encoder: one spelling for all of them."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Device", "EncoderName", "Like", "Precision", "encoder_of"]

EncoderName = Annotated[
    str,
    typer.Option(
        "--model",
        help="The encoder: conse, or open_clip's MODEL/TAG, MODEL@CHECKPOINT (a file), hf-hub:ORG/NAME, "
        "local-dir:PATH.",
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        "--like", metavar="TAG", help="Configure a CHECKPOINT as this tag of MODEL; else as MODEL itself."
    ),
]
Precision = Annotated[
    str, typer.Option("--precision", help="float32, bfloat16 or float16 (open_clip's models).")
]
Device = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, ...", show_default="a GPU if there is one")
]


def encoder_of(model: str | None, like: str | None) -> str | None:
    """The encoder's name with its tag in it; None where none is named. Raises UsageError."""
    from newtest.errors import UsageError

    if model is None:
        if like is not None:
            raise UsageError("`like` goes with `model`: MODEL@CHECKPOINT")
        return None
    if like is None and not model.startswith("open_clip:"):
        return model  # and the encoders are not imported
    from newtest.clip.loading import with_tag

    return with_tag(model, like)
