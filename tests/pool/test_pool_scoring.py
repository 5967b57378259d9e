"""Scores by a function of one's own over stored vectors: a head's arithmetic, what is computed again, errors."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke

from newtest.api.pools import Pool as Opened
from newtest.engines import LocalEngine
from newtest.errors import NewtestError, PoolError, UsageError
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.scorers import Scorer
from newtest.pool.scoring import ROWS, by_function, named_layer, range_of, vectors_for
from newtest.pool.storage.layers import Layer, describe, settle
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, open_pool

WIDTH = 8
SHARDS = (4, 5)
LOST = 2
"""A row whose image could not be read."""


@pytest.fixture
def vectors() -> np.ndarray:
    made = np.random.default_rng(3).normal(size=(sum(SHARDS), WIDTH))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    stored = made.astype(np.float16)
    stored[LOST] = np.nan
    return stored


@pytest.fixture
def pool(tmp_path: Path, vectors: np.ndarray) -> Pool:
    """Two tables, and a layer of an encoder as ``embed-pool`` writes it."""
    folder, start = tmp_path / "pool", 0
    folder.mkdir()
    for number, rows in enumerate(SHARDS):
        table = pa.table({"uid": [f"{start + row:032x}" for row in range(rows)], "text": ["a cat"] * rows})
        pq.write_table(table, folder / f"{number}.parquet")
        start += rows
    opened = open_pool(folder)
    layer = Layer("embeddings", {"encoder": "conse", "rule": 3})
    describe(opened, layer)
    start = 0
    for shard, rows in zip(opened.shards, SHARDS, strict=True):
        part = vectors[start : start + rows]
        reasons = ["truncated" if np.isnan(row[0]) else None for row in part]
        lists = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), WIDTH)
        with opened.layers.writing(layer.file(opened, shard)) as path:
            pq.write_table(pa.table({"image": lists, "reason": pa.array(reasons, pa.string())}), path)
        start += rows
    settle(opened, layer)
    return opened


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "heads", raising=False)


def head(text: str, name: str = "heads.py") -> Path:
    path = Path(name)
    path.write_text("import numpy as np\n" + textwrap.dedent(text))
    return path


def scored(pool: Pool, scorer: Scorer, name: str = "mine", workers: int = 0) -> dict[str, int]:
    outcomes = by_function(pool, name, scorer, vectors_for(pool), workers).outcomes(LocalEngine())
    return complete(outcomes, len(pool.shards))


def kept(pool: Pool, scorer: Scorer, name: str = "mine") -> tuple[np.ndarray, list[str | None]]:
    layer = named_layer(pool, name, scorer, vectors_for(pool))
    tables = [layer.table(pool, shard) for shard in pool.shards]
    return (
        np.concatenate([table["score"].to_numpy() for table in tables]),
        [reason for table in tables for reason in table["reason"].to_pylist()],
    )


def test_the_scores_are_those_of_torch_itself(pool: Pool, vectors: np.ndarray, tmp_path: Path) -> None:
    """A linear head as aesthetic predictors publish theirs: a state of ``nn.Linear(d, 1)``, saved by torch."""
    import torch

    torch.manual_seed(1)
    linear = torch.nn.Linear(WIDTH, 1)
    torch.save(linear.state_dict(), tmp_path / "head.pt")
    head("""
        import torch
        head = torch.nn.Linear(8, 1)
        head.load_state_dict(torch.load("head.pt"))

        @torch.no_grad()
        def aesthetic(vectors):
            return head(torch.from_numpy(vectors))[:, 0]
    """)
    scorer = Scorer("heads.py:aesthetic", (tmp_path / "head.pt",))
    assert scored(pool, scorer) == {"rows": 9, "failed": 1, "computed": 2}
    scores, reasons = kept(pool, scorer)
    with torch.no_grad():
        wanted = linear(torch.from_numpy(vectors.astype(np.float32)))[:, 0].numpy()
    there = np.arange(len(vectors)) != LOST
    np.testing.assert_allclose(scores[there], wanted[there], rtol=1e-6, atol=1e-7)
    assert np.isnan(scores[LOST])
    assert reasons == ["truncated" if row == LOST else None for row in range(9)]
    assert scored(pool, scorer)["computed"] == 0
    torch.save(torch.nn.Linear(WIDTH, 1).state_dict(), tmp_path / "head.pt")
    assert scored(pool, scorer)["computed"] == 2
    assert not np.array_equal(kept(pool, scorer)[0][there], scores[there])


def test_rules_take_the_name_for_a_column(pool: Pool, vectors: np.ndarray) -> None:
    head("""
        def first(vectors):
            return vectors[:, 0]
    """)
    scored(pool, Scorer("heads:first"), "first")
    first = vectors[:, 0].astype(np.float32)
    best = np.argsort(np.where(np.isnan(first), -np.inf, first))[::-1][:3]

    def rows(recipe: Recipe) -> list[int]:
        return sorted(run(pool, recipe, LocalEngine(), 1).uids["f1"].tolist())

    assert rows(Recipe(scores=("first:0.34",))) == sorted(best.tolist())
    positive = np.flatnonzero(first >= 0).tolist()
    assert rows(Recipe(scores=("first>=0",))) == rows(Recipe(where=("first>=0",))) == positive
    assert rows(Recipe(where=("first=null",))) == [LOST]
    assert rows(Recipe(functions=(lambda first: first >= 0,))) == positive
    chosen = run(pool, Recipe(where=("first>=0",)), LocalEngine(), 1)
    assert chosen.manifest["inputs"]["layers"]["first"]["scorer"] == "heads:first"
    assert run(pool, Recipe(min_words=1), LocalEngine(), 1).manifest["inputs"]["layers"] == {}


def test_a_changed_function_is_asked_again_and_the_name_stands_for_it(pool: Pool) -> None:
    for constant in (1, 2):  # of the same length, in the same second
        head(f"""
            def flat(vectors):
                return np.full(len(vectors), {constant})
        """)
        scorer = Scorer("heads.py:flat")
        assert scored(pool, scorer)["computed"] == 2
        assert scored(pool, scorer)["computed"] == 0
        assert set(kept(pool, scorer)[0][:LOST].tolist()) == {float(constant)}
        assert len(run(pool, Recipe(where=(f"mine={constant}",)), LocalEngine(), 1)) == 8
    pq.write_table(pa.table({"uid": [f"{9:032x}"], "text": ["new"]}), Path(pool.address) / "2.parquet")
    with pytest.raises(PoolError, match="called mine do not cover the pool"):
        run(open_pool(pool.address), Recipe(where=("mine=2",)), LocalEngine(), 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return vectors[:, :1]", r"answered shape \(n, 1\) of float32 .* of shape \(n,\); 'scores\[:, 0\]'"),
        ("return vectors[:-1, 0]", r"answered shape \(\d,\) of float32"),
        ("return vectors.sum()", "answered one value of float32"),
        ("return ['a'] * len(vectors)", r"answered shape \(n,\) of <U1"),
        ("return [[1], [1, 2]]", "failed on vectors of 8 numbers .ValueError"),
        ("raise KeyError('weight\\nhead')", r"failed on vectors of 8 numbers \(KeyError: "),
        ("raise SystemExit(0)", "failed on vectors of 8 numbers .SystemExit"),
    ],
)
def test_what_a_function_does_wrong_is_one_sentence(pool: Pool, body: str, said: str) -> None:
    head(f"""
        def mine(vectors):
            {body}
    """)
    with pytest.raises(PoolError, match=rf"heads.py:mine {said}") as told:
        scored(pool, Scorer("heads.py:mine"))
    assert "\n" not in str(told.value)
    with pytest.raises(PoolError, match="no column"):
        run(pool, Recipe(where=("mine=2",)), LocalEngine(), 1)


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ("heads", "is not module:function"),
        ("heads:", "is not module:function"),
        ("nowhere.py:f", "there is no file nowhere.py"),
        ("nowhere:f", "cannot be loaded .ModuleNotFoundError"),
        ("heads:g", "there is no function 'g' in it"),
        ("heads:np.pi", "there is no function 'np.pi'"),
        ("broken.py:f", "cannot be loaded .SyntaxError"),
    ],
)
def test_what_cannot_be_loaded_is_said(pool: Pool, scorer: str, said: str) -> None:
    head("def f(vectors): return vectors[:, 0]\n")
    head("def f(\n", "broken.py")
    with pytest.raises(UsageError, match=said):
        scored(pool, Scorer(scorer))


def test_numbers_that_are_none_are_counted(pool: Pool) -> None:
    head("""
        def mine(vectors):
            scores = np.arange(len(vectors), dtype=np.float64)
            scores[:3] = np.nan, np.inf, 1e300
            return scores
    """)
    scorer = Scorer("heads.py:mine")
    assert scored(pool, scorer) == {"rows": 9, "failed": 7, "computed": 2}
    scores, reasons = kept(pool, scorer)
    assert np.isnan(scores).sum() == 7
    assert sorted(filter(None, reasons)) == ["the scorer gave no finite number"] * 6 + ["truncated"]
    found = range_of(pool, named_layer(pool, "mine", scorer, vectors_for(pool)))
    assert (found.rows, found.low, found.high, found.mean) == (2, 3.0, 4.0, 3.5)


def test_names_are_checked_before_any_work(pool: Pool) -> None:
    def never(vectors: np.ndarray) -> np.ndarray:
        raise AssertionError

    for name in ("text", "caption", "clip_score", "newtest.place"):
        with pytest.raises(UsageError, match="a column of pools already"):
            scored(pool, Scorer(never), name)
    for name in ("", "../up", "a:b", "a<b", "_a", "x" * 65):
        with pytest.raises(UsageError, match="is not a letter and up to"):
            scored(pool, Scorer(never), name)


def test_functions_of_a_notebook_and_what_has_no_source(pool: Pool, vectors: np.ndarray) -> None:
    def second(rows: np.ndarray) -> np.ndarray:
        return rows[:, 1]

    opened = Opened(pool.address)
    assert opened.score(second, "second")["computed"] == 2
    assert opened.score(second, "second")["computed"] == 0
    wanted = np.flatnonzero(vectors[:, 1] >= 0).tolist()
    assert opened.filter(where=("second>=0",)).uids["f1"].tolist() == wanted

    class Head:
        def __call__(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, 0]

    with pytest.raises(UsageError, match="its source cannot be read"):
        opened.score(Head(), "head")
    assert [opened.score(Head(), "head", version=v)["computed"] for v in "112"] == [2, 0, 2]


def test_large_shards_come_in_pieces_and_engines_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors that were made elsewhere, more than one piece of them, by one process and by two."""
    rows = ROWS + 5
    (tmp_path / "big").mkdir()
    for number in range(2):
        table = pa.table({"uid": [f"{number * rows + row:032x}" for row in range(rows)]})
        pq.write_table(table, tmp_path / "big" / f"{number}.parquet")
    vectors = np.random.default_rng(0).normal(size=(2 * rows, 2)).astype(np.float32)
    vectors[7] = 0
    np.save(tmp_path / "v.npy", vectors)
    head("""
        def total(vectors):
            assert len(vectors) <= 1 << 14
            vectors[:, 0] += vectors[:, 1]
            return vectors[:, 0]
    """)
    pool = open_pool(tmp_path / "big")
    source = vectors_for(pool, outside="v.npy")
    scorer = Scorer("heads.py:total")
    files = []
    for workers in (1, 2):
        layers = tmp_path / f"layers-{workers}"
        one = open_pool(tmp_path / "big", layers=layers)
        complete(by_function(one, "total", scorer, source, workers).outcomes(LocalEngine()), 2)
        files.append({path.name: path.read_bytes() for path in layers.rglob("*") if path.is_file()})
    assert files[0] == files[1]
    layer = named_layer(one, "total", scorer, source)
    scores = np.concatenate([layer.table(one, shard)["score"].to_numpy() for shard in one.shards])
    wanted = vectors.sum(axis=1)
    wanted[7] = np.nan
    np.testing.assert_array_equal(scores, wanted)


def test_the_command_tells_what_there_is(pool: Pool) -> None:
    head("""
        print("loading")

        def mine(vectors):
            print("scoring")
            return vectors[:, 0]
    """)

    def typed(*words: str) -> Any:
        return invoke(["score-pool", pool.address, *words])

    done = typed("--scorer", "heads.py:mine", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["name"], told["rows"], told["failed"], told["reasons"]) == ("mine", 9, 1, {"truncated": 1})
    assert "8 of 9 rows have a score; from " in typed("--scorer", "heads.py:mine").stdout
    status = invoke(["pool-status", pool.address])
    assert "mine by heads.py:mine" in status.stdout
    assert isinstance(typed().exception, NewtestError)
