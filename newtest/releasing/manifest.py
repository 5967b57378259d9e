"""The manifest of a release: one row per member, in Parquet and CSV, the same bytes every time.

Parquet holds all texts as they are; in the CSV those of strangers cannot become formulas (``newtest.spreadsheets``).
"""

from __future__ import annotations

import csv
import io
import json
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


SECOND = (("second_labels", pa.list_(pa.string())), ("second_labels_open", pa.int64()))
"""Where second labels were proposed: the accepted ones, and how many proposed classes lack votes."""


def write_manifest(
    members: Sequence[Member],
    files: Sequence[str],
    folder: Path,
    second: Mapping[str, tuple[list[str], int]] | None = None,
) -> None:
    """Write ``manifest.parquet`` and ``manifest.csv``; ``files`` are the members' places in the release. ``second``:
    image -> its second labels, and the proposed classes that lack votes; None where nothing was proposed.
    """
    rows = [_row(member, file) for member, file in zip(members, files, strict=True)]
    schema = COLUMNS
    if second is not None:
        schema = pa.schema([*COLUMNS, *SECOND])
        for row, member in zip(rows, members, strict=True):
            labels, left = second.get(member.row.image_id, ([], 0))
            row["second_labels"] = [label for label in labels if label != member.row.wnid]
            row["second_labels_open"] = left
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "manifest.parquet")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, schema.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **_guarded(row), **_listed(row)} for row in rows)
    (folder / "manifest.csv").write_text(text.getvalue(), encoding="utf-8", newline="")


def _listed(row: Mapping[str, object]) -> dict[str, str]:
    """A list is JSON in a cell."""
    return {name: json.dumps(cell) for name, cell in row.items() if isinstance(cell, list)}


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
