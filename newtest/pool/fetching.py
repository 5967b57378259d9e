"""Download a table of URLs and captions into shards, in a way that can be run again until nothing is left to try.

Each input table is cut into shards of so many rows; a shard's table says of every row what became of it
(``status`` "success" or "failed", ``error``, whether it is ``final``), as img2dataset's does. A later run
asks again for what failed and is not final, and writes the shard anew; everything else stays as it is. Bytes
are kept as they came: no resizing, no re-encoding, unless faces are to be blurred.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.download import DownloadConfig, Request, download
from newtest.errors import ImageError
from newtest.images import check, encode_jpeg, shown
from newtest.pool.pairing import paired
from newtest.pool.place import Entry, place_of
from newtest.pool.pool import ALIASES, Pool, Shard
from newtest.pool.tar_format import END, packed

__all__ = ["Fetched", "fetch_shards"]

_EXTENSION = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tif",
    "PPM": "ppm",
}


@dataclass(frozen=True)
class Fetched:
    """One shard after this run: rows, how many have an image, and how many may still be asked for."""

    shard: str
    rows: int
    success: int
    retry: int
    asked: int


def fetch_shards(
    pool: Pool, out: str, config: DownloadConfig, *, shard_rows: int = 10_000, blur_faces: bool = False
) -> Iterator[Fetched]:
    """Download what is not there; one value a shard, in order. Raises PoolError for tables without URLs."""
    number = 0
    for shard in pool.shards:
        extra = [name for name in ("text", "face_bboxes") if _has(pool, shard, name)]
        for batch in pool.batches(shard, ["uid", "url", *extra], shard_rows):
            yield _fetch(batch.to_pylist(), f"{number:08d}", out, config, blur_faces=blur_faces)
            number += 1


def _fetch(
    rows: list[dict[str, Any]], name: str, out: str, config: DownloadConfig, *, blur_faces: bool
) -> Fetched:
    before = _before(name, out)
    results: list[dict[str, Any]] = []
    wanted: list[Request] = []
    for index, row in enumerate(rows):
        old = before.get(row["uid"], {})
        kept = old if old.get("url") == row["url"] else {}
        results.append(
            {
                **kept,
                "uid": row["uid"],
                "url": row["url"],
                "text": row.get("text"),
                "key": f"{name}{index:05d}",
            }
        )
        if kept.get("status") != "success" and not kept.get("final"):
            wanted.append(Request(str(index), row["url"] or ""))
    if not wanted and before:
        return _told(name, results, 0)
    data = _old_images(name, out, results)
    for key, outcome in asyncio.run(_downloaded(wanted, config)).items():
        index = int(key)
        result = results[index]
        result.update(_judged(outcome))
        if outcome.data is not None and result["status"] == "success":
            data[index] = (
                _blurred(outcome.data, rows[index].get("face_bboxes")) if blur_faces else outcome.data
            )
            result["sha256"] = hashlib.sha256(data[index]).hexdigest()
    _write(name, out, results, data)
    return _told(name, results, len(wanted))


async def _downloaded(wanted: list[Request], config: DownloadConfig) -> dict[str, Any]:
    async with aclosing(download(wanted, config)) as outcomes:
        return {outcome.key: outcome async for outcome in outcomes}


def _judged(outcome: Any) -> dict[str, Any]:
    """The columns that say what became of a request."""
    failed = {"status": "failed", "error": outcome.kind, "final": outcome.permanent, "sha256": None}
    if outcome.data is None:
        return failed
    try:
        info = check(outcome.data)
    except ImageError as error:
        return {**failed, "error": error.kind, "final": True}
    size = {"original_width": info.width, "original_height": info.height}
    return {"status": "success", "error": None, "final": True, "format": info.format, **size}


def _blurred(data: bytes, boxes: Any) -> bytes:
    """The image with its faces blurred, as JPEG; ``boxes`` are [left, top, right, bottom] as shares of the sides."""
    from PIL import ImageFilter

    if not boxes:
        return data
    image = shown(data)
    for box in boxes:
        left, top, right, bottom = (max(0.0, min(1.0, float(edge))) for edge in box[:4])
        area = (
            int(left * image.width), int(top * image.height),
            max(int(left * image.width) + 1, round(right * image.width)),
            max(int(top * image.height) + 1, round(bottom * image.height)),
        )  # fmt: skip
        face = image.crop(area)
        image.paste(face.filter(ImageFilter.GaussianBlur(max(4, max(face.size) / 4))), area)
    return encode_jpeg(image, quality=95)


def _before(name: str, out: str) -> dict[str, dict[str, Any]]:
    """What an earlier run wrote down, by uid."""
    place = place_of(out)
    if not place.exists(f"{name}.parquet"):
        return {}
    with place.open(f"{name}.parquet") as handle:
        return {row["uid"]: row for row in pq.read_table(handle).to_pylist()}


def _old_images(name: str, out: str, results: list[dict[str, Any]]) -> dict[int, bytes]:
    if not any(result.get("status") == "success" for result in results):
        return {}
    pool = Pool(out, (), f"{out}/layers")
    shard = Shard(name, Entry(f"{name}.parquet", 0), Entry(f"{name}.tar", 0))
    return {row: sample.image for row, sample in paired(pool, shard) if sample.image is not None}


def _write(name: str, out: str, results: list[dict[str, Any]], data: dict[int, bytes]) -> None:
    place = place_of(out)
    with place.writing(f"{name}.tar") as path, open(path, "wb") as archive:
        for index, result in enumerate(results):
            if result.get("status") == "success":
                extension = _EXTENSION.get(str(result.get("format")), "jpg")
                archive.write(packed(f"{result['key']}.{extension}", data[index]))
                if result["text"] is not None:
                    archive.write(packed(f"{result['key']}.txt", result["text"].encode()))
                described = {key: result.get(key) for key in ("uid", "url", "text", "sha256")}
                archive.write(packed(f"{result['key']}.json", json.dumps(described, sort_keys=True).encode()))
        archive.write(END)
    with place.writing(f"{name}.parquet") as path:
        pq.write_table(pa.Table.from_pylist(results, SCHEMA), path)


_TEXTS = ("uid", "url", "text", "key", "status", "error", "sha256", "format")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("final", pa.bool_()),
        ("original_width", pa.int64()),
        ("original_height", pa.int64()),
    ]
)


def _told(name: str, results: list[dict[str, Any]], asked: int) -> Fetched:
    success = sum(result.get("status") == "success" for result in results)
    retry = sum(result.get("status") != "success" and not result.get("final") for result in results)
    return Fetched(name, len(results), success, retry, asked)


def _has(pool: Pool, shard: Shard, name: str) -> bool:
    present = pool.schema(shard).names
    return any(alias in present for alias in ALIASES[name])
