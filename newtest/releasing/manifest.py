"""The manifest of a release: one row a member, in Parquet and CSV, the same bytes every time.

Parquet holds all texts as they are; in the CSV those of strangers cannot become formulas (``newtest.spreadsheets``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.releasing.members import Member
from newtest.spreadsheets import TEXTS, guarded

__all__ = ["COLUMNS", "write_manifest"]

COLUMNS = pa.schema(
    [
        ("image_id", pa.string()),
        ("wnid", pa.string()),
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("num_selected", pa.int64()),
        ("num_shown", pa.int64()),
        ("frequency", pa.float64()),
        *(
            (name, pa.string())
            for name in ("source", "source_id", "url", "page_url", "title", "license", "owner")
        ),
        ("taken_on", pa.string()),
        ("uploaded_on", pa.string()),
    ]
)


def write_manifest(members: Sequence[Member], files: Sequence[str], folder: Path) -> None:
    """Write ``manifest.parquet`` and ``manifest.csv``; ``files`` are the members' places in the release."""
    rows = [_row(member, file) for member, file in zip(members, files, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows, schema=COLUMNS), folder / "manifest.parquet")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **_guarded(row)} for row in rows)
    (folder / "manifest.csv").write_text(text.getvalue(), encoding="utf-8", newline="")


def _guarded(row: Mapping[str, object]) -> dict[str, str]:
    return {name: guarded(text) for name in TEXTS if isinstance(text := row[name], str)}


def _row(member: Member, file: str) -> dict[str, object]:
    row = member.row
    return {
        "image_id": row.image_id,
        "wnid": row.wnid,
        "file": file,
        "sha256": member.sha256,
        "num_selected": row.num_selected,
        "num_shown": row.num_shown,
        "frequency": row.num_selected / row.num_shown if row.num_shown else None,
        "source": row.source,
        "source_id": row.source_id,
        "url": member.url,
        "page_url": row.page_url,
        "title": row.title,
        "license": row.license,
        "owner": row.owner,
        "taken_on": row.taken_on,
        "uploaded_on": row.uploaded_on,
    }
