"""Rules on any column and functions of one's own, beside pandas on the same rows; rows that share a uid."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest

from newtest.engines import LocalEngine
from newtest.errors import NewtestError
from newtest.pool.filtering.conditions import condition
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.subset import Subset
from newtest.progress import UNWATCHED

ROWS = 60


@pytest.fixture(scope="module")
def table() -> pa.Table:
    draw = np.random.default_rng(0)
    scores = draw.choice([0.1, 0.35, 0.7], ROWS)
    missing = draw.random(ROWS) < 0.2
    return pa.table(
        {
            "uid": [f"{k:032x}" for k in range(ROWS)],
            "text": [f"caption {k}" for k in range(ROWS)],
            "score": pa.array(scores.astype(np.float32), mask=missing),
            "half": pa.array(scores.astype(np.float16)),
            "double": pa.array(scores, mask=missing),
            "width": pa.array(draw.integers(100, 900, ROWS), mask=missing),
            "big": pa.array([(1 << 60) + k for k in range(ROWS)]),
            "price": pa.array([None if m else Decimal(str(s)) for s, m in zip(scores, missing, strict=True)]),
            "LANGUAGE": pa.array(
                draw.choice(["en", "de", "a, b"], ROWS).tolist(), mask=missing
            ).dictionary_encode(),
            "license": pa.array(draw.choice(["by", "cc0"], ROWS).tolist(), pa.string_view()),
            "nsfw": pa.array(draw.random(ROWS) < 0.5, mask=missing),
        }
    )


@pytest.fixture(scope="module")
def pool(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conditions")
    pq.write_table(table.slice(0, 40), folder / "0.parquet")
    pq.write_table(table.slice(40), folder / "1.parquet")
    return folder


def kept(pool: Path, **recipe: Any) -> list[int]:
    subset = run(open_pool(pool), Recipe(**recipe), LocalEngine(), 1, UNWATCHED)
    return [low for _, low in subset.uids.tolist()]


RULES = {
    "score>=0.35": lambda t: t["score"] >= np.float32(0.35),
    "score<=0.35": lambda t: t["score"] <= np.float32(0.35),
    "score<0.35": lambda t: t["score"] < np.float32(0.35),
    "score=0.35": lambda t: t["score"] == np.float32(0.35),
    "score!=0.35": lambda t: t["score"].notna() & (t["score"] != np.float32(0.35)),
    "score=0.1,0.7": lambda t: t["score"].isin([np.float32(0.1), np.float32(0.7)]),
    "score=0.2..0.7": lambda t: (t["score"] >= 0.2) & (t["score"] <= np.float32(0.7)),
    "half>=0.35": lambda t: t["half"] >= np.float16(0.35),
    "double>0.35": lambda t: t["double"] > 0.35,
    "price<=0.35": lambda t: t["double"] <= 0.35,
    "width=200..800": lambda t: t["width"].between(200, 800),
    "width!=200..800": lambda t: t["width"].notna() & ~t["width"].between(200, 800),
    f"big={(1 << 60) + 7}": lambda t: t["big"] == (1 << 60) + 7,
    "LANGUAGE=en,de": lambda t: t["LANGUAGE"].isin(["en", "de"]),
    "LANGUAGE!=en": lambda t: t["LANGUAGE"].notna() & (t["LANGUAGE"] != "en"),
    'LANGUAGE="a, b"': lambda t: t["LANGUAGE"] == "a, b",
    "LANGUAGE=null": lambda t: t["LANGUAGE"].isna(),
    "LANGUAGE!=null": lambda t: t["LANGUAGE"].notna(),
    "license == cc0": lambda t: t["license"] == "cc0",
    "nsfw=false": lambda t: t["nsfw"].eq(False).fillna(False).astype(bool),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_keeps_what_pandas_keeps(rule: str, table: pa.Table, pool: Path) -> None:
    frame = table.set_column(
        table.column_names.index("license"), "license", table["license"].cast(pa.string())
    ).to_pandas()
    frame["LANGUAGE"] = frame["LANGUAGE"].astype(object)
    wanted = np.flatnonzero(RULES[rule](frame).fillna(False).to_numpy(bool)).tolist()
    assert 0 < len(wanted) < ROWS
    assert kept(pool, where=(rule,)) == wanted


@pytest.mark.parametrize(
    ("typed", "kind"), [("score>=0.35", "scores"), ("score<=0.35", "scores"), ("score>=0.35", "where")]
)
def test_a_float32_of_035_is_at_least_035(typed: str, kind: str, tmp_path: Path) -> None:
    equal = pa.table({"uid": [f"{k:032x}" for k in range(5)], "score": pa.array([0.35] * 5, pa.float32())})
    pq.write_table(equal, tmp_path / "0.parquet")
    assert len(pl.from_arrow(equal).filter(pl.col("score") >= pl.lit(0.35, pl.Float32))) == 5  # type: ignore[union-attr,arg-type]
    assert (pd.read_parquet(tmp_path)["score"] >= 0.35).sum() == 5
    assert kept(tmp_path, **{kind: (typed,)}) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("score", "is not COLUMN, one of"), ("=5", "is not COLUMN"), ("score=", "is not COLUMN"),
        ("score<null", "null goes with = and != alone"), ("width<200..300", "a range goes with"),
        ("width=wide", "holds numbers; 'wide' is not a number"), ("license<by", "= and != are for texts"),
        ("nsfw=maybe", "holds true and false"), ("color=red", "no column for 'color'"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_one_sentence(rule: str, said: str, pool: Path) -> None:
    with pytest.raises(NewtestError, match=said):
        kept(pool, where=(rule,))


def test_cells_of_a_set_are_read_as_those_of_a_csv() -> None:
    assert condition('a="x, y",z,"say ""hi""",').values == ("x, y", "z", 'say "hi"', "")


def test_a_function_of_ones_own_is_a_rule(pool: Path, table: pa.Table, tmp_path: Path) -> None:
    bound = 300  # a closure, as one writes it in a notebook: nothing that can be pickled

    def wide(width: Any, text: Any) -> Any:
        return (width > bound) & text.str.endswith("1")

    frame = table.to_pandas(types_mapper={pa.string_view(): pd.StringDtype()}.get)
    wanted = np.flatnonzero((frame["width"] > bound) & frame["text"].str.endswith("1")).tolist()
    assert kept(pool, functions=(wide,)) == wanted
    (tmp_path / "rules.py").write_text(
        "def wide(width, text):\n    return (width > 300) & text.str.endswith('1')\n"
    )
    done = newtest(
        "filter-pool", str(pool), "--function", "rules.py:wide", "--out", "s.npy", "--json", cwd=tmp_path
    )
    told = json.loads(done.stdout)
    assert (told["rows"], told["rows_read"]) == (len(wanted), ROWS)
    assert sum(row["rows"] for row in told["dropped_by_reason"]) == ROWS - len(wanted)
    assert "width > 300" in told["rules"][0]["filters"][0]["source"]
    for answer, said in (("width.sum() > 3", "a boolean for each row"), ("width", "a boolean for each row")):
        (tmp_path / "rules.py").write_text(f"def wide(width):\n    return {answer}\n")
        failed = newtest(
            "filter-pool", str(pool), "--function", "rules.py:wide", "--out", "t.npy", cwd=tmp_path
        )
        assert (failed.returncode, said in failed.stderr) == (1, True), failed.stderr


def test_the_row_that_the_filter_chose_is_written_where_rows_share_a_uid(tmp_path: Path) -> None:
    rows = {
        "uid": ["0" * 31 + "1"] * 2 + ["0" * 31 + "2"],
        "text": ["low", "high", "other"],
        "score": [0.1, 0.9, 0.2],
    }
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "pool" / "0.parquet")
    assert (
        newtest("filter-pool", "pool", "--score", "score>=0.5", "--out", "s.npy", cwd=tmp_path).returncode
        == 0
    )
    done = newtest("reshard-pool", "pool", "--subset", "s.npy", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(tmp_path / "out")["text"].tolist() == ["high"]
    both = newtest("filter-pool", "pool", "--score", "score>=0.1", "--out", "both.npy", cwd=tmp_path)
    assert "1 of the rows that stay have the uid of another row" in both.stderr
    newtest("reshard-pool", "pool", "--subset", "both.npy", "--out", "three", cwd=tmp_path)
    assert pd.read_parquet(tmp_path / "three")["text"].tolist() == ["low", "high", "other"]
    np.save(
        tmp_path / "alone.npy", Subset.of(np.load(tmp_path / "s.npy")).uids
    )  # ids that somebody else wrote
    told = newtest("reshard-pool", "pool", "--subset", "alone.npy", "--out", "first", cwd=tmp_path)
    assert "1 rows have the uid of an earlier row, and are not written" in told.stderr
    assert pd.read_parquet(tmp_path / "first")["text"].tolist() == ["low"]


def test_whole_numbers_are_compared_as_such_and_dates_as_dates(tmp_path: Path) -> None:
    days = pd.to_datetime(["2026-01-30", "2026-01-31", "2026-02-01", None])
    table = pa.table(
        {
            "uid": [f"{k:032x}" for k in range(4)],
            "id": pa.array([2**53, 2**53 + 1, 2**53 + 2, None]),
            "day": pa.array(days, pa.date32()),
            "time": pa.array(days, pa.timestamp("us")),
            "zone": pa.array(days.tz_localize("UTC"), pa.timestamp("ns", "UTC")),
        }
    )
    pq.write_table(table, tmp_path / "0.parquet")

    def kept(rule: str) -> list[int]:
        subset = run(open_pool(tmp_path), Recipe(where=(rule,)), LocalEngine(), 1, UNWATCHED)
        return subset.uids["f1"].tolist()

    assert kept(f"id={2**53 + 1}") == [1]
    assert kept(f"id>{2**53}") == [1, 2]
    assert kept("id>=-1") == [0, 1, 2]
    for column in ("day", "time", "zone"):
        assert kept(f"{column}>=2026-01-31") == [1, 2], column
        assert kept(f"{column}<2026-01-31") == [0], column
        assert kept(f"{column}!=2026-01-31") == [0, 2], column
        assert kept(f"{column}=2026-01-31..2026-03-01") == [1, 2], column
        assert kept(f"{column}=null") == [3], column
    assert kept("time>2026-01-30T23:59:59") == [1, 2]
    assert kept("zone<=2026-01-31T01:00:00+02:00") == [0]
    with pytest.raises(NewtestError, match="'soon' is not a date such as 2026-01-31"):
        kept("day<soon")
