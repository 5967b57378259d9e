"""Download a table of URLs and captions into shards, in a way that can be run again until nothing is left to try.

Each input table is cut into shards of so many rows; a shard's table says of every row what became of it
(``status`` "success" or "failed", ``error``, whether it is ``final``), as img2dataset's does. A later run
asks again for what failed and is not final, and writes the shard anew; everything else stays as it is. What
comes is written to a journal at once, so a killed run asks for no image twice. Bytes are kept as they came,
unless faces are to be blurred or images to be resized.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.download import DownloadConfig, Request, download
from newtest.errors import ImageError
from newtest.images import check, suffix_of
from newtest.pool.fetch_below import NOT_ALLOWED, Below
from newtest.pool.fetched_columns import Names, json_of
from newtest.pool.fetched_images import Treatment, failed
from newtest.pool.journal import Journal, Record, alone, journal_folder
from newtest.pool.resizing import Resize
from newtest.pool.storage.canonical import ALIASES
from newtest.pool.storage.claims import LAYERS, claim, seen_from
from newtest.pool.storage.location import Entry, place_of
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired
from newtest.pool.storage.tar_writing import END, packed
from newtest.pool.storage.tars import Sample
from newtest.pool.url_tables import CAPTION, UID, URL, UrlTables, url_tables
from newtest.reading.parquet import open_parquet

__all__ = ["Fetched", "fetch_shards"]

_READERS = 16
"""Files that are read at once."""


@dataclass(frozen=True)
class Fetched:
    """One shard after this run: rows, how many have an image, and how many may still be asked for."""

    shard: str
    rows: int
    success: int
    retry: int
    asked: int
    errors: Mapping[str, int]
    """How many rows have no image for which reason."""


def fetch_shards(
    source: UrlTables | Pool,
    out: str,
    config: DownloadConfig,
    *,
    shard_rows: int = 10_000,
    blur_faces: bool = False,
    resize: Resize | None = None,
    allow_below: Sequence[str] = (),
) -> Iterator[Fetched]:
    """Download what is not there; one value per shard, in order. ``allow_below`` names folders and stores that URLs may
    lead to, beside the web. Raises PoolError for tables without URLs, and while another process fetches into ``out``.
    """
    below, treatment = Below.of(allow_below), Treatment(blur_faces, resize)
    tables = url_tables(source.address) if isinstance(source, Pool) else source
    first = next(tables.batches(1), None)  # a column that is missing is told before anything is written
    if first is None:
        return
    claim(
        place_of(out), "fetch-pool", {"shard_rows": shard_rows, "resize": resize and resize.describe()},
        "it was fetched from other tables, in shards of another size, or resized in another way",
        {"source": seen_from(place_of(out), tables.place.url), "tables": tables.fingerprint},
    )  # fmt: skip
    folder = journal_folder(place_of(out))
    with alone(folder):
        for number, batch in enumerate(tables.batches(shard_rows)):
            name = f"{number:08d}"
            with Journal(folder / f"{name}.journal") as journal:
                yield _Shard(name, out, journal, treatment, below).fetched(batch, config)


@dataclass(frozen=True)
class _Shard:
    """One shard of the new pool."""

    name: str
    out: str
    journal: Journal
    treatment: Treatment
    below: Below

    def fetched(self, batch: pa.Table, config: DownloadConfig) -> Fetched:
        """Ask for what is required, and write the shard where anything has come."""
        names = Names.of(batch, resized=self.treatment.resize is not None)
        rows = _asked(batch)
        before = self._before(names)
        results = [{**before.get((row["uid"], row["url"]), {}), **row} for row in rows]
        for index, result in enumerate(results):
            result["key"] = f"{self.name}{index:05d}"
        open_rows = [index for index, result in enumerate(results) if not self._settled(result)]
        asked = [index for index in open_rows if not self._known(rows[index])]
        late = any(self._shows_faces(*pair) for pair in zip(rows, results, strict=True))
        if open_rows or late or not before:
            asyncio.run(self._download({str(index): rows[index] for index in asked}, config))
            self._write(names, batch, rows, results)
        self.journal.remove()
        return _told(self.name, results, len(asked))

    def _shows_faces(self, row: dict[str, Any], result: dict[str, Any]) -> bool:
        """Whether an earlier run, without ``blur_faces``, kept faces that this one is to blur."""
        kept = result.get("status") == "success" and not result.get("faces_blurred")
        return self.treatment.blurs and kept and bool(row.get("face_bboxes"))

    def _known(self, row: dict[str, Any]) -> bool:
        """Whether a killed run left an answer in the journal that is worth no second question."""
        record = self.journal.records.get((row["uid"], row["url"] or ""))
        return record is not None and (record.permanent or self.journal.data(record) is not None)

    async def _download(self, rows: dict[str, dict[str, Any]], config: DownloadConfig) -> None:
        here = {key: row["url"] for key, row in rows.items() if self.below.takes(row["url"] or "")}
        read = partial(self.below.read, most=config.max_bytes)
        with ThreadPoolExecutor(_READERS) as threads:
            left = iter(here.items())
            while some := list(islice(left, 4 * _READERS)):  # so that no more are in memory
                for outcome in threads.map(read, *zip(*some, strict=True)):
                    row = rows[outcome.key]
                    self.journal.add(row["uid"], row["url"], outcome)
        wanted = [Request(key, row["url"] or "") for key, row in rows.items() if key not in here]
        async with aclosing(download(wanted, config)) as outcomes:
            async for outcome in outcomes:
                row = rows[outcome.key]
                self.journal.add(row["uid"], row["url"] or "", outcome)

    def _write(
        self, names: Names, batch: pa.Table, rows: list[dict[str, Any]], results: list[dict[str, Any]]
    ) -> None:
        place = place_of(self.out)
        old = _OldImages(self.name, self.out)
        with place.writing(f"{self.name}.tar") as path, open(path, "wb") as archive:
            for row, result, given in zip(rows, results, names.given(batch).to_pylist(), strict=True):
                data = self._bytes(row, result, old)
                if data is not None:
                    _pack(names, result, given, data, archive)
            archive.write(END)
        # The table comes last: a shard is there when its table is.
        with place.writing(f"{self.name}.parquet") as path:
            pq.write_table(names.table(batch, results), path)

    def _bytes(self, row: dict[str, Any], result: dict[str, Any], old: _OldImages) -> bytes | None:
        """The image of a row as it goes into the tar, and in ``result`` what became of the row; None for a failure."""
        if result.get("status") == "success":
            data = old.image(result["uid"], result["sha256"])
            if data is None:
                result.update(failed("lost", final=False))
            elif self._shows_faces(row, result):
                data = self.treatment.made(data, row, result)
            return data
        record = self.journal.records.get((row["uid"], row["url"] or ""))
        if record is None:  # it failed for good in an earlier run
            return None
        data = self.journal.data(record)
        result.update(_judged(record, data))
        if data is None or result["status"] != "success":
            return None
        return self.treatment.made(data, row, result)

    def _settled(self, result: dict[str, Any]) -> bool:
        """Whether there is nothing to ask for: also a place that was not allowed before may be now."""
        refused = result.get("error") in (NOT_ALLOWED, "bad-url") and self.below.allows(result["url"] or "")
        return result.get("status") == "success" or (bool(result.get("final")) and not refused)

    def _before(self, names: Names) -> dict[tuple[str, str | None], dict[str, Any]]:
        """What an earlier run found out, by uid and URL."""
        place = place_of(self.out)
        if not place.exists(f"{self.name}.parquet"):
            return {}
        with place.open(f"{self.name}.parquet") as handle, open_parquet(handle) as file:
            table = file.read()
        return names.told(table)


class _OldImages:
    """The images of the shard as an earlier run wrote it, asked for in about the tar's order."""

    def __init__(self, name: str, out: str) -> None:
        self._samples: Iterator[tuple[int, Sample]] | None = None
        self._name, self._pool = name, Pool(out, (), f"{out}/{LAYERS}")
        self._uids: list[str] = []
        self._passed: dict[str, list[bytes]] = {}

    def image(self, uid: str, sha256: str) -> bytes | None:
        """The image of a row, None where the tar has not these bytes."""
        if self._samples is None:
            shard = Shard(self._name, Entry(f"{self._name}.parquet", 0), Entry(f"{self._name}.tar", 0))
            self._uids = [
                uid for batch in self._pool.batches(shard, ["uid"]) for uid in batch["uid"].to_pylist()
            ]
            self._samples = paired(self._pool, shard)
        while not self._passed.get(uid) and (found := next(self._samples, None)) is not None:
            row, sample = found
            if sample.image is not None:
                self._passed.setdefault(self._uids[row], []).append(sample.image)
        images = self._passed.get(uid)
        data = images.pop(0) if images else None
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None


def _asked(batch: pa.Table) -> list[dict[str, Any]]:
    """What of each row the download needs."""
    boxes = next((name for name in ALIASES["face_bboxes"] if name in batch.column_names), None)
    columns = {"uid": batch[UID], "url": batch[URL], "text": batch[CAPTION]}
    if boxes:
        columns["face_bboxes"] = batch[boxes]
    return list(pa.table(columns).to_pylist())


def _judged(record: Record, data: bytes | None) -> dict[str, Any]:
    """The columns that say what became of a request."""
    if data is None:
        return failed(record.kind or "lost", final=record.permanent and record.kind is not None)
    try:
        info = check(data)
    except ImageError as error:
        return failed(error.kind, final=True, status="failed_to_resize")
    size = {"original_width": info.width, "original_height": info.height}
    return {"status": "success", "error": None, "final": True, "format": info.format, **size}


def _pack(
    names: Names, result: dict[str, Any], given: dict[str, Any], data: bytes, archive: IO[bytes]
) -> None:
    archive.write(packed(f"{result['key']}{suffix_of(str(result.get('format')))}", data))
    if result["text"] is not None:
        archive.write(packed(f"{result['key']}.txt", result["text"].encode()))
    described = {
        **given,
        **names.ours(result),
        "uid": result["uid"],
        "url": result["url"],
        "text": result["text"],
    }
    archive.write(packed(f"{result['key']}.json", json_of(described).encode()))


def _told(name: str, results: list[dict[str, Any]], asked: int) -> Fetched:
    success = sum(result.get("status") == "success" for result in results)
    retry = sum(result.get("status") != "success" and not result.get("final") for result in results)
    errors = Counter(str(result["error"]) for result in results if result.get("status") != "success")
    return Fetched(name, len(results), success, retry, asked, errors)
