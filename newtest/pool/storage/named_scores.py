"""Scores under names of their own (``aesthetic``), as layers of a pool: which one a name stands for now.

``names/NAME.json`` below the layers names the layer that was computed last under a name, once it is complete. Earlier
ones stay where they are and are computed no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from newtest.config import canonical_json
from newtest.errors import PoolError, UsageError
from newtest.pool.storage.canonical import ALIASES
from newtest.pool.storage.columns import Columns
from newtest.pool.storage.layers import Layer, manifest_of
from newtest.pool.storage.pool import Pool
from newtest.reading.jsons import parse_json
from newtest.reading.texts import MOST_TEXT, read_at_most

__all__ = ["COLUMN", "KIND", "give_name", "named_columns", "require_free"]

KIND = "named-scores"
COLUMN = "score"
"""The column of such a layer: float32, NaN where there is no score; ``reason`` says why."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_TAKEN = frozenset(
    {"clip_score", "rule", *ALIASES, *(alias for names in ALIASES.values() for alias in names)}
)


def require_free(pool: Pool, name: str) -> str:
    """``name``, where it can stand for scores. Raises UsageError: it is of another form, or a column of the pool."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"`name` {name[:80]!r} is not a letter and up to 63 letters, digits, dots, dashes and underscores"
        )
    if name in _TAKEN or _is_ours(name) or any(name in pool.schema(shard).names for shard in pool.shards):
        raise UsageError(f"`name` {name!r} is a column of pools already; choose another name")
    return name


def give_name(pool: Pool, name: str, layer: Layer) -> None:
    """Let a name stand for a layer that is complete."""
    with pool.layers.writing(_file(name)) as path:
        path.write_text(canonical_json({"kind": layer.kind, "config": layer.config}) + "\n")


def named_columns(pool: Pool, names: Iterable[str]) -> Columns:
    """Those of the names that stand for scores, where the pool's tables have no column of this name.

    Raises PoolError where such scores do not cover the pool as it is now.
    """
    found: Columns = {}
    for name in dict.fromkeys(names):
        if _NAME.fullmatch(name) is None or name in _TAKEN or _is_ours(name):
            continue
        if not pool.shards or name in pool.schema(pool.shards[0]).names:
            continue
        layer = _named(pool, name)
        if layer is None:
            continue
        if manifest_of(pool, layer) is None:
            raise PoolError(
                f"{pool.place.url}: the scores called {name} do not cover the pool as it is now; run the "
                "'newtest score-pool' that made them again"
            )
        found[name] = (layer, COLUMN)
    return found


def _named(pool: Pool, name: str) -> Layer | None:
    try:
        with pool.layers.open(_file(name)) as handle:
            value = parse_json(read_at_most(handle, MOST_TEXT))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _damaged(pool, name) from error
    if not isinstance(value, dict) or value.get("kind") != KIND or not isinstance(value.get("config"), dict):
        raise _damaged(pool, name)
    return Layer(KIND, value["config"])


def _damaged(pool: Pool, name: str) -> PoolError:
    return PoolError(
        f"{pool.layers.url}: {_file(name)} is damaged; run the 'newtest score-pool' that made {name} again"
    )


def _file(name: str) -> str:
    return f"names/{name}.json"


def _is_ours(name: str) -> bool:
    return name.startswith("newtest.")
