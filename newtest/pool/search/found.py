"""What a search found, as the table and the images that ``newtest collect`` reads."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.download.urls import without_credentials
from newtest.errors import ImageError, UsageError
from newtest.files import write_atomic
from newtest.images import check
from newtest.outputs import claim_folder, made_path, write_made
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_images import holds_images, paired
from newtest.progress import UNWATCHED, Progress, watched
from newtest.records import Class
from newtest.spreadsheets import guarded
from newtest.version import __version__

__all__ = ["FOUND_COLUMNS", "Found", "Hit", "images_folder", "write_found"]

FOUND_COLUMNS = (
    "image_id", "wnid", "path", "url", "title", "license", "width", "height", "lemma", "similarity", "shard", "row",
)  # fmt: skip


@dataclass(frozen=True)
class Hit:
    """A row of the pool as a candidate of a class; ``uid`` is 32 hex digits, whatever the pool wrote.

    ``similarity`` is the cosine of caption and definition (larger is nearer), ``lemma`` the first in the caption.
    """

    wnid: str
    uid: str
    shard: str
    row: int
    text: str
    lemma: str
    similarity: float | None
    url: str | None
    width: int | None
    height: int | None
    license: str | None
    path: str | None = None


@dataclass(frozen=True)
class Found:
    """The candidates by class and in the order of the draw; ``counts``: (wnid, ``mentions`` or a reason to leave out)
    -> captions."""

    classes: tuple[Class, ...]
    hits: tuple[Hit, ...]
    rows_read: int
    counts: Mapping[tuple[str, str], int]

    def by_class(self) -> list[dict[str, int | str]]:
        """A row for each class, in their order: captions with a lemma, candidates, and by reason what was left out."""
        candidates = Counter(hit.wnid for hit in self.hits)
        reasons = sorted({reason for _, reason in self.counts} - {"mentions"})
        return [
            {
                "wnid": cls.wnid,
                "mentions": self.counts.get((cls.wnid, "mentions"), 0),
                "candidates": candidates[cls.wnid],
                **{reason: self.counts.get((cls.wnid, reason), 0) for reason in reasons},
            }
            for cls in self.classes
        ]

    def left_out(self) -> dict[str, int]:
        """Reason -> mentions that are not candidates, of all classes."""
        sums: Counter[str] = Counter()
        for (_, reason), number in sorted(self.counts.items()):
            sums[reason] += number
        sums.pop("mentions", None)
        return dict(sums.most_common())


def images_folder(out: Path) -> Path:
    """Where the images of a table go: beside it."""
    return out.with_name(f"{out.stem}-images")


def write_found(
    found: Found, pool: Pool, out: Path, *, images: bool = True, progress: Progress = UNWATCHED
) -> Found:
    """Write the table (``.csv`` or ``.parquet``), a manifest beside it, and with ``images`` those that the pool holds.

    Gives what was written: hits that have neither an image here nor a URL are left out and counted. Raises UsageError
    (another suffix, files of somebody else), PoolError.
    """
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"{out}: a table of candidates is a .csv or a .parquet file")
    written = _with_images(found, pool, out, progress) if images else found
    written = _reachable(written)
    rows = [_row(hit) for hit in written.hits]
    if out.suffix.lower() == ".csv":
        write_made(out, _csv(rows))
    else:
        with made_path(out) as path:
            pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), path)
    manifest = {
        "newtest": __version__,
        "pool": pool.place.url,
        "rows_read": written.rows_read,
        "candidates": len(written.hits),
        "left_out": written.left_out(),
        "classes": written.by_class(),
    }
    write_made(out.with_suffix(".json"), json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return written


def _with_images(found: Found, pool: Pool, out: Path, progress: Progress) -> Found:
    """The hits with the path of their image, where the pool holds one that can be decoded."""
    folder = images_folder(out)
    wanted: dict[str, dict[int, str]] = {}
    for hit in found.hits:
        wanted.setdefault(hit.shard, {})[hit.row] = hit.uid
    shards = [shard for shard in pool.shards if shard.name in wanted and holds_images(pool, shard)]
    if not shards:
        return found
    claim_folder(folder)
    paths: dict[tuple[str, int], str] = {}
    broken: set[tuple[str, int]] = set()
    for shard in watched(progress, "writing images", shards, len(shards)):
        rows = wanted[shard.name]
        for row, sample in paired(pool, shard, rows):
            if row not in rows or sample.image is None:
                continue
            try:
                suffix = check(sample.image).format.lower().replace("jpeg", "jpg")
            except ImageError:
                broken.add((shard.name, row))
                continue
            path = folder / rows[row][:2] / f"{rows[row]}.{suffix}"
            if not path.is_file() or path.stat().st_size != len(sample.image):
                path.parent.mkdir(exist_ok=True)
                write_atomic(path, sample.image)
            paths[shard.name, row] = str(path.relative_to(out.parent))
    kept = tuple(replace(hit, path=paths.get((hit.shard, hit.row))) for hit in found.hits)
    return _without(
        replace(found, hits=kept), lambda hit: (hit.shard, hit.row) in broken, "image cannot be read"
    )


def _reachable(found: Found) -> Found:
    return _without(found, lambda hit: not (hit.path or hit.url), "neither image nor URL")


def _without(found: Found, goes: object, reason: str) -> Found:
    assert callable(goes)
    counts = Counter(dict(found.counts))
    kept = []
    for hit in found.hits:
        if goes(hit):
            counts[hit.wnid, reason] += 1
        else:
            kept.append(hit)
    return replace(found, hits=tuple(kept), counts=dict(counts))


def _row(hit: Hit) -> dict[str, object]:
    values = asdict(hit) | {"image_id": hit.uid, "title": " ".join(hit.text.split())[:2000]}
    values["url"] = without_credentials(hit.url) if hit.url else None
    return {name: values[name] for name in FOUND_COLUMNS}


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in FOUND_COLUMNS[:6]),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("lemma", pa.string()),
        ("similarity", pa.float32()),
        ("shard", pa.string()),
        ("row", pa.int64()),
    ]
)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    """RFC 4180; texts that a spreadsheet would run as formulas are guarded, as a release's manifest is."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FOUND_COLUMNS)
    for row in rows:
        writer.writerow(["" if value is None else _cell(name, value) for name, value in row.items()])
    return text.getvalue()


def _cell(name: str, value: object) -> object:
    if name == "similarity" and isinstance(value, float):
        return f"{value:.6f}"
    return guarded(str(value)) if name in ("title", "license") else value
