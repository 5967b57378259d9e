"""ImageNetV2's dataset files: JSON whose ``image_filenames`` is a list of pairs of image id and wnid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from newtest.errors import UsageError
from newtest.reading.jsons import read_json

__all__ = ["is_dataset", "pairs_of", "read_document"]


def read_document(path: Path) -> Any:
    """The JSON of a file. Raises UsageError that names it."""
    try:
        return read_json(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error})") from error


def is_dataset(document: Any) -> bool:
    """Whether it is one of ImageNetV2's."""
    return isinstance(document, dict) and "image_filenames" in document


def pairs_of(document: Any, path: Path) -> list[tuple[str, str]]:
    """(id, wnid) of each image, in the file's order. Raises UsageError."""
    pairs = document.get("image_filenames") if isinstance(document, dict) else None
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in pairs
    ):
        raise UsageError(
            f"{path}: not one of ImageNetV2's dataset files: image_filenames must be a list of pairs of "
            "file name and wnid"
        )
    return [(name, wnid) for name, wnid in pairs]
