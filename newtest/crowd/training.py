"""A short practice before the first task: images whose answers are explained. The owner writes it in a TOML file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.config import fingerprint
from newtest.errors import ImageError, UsageError
from newtest.files import bytes_of, text_at
from newtest.images import encode_jpeg, shown
from newtest.reading.tomls import parse_toml

__all__ = ["Training", "TrainingImage", "read_training"]

SIDE = 500
MOST_IMAGES = 20
MOST_BYTES = 1_000_000
LONGEST = 1_000
"""Characters of a text."""


@dataclass(frozen=True)
class TrainingImage:
    """An image of the practice, as a JPEG; ``asks`` is what it may show, and ``why`` explains the answer."""

    picture: bytes
    asks: str
    shows: bool
    why: str


@dataclass(frozen=True)
class Training:
    """The practice. ``version`` changes with every word and pixel of it."""

    version: str
    images: tuple[TrainingImage, ...]


def read_training(path: Path) -> Training:
    """A practice from a TOML file: ``[[image]]`` with ``file`` (beside it), ``asks``, ``shows`` (true or false) and
    ``why``. Raises UsageError that says which image is wrong, and how.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path}: more than {MOST_BYTES:,} bytes are not practice")
        table = parse_toml(text_at(path, "utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable TOML file ({error})") from error
    rows = table.get("image")
    if (
        not isinstance(rows, list)
        or not all(isinstance(row, dict) for row in rows)
        or set(table) != {"image"}
    ):
        raise UsageError(f"{path}: a practice is a list of [[image]] tables, and nothing else")
    if not 1 <= len(rows) <= MOST_IMAGES:
        raise UsageError(f"{path}: a practice has 1 to {MOST_IMAGES} images, this one has {len(rows)}")
    images = tuple(_image(path, number, row) for number, row in enumerate(rows, 1))
    words = [(one.asks, one.shows, one.why, hashlib.sha256(one.picture).hexdigest()) for one in images]
    return Training(fingerprint(words)[:12], images)


def _image(path: Path, number: int, row: Mapping[str, Any]) -> TrainingImage:
    where = f"{path}: image {number}"
    if unknown := sorted(set(row) - {"file", "asks", "shows", "why"}):
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; there are file, asks, shows, why")
    for name in ("file", "asks", "why"):
        value = row.get(name)
        if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST:
            raise UsageError(f"{where}: {name!r} must be a text of 1 to {LONGEST:,} characters")
    if not isinstance(row.get("shows"), bool):
        raise UsageError(f"{where}: 'shows' must be true or false")
    try:
        picture = encode_jpeg(shown(bytes_of(path.parent / row["file"]), within=SIDE))
    except (OSError, ValueError, ImageError) as error:
        raise UsageError(f"{where}: {row['file']} cannot be shown ({error})") from error
    return TrainingImage(picture, row["asks"].strip(), row["shows"], row["why"].strip())
