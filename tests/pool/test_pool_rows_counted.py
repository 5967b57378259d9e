"""Rows in are rows out and rows counted: for every command that reads a pool, whatever is in it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

from newtest.cli import commands
from newtest.cli.app import app

LETTERS = some.text("ab cé\u0308日", max_size=12)
ROW = some.fixed_dictionaries(
    {
        "uid": some.integers(0, 9).map(lambda number: f"{number:032x}"),
        "text": some.none() | LETTERS,
        "sha256": some.none() | some.sampled_from(["0" * 64, "1" * 64]),
        "score": some.none() | some.sampled_from([0.1, 0.35, float("nan")]),
        "original_width": some.none() | some.integers(0, 500),
        "original_height": some.none() | some.integers(0, 500),
    }
)
SCHEMA = pa.schema(
    [
        ("uid", pa.string()), ("text", pa.string()), ("sha256", pa.string()), ("score", pa.float32()),
        ("original_width", pa.int64()), ("original_height", pa.int64()),
    ]
)  # fmt: skip


def told(*typed: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*typed, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, (typed, done.output)
    return dict(json.loads(done.stdout))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(shards=some.lists(some.lists(ROW, max_size=9), min_size=1, max_size=3))
def test_every_row_is_kept_or_counted(shards: list[list[dict[str, Any]]], tmp_path_factory: Any) -> None:
    commands.attach(app)
    folder: Path = tmp_path_factory.mktemp("rows")
    (folder / "pool").mkdir()
    for number, rows in enumerate(shards):
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "pool" / f"{number}.parquet")
    total, pool = sum(map(len, shards)), str(folder / "pool")
    rules = {
        "filter": ("--min-chars", "3", "--where", "score<=0.35", "--min-size", "100"),
        "best": ("--score", "score:0.5"),
    }
    for name, typed in rules.items():
        subset = str(folder / f"{name}.npy")
        said = told("filter-pool", pool, *typed, "--out", subset)
        assert said["rows_read"] == total
        assert said["rows"] == said["rows_kept"] == len(np.load(subset))
        assert said["rows_kept"] + sum(row["rows"] for row in said["dropped_by_reason"]) == total
        assert sum(row["rows"] for row in said["overlaps"]) == total
        written = told("reshard-pool", pool, "--subset", subset, "--out", str(folder / f"{name}-out"))
        assert written["written"] + written["missing"] == said["rows"]
        assert (written["absent"], written["rows_that_share_a_uid"]) == ([], 0)
    said = told("dedup-pool", pool, "--method", "bytes", "--out", str(folder / "d.npy"))
    assert said["rows_read"] == total == len(np.load(folder / "d.npy")) + said["rows_removed"]
    known = Counter(row["sha256"] for rows in shards for row in rows)
    assert said["rows_not_compared"] == known[None]
