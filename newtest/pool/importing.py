"""Make a pool of what is none yet: a folder of images with captions, or tars without tables."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import ImageError, PoolError
from newtest.images import check
from newtest.pool.storage import uids as ids
from newtest.pool.storage.claims import LAYERS, claim
from newtest.pool.storage.location import Entry, place_of
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.tar_format import END, packed
from newtest.pool.storage.tars import IMAGE_SUFFIXES, MAX_MEMBER, Sample, samples

__all__ = ["Imported", "import_folder", "import_tars"]

SCHEMA = pa.schema(
    [
        ("uid", pa.string()), ("key", pa.string()), ("text", pa.string()), ("original_width", pa.int64()),
        ("original_height", pa.int64()), ("sha256", pa.string()), ("source", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """What one shard got: its name, rows, and what was left out, as (file, reason)."""

    shard: str
    rows: int
    left_out: tuple[tuple[str, str], ...]


def import_folder(source: Path, out: str | Path, *, shard_rows: int = 10_000) -> Iterator[Imported]:
    """Write the images of a folder, sorted by path, as shards of tar and Parquet.

    A caption is the text of the file of the same name with ``.txt``, or stands in ``captions.csv`` or
    ``captions.tsv`` (columns ``file`` and ``text``) at the top. An image without one has none. Files that are
    no whole images are left out, by reason. A shard that is there already with the same content is written
    again to the same bytes. Raises PoolError.
    """
    paths = sorted(
        path for path in source.rglob("*") if path.suffix[1:].lower() in IMAGE_SUFFIXES and path.is_file()
    )
    if not paths:
        if any(source.rglob("*.parquet")):
            raise PoolError(f"{source}: no loose images here but Parquet tables; they are a pool as they are")
        raise PoolError(f"{source}: no images here (.{', .'.join(IMAGE_SUFFIXES)})")
    captions = _captions(source)
    recipe = {"source": str(source.resolve()), "shard_rows": shard_rows}
    claim(
        place_of(out),
        "import-pool",
        recipe,
        "it was imported from another folder or in shards of another size",
    )
    remaining = iter(enumerate(paths))
    number = 0
    while chunk := list(islice(remaining, shard_rows)):
        yield _import_shard(place_of(out), f"{number:08d}", source, chunk, captions)
        number += 1


def import_tars(address: str | Path) -> Iterator[Imported]:
    """Write a table beside each tar of a pool that has none. Raises PoolError for a tar that is damaged."""
    place = place_of(address)
    entries = place.entries()
    names = {entry.name for entry in entries}
    tars = [entry for entry in entries if entry.name.endswith(".tar")]
    if not tars:
        raise PoolError(f"{address}: there are no tars here")
    for tar in tars:
        table_name = str(PurePosixPath(tar.name).with_suffix(".parquet"))
        if table_name in names:
            continue
        pool = Pool(str(address), (), f"{place.url}/{LAYERS}")
        shard = Shard(table_name.removesuffix(".parquet"), Entry(table_name, 0), tar)
        rows, left_out = [], []
        for sample in samples(pool, shard):
            row, reason = _row(sample, tar.name)
            rows.append(row)
            if reason:
                left_out.append((sample.key, reason))
        with place.writing(table_name) as path:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
        yield Imported(shard.name, len(rows), tuple(left_out))


def _import_shard(
    place: Any, name: str, source: Path, chunk: list[tuple[int, Path]], captions: dict[str, str]
) -> Imported:
    rows, left_out = [], []
    with place.writing(f"{name}.tar") as path, open(path, "wb") as archive:
        for number, image in chunk:
            file = image.relative_to(source).as_posix()
            sample = Sample(f"{number:09d}")
            if image.stat().st_size > MAX_MEMBER:
                left_out.append((file, "too-many-bytes"))
                continue
            sample.members[image.suffix[1:].lower()] = image.read_bytes()
            text = captions.get(file) or _beside(image)
            if text is not None:
                sample.members["txt"] = text.encode()
            row, reason = _row(sample, file)
            if reason:
                left_out.append((file, reason))
                continue
            sample.members["json"] = json.dumps(row, sort_keys=True, ensure_ascii=False).encode()
            for suffix, data in sample.members.items():
                archive.write(packed(f"{sample.key}.{suffix}", data))
            rows.append(row)
        archive.write(END)
    # The table comes last: a shard is there when its table is.
    with place.writing(f"{name}.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return Imported(name, len(rows), tuple(left_out))


def _row(sample: Sample, source: str) -> tuple[dict[str, Any], str | None]:
    """The table's row of a sample, and why its image is none."""
    data, described = sample.image, sample.described
    text = (
        sample.members["txt"].decode("utf-8", "replace")
        if "txt" in sample.members
        else described.get("caption")
    )
    row: dict[str, Any] = {"uid": None, "key": sample.key, "text": text, "source": source}
    reason = "no image" if data is None else None
    if data is not None:
        row["sha256"] = hashlib.sha256(data).hexdigest()
        try:
            info = check(data)
            row["original_width"], row["original_height"] = info.width, info.height
        except ImageError as error:
            reason = error.kind
    name = described.get("url") or row.get("sha256") or sample.key
    row["uid"] = (
        sample.uid or ids.to_hex(ids.derived([str(name)], [None if text is None else str(text)]))[0].as_py()
    )
    row["text"] = None if text is None else str(text)
    return row, reason


def _beside(image: Path) -> str | None:
    path = image.with_suffix(".txt")
    if not path.is_file() or path.stat().st_size > 1 << 20:
        return None
    return path.read_text(encoding="utf-8", errors="replace").strip()


def _captions(source: Path) -> dict[str, str]:
    for name, delimiter in (("captions.csv", ","), ("captions.tsv", "\t")):
        path = source / name
        if not path.is_file():
            continue
        reader = csv.DictReader(
            io.StringIO(path.read_text(encoding="utf-8-sig", errors="replace")), delimiter=delimiter
        )
        if not {"file", "text"} <= set(reader.fieldnames or ()):
            raise PoolError(
                f"{path}: the columns 'file' and 'text' are wanted, this file has {reader.fieldnames}"
            )
        return {row["file"]: row["text"] for row in reader if row["file"] and row["text"] is not None}
    return {}
