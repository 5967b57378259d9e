"""Which columns of a table hold images, by their types and names: one image per row, or a list of them.

``datasets`` writes a struct of ``bytes`` and ``path``, img2dataset plain bytes in a column of a usual name. Lists of
either hold several images per row. Other columns of bytes may hold anything, so they must be named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

__all__ = [
    "VIEWS", "ImageColumn", "holds_bytes", "image_columns", "is_binary", "is_list", "is_struct_of_images",
    "with_bytes",
]  # fmt: skip

_NAMES = frozenset({"image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "images", "imgs"})
_ONE = re.compile(r"(.+)\[([0-9]{1,6})\]", re.DOTALL)
VIEWS = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}


@dataclass(frozen=True)
class ImageColumn:
    """A column of images; ``index`` is which one is meant, where each row holds a list of them."""

    name: str
    index: int | None = None

    @classmethod
    def named(cls, said: str, present: Sequence[str]) -> ImageColumn:
        """``images`` or ``images[0]``; a column that has such a name itself goes first."""
        found = None if said in present else _ONE.fullmatch(said)
        return cls(said) if found is None else cls(found[1], int(found[2]))


def image_columns(schema: pa.Schema) -> list[str]:
    """The columns that hold images."""
    return [str(field.name) for field in schema if _holds_images(field.name, field.type)]


def holds_bytes(schema: pa.Schema) -> list[str]:
    """The columns that have bytes anywhere in them, so that they might hold images."""
    return [str(field.name) for field in schema if _has_bytes(field.type)]


def is_list(kind: pa.DataType) -> bool:
    """Lists of any kind."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)) or str(
        kind
    ).startswith(("list_view<", "large_list_view<"))


def is_binary(kind: pa.DataType) -> bool:
    """Bytes, large ones, views of them, and dictionaries of them."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view")


def is_struct_of_images(name: str, kind: pa.DataType) -> bool:
    """Whether values of this column are structs that have an image's bytes, or its path alone."""
    if not pa.types.is_struct(kind):
        return False
    parts = {part.name: part.type for part in kind}
    if "bytes" in parts:
        return is_binary(parts["bytes"]) or (pa.types.is_null(parts["bytes"]) and "path" in parts)
    return name.lower() in _NAMES and set(parts) == {"path"}


def with_bytes(name: str, kind: pa.DataType) -> pa.DataType:
    """The type of images with a place for bytes, where they are paths alone; any other type as it is, without views."""
    if is_list(kind) and _holds_images(name, kind):
        inner = with_bytes(name, kind.value_type)
        return kind if inner == kind.value_type else pa.large_list(inner)
    if not is_struct_of_images(name, kind):
        return VIEWS.get(str(kind), kind)
    parts = {part.name: part.type for part in kind}
    lacking = pa.types.is_null(parts.get("bytes", pa.null()))
    return pa.struct({**parts, "bytes": pa.binary()}) if lacking else kind


def _holds_images(name: str, kind: pa.DataType) -> bool:
    kind = kind.value_type if is_list(kind) else kind
    return is_struct_of_images(name, kind) or (is_binary(kind) and name.lower() in _NAMES)


def _has_bytes(kind: pa.DataType) -> bool:
    if is_binary(kind):
        return True
    if is_list(kind):
        return _has_bytes(kind.value_type)
    return pa.types.is_struct(kind) and any(_has_bytes(part.type) for part in kind)
