"""Image-text pools: layers, subsets, filters, dedup, decontamination, balancing, resharding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.lazy import face
from newtest.reading.without_pandas import hide

hide()  # before any part of a pool is imported

if TYPE_CHECKING:
    from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
    from newtest.pool.dedup.near_duplicates import DedupConfig
    from newtest.pool.embedding import EmbedConfig, embed, score
    from newtest.pool.fetching import fetch_shards
    from newtest.pool.filtering.recipe import Recipe, run
    from newtest.pool.filtering.report import write_report
    from newtest.pool.importing import import_folder, import_tars
    from newtest.pool.queries import read_queries
    from newtest.pool.resizing import Resize
    from newtest.pool.storage.pool import Pool, Shard, open_pool
    from newtest.pool.storage.subset import Subset, difference, intersection, union
    from newtest.pool.storage.summary import summary

_HOMES = {
    "newtest.pool.queries": ("read_queries",),
    "newtest.pool.dedup.decontaminate": (
        "DecontaminateConfig",
        "decontaminate",
    ),
    "newtest.pool.dedup.near_duplicates": ("DedupConfig",),
    "newtest.pool.embedding": (
        "EmbedConfig",
        "embed",
        "score",
    ),
    "newtest.pool.fetching": ("fetch_shards",),
    "newtest.pool.filtering.recipe": (
        "Recipe",
        "run",
    ),
    "newtest.pool.filtering.report": ("write_report",),
    "newtest.pool.importing": (
        "import_folder",
        "import_tars",
    ),
    "newtest.pool.resizing": ("Resize",),
    "newtest.pool.storage.pool": (
        "Pool",
        "Shard",
        "open_pool",
    ),
    "newtest.pool.storage.subset": (
        "Subset",
        "difference",
        "intersection",
        "union",
    ),
    "newtest.pool.storage.summary": ("summary",),
}

__all__ = [
    "DecontaminateConfig",
    "DedupConfig",
    "EmbedConfig",
    "Pool",
    "Recipe",
    "Resize",
    "Shard",
    "Subset",
    "decontaminate",
    "difference",
    "embed",
    "fetch_shards",
    "import_folder",
    "import_tars",
    "intersection",
    "open_pool",
    "read_queries",
    "run",
    "score",
    "summary",
    "union",
    "write_report",
]

__getattr__, __dir__ = face(__name__, _HOMES)
