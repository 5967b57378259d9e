"""What images inside a table tell of their rows where the table itself does not: ``uid``, ``width`` and ``height``.

They are what ``import-pool`` writes of the same image and caption, so that a pool of tables and one of tars give the
same subsets. Every command that asks for them reads the images for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import ImageError
from newtest.images import check
from newtest.pool.storage import uids as ids
from newtest.pool.storage.embedded_images import images_of, read_rows
from newtest.pool.storage.image_files import ImageFiles
from newtest.pool.storage.image_types import ImageColumn

__all__ = ["seen_in_images"]


def seen_in_images(
    file: pq.ParquetFile, names: Collection[str], images: ImageColumn, text: str | None, files: ImageFiles
) -> dict[str, pa.Array]:
    """Those of ``SEEN`` that are named, each for all rows of a table whose images and captions stand in these columns.

    A uid is blake2b-128 of the image's sha256 and the caption; a size is null where there is no whole image.
    """
    uids: list[ids.Uids] = []
    sizes: list[tuple[int | None, int | None]] = []
    for _, table in read_rows(file, columns=[images.name, *([text] if text else [])]):
        found = [image.data for image in images_of(table, images, files)]
        if "uid" in names:
            captions = table[text].to_pylist() if text else [None] * len(found)
            digests = [None if data is None else hashlib.sha256(data).hexdigest() for data in found]
            uids.append(ids.derived(digests, captions))
        if "width" in names or "height" in names:
            sizes += map(_size, found)
    made = {
        "uid": ids.to_hex(ids.concatenated(uids)),
        "width": pa.array([width for width, _ in sizes], pa.int64()),
        "height": pa.array([height for _, height in sizes], pa.int64()),
    }
    return {name: made[name] for name in names}


def _size(data: bytes | None) -> tuple[int | None, int | None]:
    if data is None:
        return None, None
    try:
        info = check(data)
    except ImageError:
        return None, None
    return info.width, info.height
