"""One shard of a pool that is being fetched: what it still lacks, and its tar and table, written from the journals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import ImageError, PoolError
from newtest.images import check, suffix_of
from newtest.pool.fetch_below import NOT_ALLOWED, Below
from newtest.pool.fetched_columns import Names, json_of
from newtest.pool.fetched_images import Treatment, failed
from newtest.pool.fetching.dealing import Asked
from newtest.pool.fetching.old_images import OldImages
from newtest.pool.journal import Journals, Record
from newtest.pool.storage.canonical import ALIASES
from newtest.pool.storage.location import place_of
from newtest.pool.storage.tar_writing import END, add
from newtest.pool.url_tables import CAPTION, UID, URL
from newtest.reading.parquet import open_parquet

__all__ = ["Fetched", "Shards", "Writing"]

_Row = dict[str, Any]


@dataclass(frozen=True)
class Fetched:
    """One shard after this run: rows, rows with an image, and rows that a later run asks for again."""

    shard: str
    rows: int
    success: int
    retry: int
    asked: int
    errors: Mapping[str, int]
    """How many rows have no image for which reason."""


@dataclass(frozen=True)
class Writing:
    """An item of work: a shard whose downloads are in the journals. ``asked``: for how many rows this run asked."""

    name: str
    batch: pa.Table
    asked: int
    trusted: str | None = None
    """Journals whose bytes need no second look (see ``Journals``)."""


@dataclass(frozen=True)
class Shards:
    """The shards of the new pool at ``out``, with journals in ``folder``."""

    out: str
    folder: Path
    treatment: Treatment
    below: Below

    def plan(self, name: str, batch: pa.Table) -> tuple[Asked, ...] | Fetched:
        """What to ask for before the shard is written; or what became of it, where there is nothing to write."""
        names, rows = self._names(batch), _asked(batch)
        before = self._before(name, names)
        results = _results(name, rows, before)
        with Journals(self.folder, name) as journals:
            open_rows = [row for row, result in zip(rows, results, strict=True) if not self._settled(result)]
            asked = dict.fromkeys(
                (row["uid"], row["url"] or "") for row in open_rows if not _known(row, journals)
            )
            late = any(self._shows_faces(*pair) for pair in zip(rows, results, strict=True))
            if open_rows or late or not before:
                return tuple(asked)
            journals.remove()
        return _told(name, results, 0)

    def written(self, item: Writing) -> Fetched:
        """Write the shard; its journals are removed."""
        rows = _asked(item.batch)
        results = _results(item.name, rows, self._before(item.name, self._names(item.batch)))
        with Journals(self.folder, item.name, item.trusted) as journals:
            self._write(item, rows, results, journals)
            journals.remove()
        return _told(item.name, results, item.asked)

    def _names(self, batch: pa.Table) -> Names:
        return Names.of(batch, resized=self.treatment.resize is not None)

    def _shows_faces(self, row: _Row, result: _Row) -> bool:
        """Whether an earlier run, without ``blur_faces``, kept faces that this one is to blur."""
        kept = result.get("status") == "success" and not result.get("faces_blurred")
        return self.treatment.blurs and kept and bool(row.get("face_bboxes"))

    def _settled(self, result: _Row) -> bool:
        """Whether there is nothing to ask for: also a place that was not allowed before may be now."""
        refused = result.get("error") in (NOT_ALLOWED, "bad-url") and self.below.allows(result["url"] or "")
        return result.get("status") == "success" or (bool(result.get("final")) and not refused)

    def _before(self, name: str, names: Names) -> dict[tuple[str, str | None], _Row]:
        """What an earlier run found out, by uid and URL."""
        place = place_of(self.out)
        if not place.exists(f"{name}.parquet"):
            return {}
        with place.open(f"{name}.parquet") as handle, open_parquet(handle) as file:
            table = file.read()
        return names.told(table)

    def _write(self, item: Writing, rows: list[_Row], results: list[_Row], journals: Journals) -> None:
        """The tar, then the table: a shard is there when its table is. ``results`` say what became of the rows."""
        place, names = place_of(self.out), self._names(item.batch)
        old = OldImages(item.name, self.out)
        with place.writing(f"{item.name}.tar") as path, open(path, "wb") as archive:
            for row, result, given in zip(rows, results, names.given(item.batch).to_pylist(), strict=True):
                data = self._bytes(row, result, old, journals)
                if data is not None:
                    _pack(names, result, given, data, archive)
            archive.write(END)
        with place.writing(f"{item.name}.parquet") as path:
            pq.write_table(names.table(item.batch, results), path)

    def _bytes(self, row: _Row, result: _Row, old: OldImages, journals: Journals) -> bytes | None:
        """The image of a row as it goes into the tar, and in ``result`` what became of the row; None for a failure."""
        if result.get("status") == "success":
            data = old.image(result["uid"], result["sha256"])
            if data is None:
                result.update(failed("lost", final=False))
            elif self._shows_faces(row, result):
                data = self.treatment.made(data, row, result)
            return data
        record = journals.record(row["uid"], row["url"] or "")
        if record is None:
            if not self._settled(result):
                raise PoolError(
                    f"{self.folder}: what was downloaded is not here; every machine that works on this needs this "
                    "folder in common"
                )
            return None
        data = journals.data(row["uid"], row["url"] or "")
        result.update(_judged(record, data))
        if data is None or result["status"] != "success":
            return None
        return self.treatment.made(data, row, result, record.sha256)


def _results(name: str, rows: list[_Row], before: Mapping[tuple[str, str | None], _Row]) -> list[_Row]:
    """What is known of each row, with its key in the new pool."""
    return [
        {**before.get((row["uid"], row["url"]), {}), **row, "key": f"{name}{index:05d}"}
        for index, row in enumerate(rows)
    ]


def _known(row: _Row, journals: Journals) -> bool:
    """Whether a killed run left an answer in the journals that is worth no second question."""
    asked = row["uid"], row["url"] or ""
    record = journals.record(*asked)
    return record is not None and (record.permanent or journals.data(*asked) is not None)


def _asked(batch: pa.Table) -> list[_Row]:
    """What of each row the download needs."""
    boxes = next((name for name in ALIASES["face_bboxes"] if name in batch.column_names), None)
    columns = {"uid": batch[UID], "url": batch[URL], "text": batch[CAPTION]}
    if boxes:
        columns["face_bboxes"] = batch[boxes]
    return list(pa.table(columns).to_pylist())


def _judged(record: Record, data: bytes | None) -> _Row:
    """The columns that say what became of a request."""
    if data is None:
        return failed(record.kind or "lost", final=record.permanent and record.kind is not None)
    try:
        info = check(data)
    except ImageError as error:
        return failed(error.kind, final=True, status="failed_to_resize")
    size = {"original_width": info.width, "original_height": info.height}
    return {"status": "success", "error": None, "final": True, "format": info.format, **size}


def _pack(names: Names, result: _Row, given: _Row, data: bytes, archive: IO[bytes]) -> None:
    add(archive, f"{result['key']}{suffix_of(str(result.get('format')))}", data)
    if result["text"] is not None:
        add(archive, f"{result['key']}.txt", result["text"].encode())
    described = {
        **given,
        **names.ours(result),
        "uid": result["uid"],
        "url": result["url"],
        "text": result["text"],
    }
    add(archive, f"{result['key']}.json", json_of(described).encode())


def _told(name: str, results: list[_Row], asked: int) -> Fetched:
    success = sum(result.get("status") == "success" for result in results)
    retry = sum(result.get("status") != "success" and not result.get("final") for result in results)
    errors = Counter(str(result["error"]) for result in results if result.get("status") != "success")
    return Fetched(name, len(results), success, retry, asked, errors)
