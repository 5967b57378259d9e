"""Which sample of a tar belongs to which row of its table; or the image inside the row itself."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from newtest.errors import PoolError
from newtest.pool.inside import image_column, images_inside
from newtest.pool.pool import ALIASES, Pool, Shard
from newtest.pool.tars import MAX_MEMBER, Sample, samples

__all__ = ["paired"]


def paired(pool: Pool, shard: Shard, rows: Container[int] | None = None) -> Iterator[tuple[int, Sample]]:
    """(row, sample) for the tar's samples that the table knows, in the tar's order, each row at most once.

    With ``rows`` those alone; where rows are known by their key, the bytes of others are not read.

    A table without a tar may hold the images itself. Otherwise they meet by the table's ``key`` column
    (img2dataset's name of a sample), else by the ``uid`` in each sample's ``.json`` (DataComp). Raises PoolError
    where neither is there.
    """
    if shard.tar is None and (column := image_column(pool.schema(shard))) is not None:
        yield from _inside(pool, shard, column, rows)
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


def _inside(
    pool: Pool, shard: Shard, column: str, rows: Container[int] | None
) -> Iterator[tuple[int, Sample]]:
    for row, (name, data) in enumerate(images_inside(pool, shard, column)):
        if data is not None and (rows is None or row in rows):
            fits = len(data) <= MAX_MEMBER
            yield row, Sample(name, {"jpg": data} if fits else {}, [] if fits else ["jpg"])


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
                row_of.setdefault(str(name), row)
            row += 1
    return row_of, name_of


def _key(sample: Sample) -> str | None:
    return sample.key


def _uid(sample: Sample) -> str | None:
    return sample.uid
