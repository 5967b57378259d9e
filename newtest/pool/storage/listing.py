"""Which of the files below a folder are a pool's own.

Commands are typed in pools, so what they write by default lies there too: layers, tables of pairs and queries, and
whole new pools. None of it is a shard of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from newtest.pool.storage.location import Entry

__all__ = ["FETCHED", "LAYERS", "RESHARDED", "of_this_pool"]

LAYERS = "layers"
"""The folder of the layers."""
FETCHED = "fetch.json"
RESHARDED = "reshard.json"
"""The files by which the pools that ``fetch-pool`` and ``reshard-pool`` write tell that they are pools of their own."""
_ABOUT = (".pairs.parquet", ".queries.parquet")


def of_this_pool(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without layers, tables about the pool, and pools of their own in folders below."""
    paths = [PurePosixPath(entry.name) for entry in entries]
    others = {path.parent for path in paths if path.name in (FETCHED, RESHARDED)} - {PurePosixPath()}
    return [
        entry
        for entry, path in zip(entries, paths, strict=True)
        if LAYERS not in path.parts[:-1]
        and not path.name.endswith(_ABOUT)
        and others.isdisjoint(path.parents)
    ]
