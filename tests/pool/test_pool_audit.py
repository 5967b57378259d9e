"""The sample of an audit: which rows may be drawn, how many of each stratum, and that chance alone chooses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.engines import LocalEngine
from newtest.errors import PoolError, UsageError
from newtest.pool.audit import AuditConfig, Sample, draw
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.scorers import Scorer
from newtest.pool.scoring import by_function, vectors_for
from newtest.pool.storage import subset as subsets
from newtest.pool.storage.opt_outs import remembered
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.subset import Subset

ENGINE = LocalEngine()
ROWS = (60, 40)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """100 rows: ``kind`` a, b or null, ``score`` 0 to 99 with two that are none, and two rows of one uid."""
    (tmp_path / "pool").mkdir()
    scores = [float(row) if row not in (7, 77) else None for row in range(100)]
    table = pa.table({
        "uid": [f"{min(row, 98):032x}" for row in range(100)],
        "text": ["word " * (1 + row % 4) for row in range(100)],
        "kind": pa.array(["a" if row % 5 else "b" if row % 2 else None for row in range(100)]).dictionary_encode(),
        "score": pa.array(scores, pa.float32()),
        "safe": [row % 2 == 0 for row in range(100)],
        "when": pa.array([0] * 100, pa.timestamp("s")),
    })  # fmt: skip
    pq.write_table(table.slice(0, ROWS[0]), tmp_path / "pool" / "0.parquet")
    pq.write_table(table.slice(ROWS[0]), tmp_path / "pool" / "1.parquet")
    return open_pool(tmp_path / "pool")


def drawn(pool: Pool, subset: Subset | None = None, workers: int = 1, **config: object) -> Sample:
    return draw(pool, AuditConfig(**config), subset, engine=ENGINE, workers=workers)  # type: ignore[arg-type]


def rows(sample: Sample, stratum: str | None = None) -> list[int]:
    first = {"0": 0, "1": ROWS[0]}
    return [first[item.shard] + item.row for item in sample.items if stratum in (None, item.stratum)]


def test_strata_of_texts_numbers_and_truths(pool: Pool) -> None:
    by_kind = drawn(pool, by="kind", size=20)
    assert by_kind.population == {"a": 80, "b": 10, "no value": 10}
    assert by_kind.drawn == {"a": 16, "b": 2, "no value": 2}
    assert all(row % 5 for row in rows(by_kind, "a"))
    assert all(row % 5 == 0 and row % 2 for row in rows(by_kind, "b"))
    by_score = drawn(pool, by="score", bins=4, per_stratum=3)
    assert list(by_score.population) == [
        "below 25.25", "25.25 to below 49.5", "49.5 to below 73.75", "73.75 and above", "no value",
    ]  # fmt: skip
    assert list(by_score.population.values()) == [25, 24, 24, 25, 2]
    assert by_score.drawn == {label: min(3, n) for label, n in by_score.population.items()}
    assert sorted(rows(by_score, "no value")) == [7, 77]
    edged = drawn(pool, by="score", edges=(10.0, 90.0), size=50)
    assert edged.population == {"below 10": 9, "10 to below 90": 79, "90 and above": 10, "no value": 2}
    assert drawn(pool, by="safe", size=4).population == {"false": 50, "true": 50}
    assert drawn(pool, size=7).drawn == {"all": 7}
    everything = drawn(pool, by="kind", size=10_000)
    assert sorted(rows(everything)) == list(range(100))


def test_the_same_seed_is_the_same_sample_and_each_row_has_the_same_chance(pool: Pool) -> None:
    first = drawn(pool, by="kind", size=20, seed=1)
    assert first == drawn(pool, workers=2, by="kind", size=20, seed=1)
    assert first.made_of != drawn(pool, by="kind", size=20, seed=2).made_of
    times: Counter[int] = Counter()
    places = np.zeros(100)
    for seed in range(200):
        found = rows(drawn(pool, size=20, seed=seed))
        assert len(set(found)) == 20
        times.update(found)
        places[found] += np.arange(20)
    counts = np.array([times[row] for row in range(100)])
    # Each is Binomial(200, .2): 40 with a standard deviation of 5.7; over 100 rows 4.5 of them are never passed.
    assert abs(counts - 40).max() < 26
    assert counts.std() == pytest.approx(5.66, abs=1.7)
    assert (places / counts).mean() == pytest.approx(9.5, abs=0.5)  # nor does its place on the page tell


def test_opted_out_rows_are_never_drawn_and_counted(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("".join(f"{row:032x}\n" for row in range(0, 98, 2)))
    remembered(pool, None, tmp_path / "out.txt")
    sample = drawn(pool, by="kind", size=100)
    assert sample.opted_out == 49
    assert sorted(rows(sample)) == [*range(1, 98, 2), 98, 99]
    subset = run(pool, Recipe(where=("score<50",)), ENGINE, 1)
    assert drawn(pool, subset, size=99).opted_out == 0  # the filter left them out before
    left_out = drawn(pool, subset, dropped=True, size=100)
    assert left_out.opted_out == 49
    assert sorted(rows(left_out)) == [7, *range(51, 98, 2), 98, 99]


def test_a_subsets_rows_and_those_it_leaves_out(pool: Pool) -> None:
    subset = run(pool, Recipe(where=("score<99",), min_words=2), ENGINE, 1)
    kept = sorted(row for row in range(99) if row % 4 and row not in (7, 77))
    assert sorted(rows(drawn(pool, subset, size=100))) == kept
    # Row 99 shares its uid with row 98, and was not chosen: the subset says which rows it holds.
    assert sorted(rows(drawn(pool, subset, dropped=True, size=100))) == sorted(set(range(100)) - set(kept))
    by_uid = Subset(subset.uids)
    assert sorted(rows(drawn(pool, by_uid, size=100))) == [*kept, 99]
    with pytest.raises(PoolError, match="no row to draw from"):
        drawn(pool, run(pool, Recipe(where=("score>500",)), ENGINE, 1))


def test_strata_by_the_rule_that_dropped_a_row(pool: Pool, tmp_path: Path) -> None:
    recipe = Recipe(where=("score<90",), min_words=2, say_why=True)
    subsets.write(run(pool, recipe, ENGINE, 2), tmp_path / "s.npy")
    subset = subsets.read(tmp_path / "s.npy")
    sample = drawn(pool, subset, dropped=True, by="rule", size=100)
    by_score = [7, 77, *range(90, 100)]
    assert sorted(rows(sample, "score<90")) == by_score
    assert sorted(rows(sample, "min-words")) == [row for row in range(0, 90, 4) if row not in by_score]
    assert list(sample.population) == ["score<90", "min-words"]
    either = run(pool, Recipe(where=("score<90",), min_words=2, say_why=True, combine="or"), ENGINE, 1)
    assert sorted(rows(drawn(pool, either, dropped=True, by="rule"), "no rule keeps it")) == [92, 96]
    silent = run(pool, Recipe(min_words=2), ENGINE, 1)
    with pytest.raises(PoolError, match="`say_why`"):
        drawn(pool, silent, dropped=True, by="rule")
    (tmp_path / "s.rules.npy").write_bytes(b"")
    with pytest.raises(PoolError, match="`say_why`"):
        drawn(pool, subsets.read(tmp_path / "s.npy"), dropped=True, by="rule")
    pq.write_table(
        pa.table({"uid": [f"{500:032x}"], "text": ["x"], "score": [1.0]}), Path(pool.address) / "2.parquet"
    )
    with pytest.raises(PoolError, match="another pool"):
        drawn(open_pool(pool.address), subset, dropped=True, by="rule")


def test_strata_by_scores_of_ones_own(pool: Pool, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.arange(1, 201, dtype=np.float32).reshape(100, 2))
    source = vectors_for(pool, outside=str(tmp_path / "v.npy"))
    scorer = Scorer(lambda vectors: vectors[:, 0], version="1")
    complete(by_function(pool, "mine", scorer, source).outcomes(ENGINE), 2)
    sample = drawn(pool, by="mine", edges=(101.0,), size=10)
    assert sample.population == {"below 101": 50, "101 and above": 50}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"size": 0}, "from 1 to 10,000"),
        ({"per_stratum": 10_001}, "from 1 to 10,000"),
        ({"bins": 0}, "`bins`"),
        ({"edges": (1.0, 1.0), "by": "score"}, "rise"),
        ({"edges": (float("nan"),), "by": "score"}, "rise"),
        ({"edges": (1.0,)}, "name it as `by`"),
        ({"by": "rule"}, "needs `dropped`"),
        ({"dropped": True}, "name the `subset`"),
        ({"question": " "}, "must not be empty"),
        ({"by": "kind", "size": 2}, "one row of each of the 3 strata"),
        ({"by": "uid"}, "more than 50"),
        ({"by": "when"}, "holds timestamp"),
        ({"by": "kind", "edges": (1.0,)}, "not numbers"),
        ({"by": "nothing"}, "no column for 'nothing'"),
    ],
)
def test_what_cannot_be_drawn_is_said(pool: Pool, config: dict[str, object], said: str) -> None:
    with pytest.raises((UsageError, PoolError), match=said):
        drawn(pool, **config)
