"""Which way of finding copies suits a pool, by what it has.

Vectors of an encoder of pictures find copies best. ``conse`` knows what a thousand class names can say: with it the
join of vectors found 21 of 50 planted copies, where the hashes of the pictures found 50. So its vectors come after the
pictures themselves.
"""

from __future__ import annotations

from typing import Literal

from newtest.errors import PoolError
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_images import holds_images
from newtest.pool.storage.vectors import VectorSource, vector_source

__all__ = ["best_method"]


def best_method(
    pool: Pool, encoder: str | None = None, vectors: str | None = None
) -> tuple[Literal["bytes", "hash", "exact"], str]:
    """The method, and why in words. Raises PoolError where copies cannot be found at all."""
    if encoder is not None or vectors is not None:
        return "exact", f"by {vector_source(pool, encoder, vectors).said}"
    found, problem = _source(pool)
    weak = found is not None and found.layer is not None and found.layer.config.get("encoder") == "conse"
    images = all(holds_images(pool, shard) for shard in pool.shards)
    if found is not None and not (weak and images):
        return "exact", f"by {found.said}"
    if images:
        why = "conse's vectors find fewer copies" if weak else "there are no vectors"
        return "hash", f"by the pictures: {why}"
    if all(pool.tells(shard, "sha256") for shard in pool.shards):
        return "bytes", "by the column sha256: there are no vectors and no pictures"
    if problem is not None:
        raise problem
    return "exact", "by conse's vectors: there are no pictures"


def _source(pool: Pool) -> tuple[VectorSource | None, PoolError | None]:
    try:
        return vector_source(pool), None
    except PoolError as error:
        if "several encoders" in str(error):
            raise
        return None, error
