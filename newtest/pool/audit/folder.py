"""The folder of an audit: a page to look through, its pictures, a table for spreadsheets, and what was drawn.

Captions and pictures are strangers': texts are escaped, pictures are decoded by the one door and written anew as JPEG,
and the page's policy lets no script run but its own. The page names no stratum, so that nobody judges by it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from newtest.download.urls import is_web, without_credentials
from newtest.errors import ImageError
from newtest.images import thumbnail
from newtest.lettering import shown
from newtest.outputs import claim_folder, remove_made, write_made
from newtest.pool.audit.draw import Item, Sample
from newtest.pool.audit.manifest import FORMAT, MANIFEST
from newtest.pool.storage.location import LocalPlace
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.reasons import told
from newtest.pool.storage.row_images import holds_images, paired
from newtest.progress import UNWATCHED, Progress, watched
from newtest.spreadsheets import guarded
from newtest.templates import environment
from newtest.version import __version__

__all__ = ["TABLE", "write_audit"]

TABLE = "sample.csv"
SIDE = 640
"""The longer side of a picture, in pixels."""
MOST_TEXT = 2000

_PICTURE = re.compile(r"[0-9a-f]{32}\.jpg")


@dataclass(frozen=True)
class _Shown:
    """An item as people see it; ``picture`` is a file's name, ``why`` says why there is none."""

    uid: str
    text: str
    url: str
    picture: str = ""
    why: str = ""


def write_audit(pool: Pool, sample: Sample, folder: Path, progress: Progress = UNWATCHED) -> Path:
    """Write the page, and what ``audited`` reads, last of all; gives the page's path. Raises UsageError, PoolError."""
    claim_folder(folder)
    rows = _rows(pool, sample.items, folder, progress)
    if lacking := Counter(row.why or "no image" for row in rows if not row.picture):
        progress.say(f"{lacking.total():,} items have no picture: {told(dict(lacking.most_common()))}")
    name = f"audit-{sample.made_of[:16]}"
    items = [
        {"item": number, "picture": f"images/{row.picture}" if row.picture else "", "why": row.why, "uid": row.uid,
         "text": row.text, "url": row.url, "link": row.url if is_web(row.url) else ""}
        for number, row in enumerate(rows, 1)
    ]  # fmt: skip
    place = pool.place.root.resolve().name if isinstance(pool.place, LocalPlace) else pool.place.url
    write_made(folder / TABLE, _table(name, items))
    write_made(folder / "index.html", _page(name, place, sample, items))
    write_made(folder / MANIFEST, _manifest(name, pool, sample, rows))
    for path in (folder / "images").glob("*.jpg"):  # of an earlier sample in this folder
        if _PICTURE.fullmatch(path.name) and path.name not in {row.picture for row in rows}:
            remove_made(path)
    return folder / "index.html"


def _rows(pool: Pool, items: Sequence[Item], folder: Path, progress: Progress) -> list[_Shown]:
    """Each item as it is shown, in their order."""
    wanted: dict[str, list[int]] = {}
    for item in items:
        wanted.setdefault(item.shard, []).append(item.row)
    found: dict[tuple[str, int], _Shown] = {}
    shards = [shard for shard in pool.shards if shard.name in wanted]
    for shard in watched(progress, "writing pictures", shards, len(shards)):
        texts = _texts(pool, shard, sorted(wanted[shard.name]))
        pictures = _pictures(pool, shard, {row: texts[row][0] for row in texts}, folder)
        for row, (uid, text, url) in texts.items():
            picture, why = pictures.get(row, ("", ""))
            found[shard.name, row] = _Shown(uid, text, url, picture, why)
    return [found[item.shard, item.row] for item in items]


def _texts(pool: Pool, shard: Shard, rows: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    """Row -> uid, caption, URL."""
    there = [name for name in ("text", "url") if pool.tells(shard, name)]
    found, start = {}, 0
    for batch in pool.batches(shard, ["uid", *there]):
        here = [row for row in rows if start <= row < start + len(batch)]
        taken = batch.take(pa.array([row - start for row in here], pa.int64()))
        columns = {name: _decoded(taken[name]) for name in taken.column_names}
        for at, row in enumerate(here):
            text = columns["text"][at][:MOST_TEXT] if "text" in columns else ""
            url = without_credentials(columns["url"][at])[:MOST_TEXT] if "url" in columns else ""
            found[row] = (columns["uid"][at], text, shown(url))
        start += len(batch)
    return found


def _decoded(column: pa.ChunkedArray) -> list[str]:
    """Texts, "" where there is none; bytes that are not UTF-8 are replaced."""
    values = pc.cast(pc.cast(column, pa.large_string(), safe=False), pa.large_binary()).to_pylist()
    return ["" if value is None else value.decode("utf-8", "replace") for value in values]


def _pictures(pool: Pool, shard: Shard, uids: Mapping[int, str], folder: Path) -> dict[int, tuple[str, str]]:
    """Row -> the name of its picture, or why there is none."""
    if not holds_images(pool, shard):
        return {}
    found: dict[int, tuple[str, str]] = {}
    for row, sample in paired(pool, shard, set(uids)):
        if row not in uids:
            continue
        if sample.image is None:
            found[row] = ("", sample.why)
            continue
        digest = hashlib.sha256(sample.image).hexdigest()
        name = (
            hashlib.sha256(f"{shard.name}\x1f{row}\x1f{uids[row]}\x1f{digest}".encode()).hexdigest()[:32]
            + ".jpg"
        )
        try:
            picture = thumbnail(sample.image, SIDE)
        except ImageError as error:
            found[row] = ("", error.kind)
            continue
        write_made(folder / "images" / name, picture)
        found[row] = (name, "")
    return found


def _table(name: str, items: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["audit", "item", "vote", "uid", "picture", "text", "url"])
    for item in items:
        cells = [item["uid"], item["picture"], *(guarded(shown(item[each])) for each in ("text", "url"))]
        writer.writerow([name, item["item"], "", *cells])
    return text.getvalue()


def _page(name: str, place: str, sample: Sample, items: Sequence[Mapping[str, Any]]) -> str:
    script, style = (
        files(__package__).joinpath("pages", each).read_text("utf-8") for each in ("audit.js", "audit.css")
    )
    return environment(__package__, "pages").get_template("audit.html").render(
        name=name, place=place, question=sample.config.question, items=items, script=script, style=style,
        script_hash=_hash(script), style_hash=_hash(style),
    )  # fmt: skip


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _manifest(name: str, pool: Pool, sample: Sample, rows: Sequence[_Shown]) -> str:
    drawn = sample.drawn
    drew = {
        "format": FORMAT,
        "version": 1,
        "newtest": __version__,
        "audit": name,
        "pool": pool.place.url,
        "config": asdict(sample.config),
        "rows": sum(sample.population.values()),
        "rows_opted_out": sample.opted_out,
        "strata": [
            {"stratum": label, "rows": number, "drawn": drawn[label]}
            for label, number in sample.population.items()
        ],
        "items": [
            {"item": number, "stratum": item.stratum, "uid": row.uid, "shard": item.shard, "row": item.row}
            for number, (item, row) in enumerate(zip(sample.items, rows, strict=True), 1)
        ],
    }
    return json.dumps(drew, indent=1, ensure_ascii=False) + "\n"
