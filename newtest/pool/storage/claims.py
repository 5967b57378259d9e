"""Whose pool a folder holds: what newtest stores in a pool lies in ``__newtest/``, and says there who made the pool.

pandas and pyarrow skip names that begin with ``_``, and ``datasets`` skips folders that begin with ``__``, so a pool
stays what it was to them. Pools of newtest 0.x have ``layers/``, ``fetch.json`` and ``reshard.json`` instead; they are
moved when such a pool is opened, where that can be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from newtest.errors import PoolError
from newtest.pool.storage.location import CLAIM, HOME, Entry, LocalPlace, RemotePlace
from newtest.reading.jsons import parse_json
from newtest.version import __version__

__all__ = ["CLAIM", "HOME", "LAYERS", "OLD_LAYERS", "claim", "layers_of", "seen_from"]

LAYERS = f"{HOME}/layers"
"""The folder of the layers."""
OLD_LAYERS = "layers"
_OLD_CLAIMS = {"fetch.json": "fetch-pool", "reshard.json": "reshard-pool"}

Place = LocalPlace | RemotePlace


def claim(
    place: Place,
    made_by: str,
    recipe: Mapping[str, Any],
    differs: str,
    either: Mapping[str, Any] | None = None,
) -> None:
    """Write down that a command makes this pool and of what, or find that it did before.

    It was made of the same when all of ``recipe`` and any of ``either`` is what it was; ``differs`` says what it means
    when not. Raises PoolError where there is anything that this command did not
    make of the same things: it stays as it is.
    """
    _move_claims(place)
    said = _said(place)
    if said is None:
        if not place.is_empty():
            raise PoolError(
                f"{place.url}: there is something here that newtest {made_by} did not make; choose an empty folder, "
                "and it stays as it is"
            )
        _write(place, {"newtest": __version__, "made_by": made_by, **recipe, **(either or {})})
        return
    if said.get("made_by") != made_by:
        raise PoolError(
            f"{place.url}: this pool was made by newtest {said.get('made_by')}; choose another folder for this one"
        )
    if not _alike(said, recipe, all) or not _alike(said, either or {}, any):
        raise PoolError(f"{place.url}: {differs}; choose another folder for this one")


def _alike(
    said: Mapping[str, Any], recipe: Mapping[str, Any], enough: Callable[[Iterable[bool]], bool]
) -> bool:
    """Whether what was written down is the same; an older newtest wrote down less, and is believed."""
    told = [key for key in recipe if key in said]
    return not told or enough(said[key] == recipe[key] for key in told)


def seen_from(place: Place, source: str) -> str:
    """The name of a folder or URL as a pool notes it: relative where both lie on this machine, so that they may be
    moved together.
    """
    if isinstance(place, LocalPlace) and "://" not in source:
        return Path(os.path.relpath(Path(source).resolve(), place.root.resolve())).as_posix()
    return source


def layers_of(place: Place, entries: Sequence[Entry]) -> str:
    """The name of the folder of the pool's layers; those under their old name are moved first, where that can be."""
    _move_claims(place, {entry.name for entry in entries})
    if not any(_is_old_layer(entry.name) for entry in entries):
        return LAYERS
    try:
        place.move(OLD_LAYERS, LAYERS)
    except (OSError, PoolError):  # a pool that cannot be written to keeps them where they are
        return OLD_LAYERS
    return LAYERS


def _is_old_layer(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 3 and parts[0] == OLD_LAYERS and parts[2] == "layer.json"


def _move_claims(place: Place, names: set[str] | None = None) -> None:
    for name, made_by in _OLD_CLAIMS.items():
        if name in names if names is not None else place.exists(name):
            said = _read(place, name)
            if said is None or not ({"newtest", "recipe"} & said.keys()):
                continue  # a stranger's
            try:
                _write(place, {"made_by": made_by, **said})
                place.remove(name)
            except (OSError, PoolError):
                continue


def _said(place: Place) -> dict[str, Any] | None:
    return _read(place, CLAIM) if place.exists(CLAIM) else None


def _read(place: Place, name: str) -> dict[str, Any] | None:
    try:
        with place.open(name) as handle:
            value = parse_json(handle.read(1 << 20))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _write(place: Place, said: Mapping[str, Any]) -> None:
    with place.writing(CLAIM) as path:
        path.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
