"""Which layers a pool has, and which of them are complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from newtest.pool.storage.layers import Layer, is_there, json_of, manifest_of
from newtest.pool.storage.pool import Pool

__all__ = ["LayerState", "found", "states"]


@dataclass(frozen=True)
class LayerState:
    """A layer's folder, what made it, and whether it is complete for the pool as it is now."""

    folder: str
    kind: str
    config: Mapping[str, Any]
    shards: int
    complete: bool
    rows: int
    failed: int
    known: int
    """Rows that were asked about: all, but in a layer that is filled as it is needed (languages)."""


def found(pool: Pool, kind: str) -> list[Layer]:
    """The complete layers of one kind, sorted by folder."""
    return [
        Layer(state.kind, state.config) for state in states(pool) if state.kind == kind and state.complete
    ]


def states(pool: Pool) -> list[LayerState]:
    """Every layer below the pool, complete or not, sorted by folder."""
    if not is_there(pool.layers):
        return []
    files: dict[str, list[str]] = {}
    for entry in pool.layers.entries():
        folder, _, name = entry.name.partition("/")
        files.setdefault(folder, []).append(name)
    result = []
    for folder, names in sorted(files.items()):
        if "layer.json" not in names:
            continue
        described = json_of(pool, f"{folder}/layer.json") or {}
        layer = Layer(str(described.get("kind", "")), described.get("config", {}))
        manifest = manifest_of(pool, layer)
        rows = [] if manifest is None else list(manifest["shards"].values())
        known = sum(row.get("known", row["rows"]) for row in rows)
        result.append(
            LayerState(
                folder, layer.kind, layer.config,
                shards=sum(name.endswith(".parquet") for name in names),
                complete=manifest is not None and known == sum(row["rows"] for row in rows),
                rows=sum(row["rows"] for row in rows),
                failed=sum(row["failed"] for row in rows),
                known=known,
            )
        )  # fmt: skip
    return result
