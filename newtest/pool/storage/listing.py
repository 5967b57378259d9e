"""Which of the files below a folder are a pool's own.

Commands are typed in pools, so what they write by default lies there too: layers, tables of pairs and queries, and
whole new pools. None of it is a shard of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from newtest.pool.storage.claims import OLD_LAYERS
from newtest.pool.storage.location import Entry

__all__ = ["of_this_pool"]

_OLD_CLAIMS = ("fetch.json", "reshard.json")
_ABOUT = (".pairs.parquet", ".queries.parquet", ".clusters.parquet", ".groups.parquet")


def of_this_pool(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without tables about the pool and without what older newtests left: layers, and pools of their own
    in folders below (a place leaves out the ones of today, ``newtest.pool.storage.location``).
    """
    paths = [PurePosixPath(entry.name) for entry in entries]
    others = {path.parent for path in paths if path.name in _OLD_CLAIMS} - {PurePosixPath()}
    return [
        entry
        for entry, path in zip(entries, paths, strict=True)
        if OLD_LAYERS not in path.parts[:-1]
        and not path.name.endswith(_ABOUT)
        and others.isdisjoint(path.parents)
    ]
