"""What a pool holds, shard by shard, broken ones included."""

from __future__ import annotations

from dataclasses import dataclass, field

from newtest.errors import PoolError
from newtest.pool.storage.image_types import image_columns
from newtest.pool.storage.location import Entry
from newtest.pool.storage.pool import Pool
from newtest.reading.tars import BLOCK

__all__ = ["Summary", "summary"]


@dataclass
class Summary:
    """Counts over a pool's shards; ``columns`` says in how many shards each column is."""

    shards: int = 0
    tars: int = 0
    images_inside: int = 0
    embeddings: int = 0
    rows: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def summary(pool: Pool) -> Summary:
    """Read every shard's footer and the end of its tar, and nothing else."""
    found = Summary(
        shards=len(pool.shards),
        tars=sum(shard.tar is not None for shard in pool.shards),
        embeddings=sum(shard.embeddings is not None for shard in pool.shards),
    )
    for shard in pool.shards:
        try:
            with pool.parquet(shard) as file:
                found.rows += file.metadata.num_rows
                names = file.schema_arrow.names
                found.images_inside += bool(image_columns(file.schema_arrow))
        except PoolError as error:
            found.broken.append(str(error))
            continue
        plain = shard.tar is not None and shard.tar.name.endswith(".tar")  # the end of others is packed
        if shard.tar is not None and plain and not _has_end(pool, shard.tar):
            found.broken.append(
                f"{pool.place.url}: {shard.tar.name} has no end mark, so it was cut short; fetch it again or move "
                "it away"
            )
        for name in names:
            found.columns[name] = found.columns.get(name, 0) + 1
    return found


def _has_end(pool: Pool, tar: Entry) -> bool:
    """Whether a tar ends in a block of zeros, as every whole one does."""
    try:
        with pool.place.open(tar) as handle:
            handle.seek(-BLOCK, 2)
            return not any(handle.read(BLOCK))
    except (OSError, ValueError):  # gone, or shorter than a block
        return False
