"""Frozen dataclasses as TOML files and as fingerprints."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from newtest.errors import ConfigError
from newtest.reading.texts import read_text
from newtest.reading.tomls import MOST_TOML, parse_toml

__all__ = ["canonical_json", "fingerprint", "from_mapping", "load_toml", "to_mapping"]

T = TypeVar("T")


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text in every process."""
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(*values: object) -> str:
    """64 hex digits that name the values: sha256 of their canonical JSON."""
    return hashlib.sha256(canonical_json(list(values)).encode()).hexdigest()


def to_mapping(config: Any) -> dict[str, Any]:
    """A dataclass as plain dicts, lists and scalars (what TOML and JSON can hold); ``None`` values are left out."""
    plain = _plain(config)
    assert isinstance(plain, dict)
    return {key: value for key, value in plain.items() if value is not None}


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str = "configuration") -> T:
    """A dataclass from a mapping; unknown keys and wrong types raise ConfigError that names them and the place."""
    assert dataclasses.is_dataclass(cls)
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls) if f.init]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(names)}")
    converted = {key: _convert(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    try:
        return cls(**converted)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def load_toml(cls: type[T], path: Path, *, table: str | None = None) -> T:
    """Read a dataclass from a TOML file, or from one ``[table]`` of it. Raises ConfigError."""
    try:
        values: Any = parse_toml(read_text(path, MOST_TOML))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return from_mapping(cls, values.get(table, {}) if table else values, where=str(path))


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return value.item()  # numpy scalars
    return value


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        errors = []
        for option in args:
            if option is type(None):
                if value is None:
                    return None
                continue
            try:
                return _convert(value, option, where)
            except ConfigError as error:
                errors.append(error)
        raise errors[0]
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: a list is required, got {value!r}")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(item, args[0], where) for item in value)
        return tuple(_convert(item, arg, where) for item, arg in zip(value, args, strict=True))
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ConfigError(f"{where}: {hint.__name__} is required, got {value!r}")
    return value
