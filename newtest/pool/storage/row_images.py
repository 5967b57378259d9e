"""The samples of a shard's rows: from the tar beside the table, or the images inside the table itself.

All that reads images goes through here, so that pools of tars and of tables alone give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from newtest.errors import PoolError
from newtest.pool.storage.canonical import ALIASES
from newtest.pool.storage.embedded_images import images_inside
from newtest.pool.storage.image_types import holds_bytes, image_columns
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.tars import MAX_MEMBER, Sample, samples
from newtest.pool.storage.uids import canonical

__all__ = ["holds_images", "paired", "require_images"]


def holds_images(pool: Pool, shard: Shard) -> bool:
    """Whether there are images to read: a tar, or columns of images in the table (the pool says which is meant)."""
    return shard.tar is not None or bool(pool.image_col or image_columns(pool.schema(shard)))


def require_images(pool: Pool) -> None:
    """Raises PoolError for a pool of which no shard has images, or several columns of them, before anything is written
    about it.
    """
    if not any(_may_hold_images(pool, shard) for shard in pool.shards):
        raise _without_images(pool, pool.shards[0])


def paired(pool: Pool, shard: Shard, rows: Collection[int] | None = None) -> Iterator[tuple[int, Sample]]:
    """(row, sample) for the samples that the table knows, in the tar's order, each row at most once.

    With ``rows`` those alone, and the bytes of others are not read, where that can be told before.

    Without a tar they are the images inside the table, in its order. Otherwise they meet by the table's ``key`` column
    (img2dataset's name of a sample), else by the ``uid`` in each sample's ``.json`` (DataComp). Raises PoolError
    where neither is there.
    """
    if shard.tar is None:
        yield from _inside(pool, shard, rows)
        return
    row_of, name_of = _names(pool, shard)
    if rows is not None:
        row_of = {name: row for name, row in row_of.items() if row in rows}
    seen: set[int] = set()
    for sample in samples(pool, shard, row_of if name_of is _key and rows is not None else None):
        row = row_of.get(name_of(sample) or "")
        if row is not None and row not in seen:
            seen.add(row)
            yield row, sample


def _inside(pool: Pool, shard: Shard, rows: Collection[int] | None) -> Iterator[tuple[int, Sample]]:
    with pool.parquet(shard) as file:
        column = pool.image_column(shard, file.schema_arrow)
        if column is None:
            raise _without_images(pool, shard)
        for row, image in images_inside(file, column, rows, pool.files(shard)):
            name = image.path or str(row)
            if image.data is None:
                yield row, Sample(name, lacking=image.reason)
                continue
            fits = len(image.data) <= MAX_MEMBER
            yield row, Sample(name, {"jpg": image.data} if fits else {}, [] if fits else ["jpg"])


def _may_hold_images(pool: Pool, shard: Shard) -> bool:
    try:
        schema = pool.schema(shard)
    except PoolError:  # a table that cannot be read is one shard's failure, and said where it is worked on
        return True
    return shard.tar is not None or pool.image_column(shard, schema) is not None


def _without_images(pool: Pool, shard: Shard) -> PoolError:
    others = holds_bytes(pool.schema(shard))
    told = f"; if {' or '.join(others)} holds them, name it as `image_col`" if others else ""
    return PoolError(
        f"{pool.place.url}: shard {shard.name} has no tar beside it and no column of images, so there are no images "
        f"to read{told}; 'newtest fetch-pool' downloads what its URLs name"
    )


def _names(pool: Pool, shard: Shard) -> tuple[dict[str, int], Callable[[Sample], str | None]]:
    present = pool.schema(shard).names
    if "key" in present:
        column, name_of = "key", _key
    elif any(alias in present for alias in ALIASES["uid"]):
        column, name_of = "uid", _uid
    else:
        raise PoolError(
            f"{pool.place.url}: the table of shard {shard.name} has neither a key nor a uid, so its rows "
            "cannot be matched "
            "with the samples of its tar; 'newtest import-pool' makes a table from the tar"
        )
    row_of: dict[str, int] = {}
    row = 0
    for batch in pool.batches(shard, [column]):
        for name in batch[column].to_pylist():
            if name is not None:
                row_of.setdefault(_said(name, column), row)
            row += 1
    return row_of, name_of


def _said(name: object, column: str) -> str:
    return (canonical(name) if column == "uid" else None) or (
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    )


def _key(sample: Sample) -> str | None:
    return sample.key


def _uid(sample: Sample) -> str | None:
    return sample.uid
