"""The layer of languages: nothing is asked twice, and no subset depends on what is known."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_tables import pool_table
from watchers import Watcher

from newtest.engines import LocalEngine, Resources
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.filters import LanguageIs, MinWords, Rule, basic, laion2b
from newtest.pool.filtering.language import detect
from newtest.pool.filtering.language_layer import languages_layer
from newtest.pool.filtering.select import select
from newtest.pool.storage.layer_states import states
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.subset import Subset

ENGLISH = Rule("english", (LanguageIs("fasttext"),))
BASIC = basic()


@pytest.fixture
def pool(datacomp: Path, tmp_path: Path) -> Pool:
    return open_pool(shutil.copytree(datacomp, tmp_path / "pool"))


def run(pool: Pool, *rules: Rule, combine: str = "and", workers: int = 1) -> tuple[Subset, int, int]:
    """The subset, and how many captions were asked about and known."""
    watcher = Watcher()
    subset = select(pool, FilterPlan(rules, combine), LocalEngine(), Resources(workers), watcher)  # type: ignore[arg-type]
    words = watcher.said[0].replace(",", "").split()
    return subset, int(words[words.index("about") + 1]), int(words[words.index("were") - 1])


def fresh(pool: Pool, *rules: Rule) -> Subset:
    return select(pool, FilterPlan(rules, keeps_languages=False), LocalEngine(), Resources(1))


def captioned(pool: Pool) -> int:
    """How many rows have a caption."""
    return sum(len(pq.read_table(path)["text"].drop_null()) for path in Path(pool.address).glob("*.parquet"))


def same(one: Subset, other: Subset) -> bool:
    return one.uids.tobytes() == other.uids.tobytes() and one.manifest == other.manifest


def test_a_second_run_asks_nothing_and_gives_the_same_bytes(pool: Pool) -> None:
    first, asked, known = run(pool, BASIC)
    survivors = 3501 - sum(
        row["rows"] for row in first.manifest["dropped_by_reason"] if row["filter"] != "LanguageIs"
    )
    assert (asked, known) == (survivors, 0)  # the cheap rules came first
    again, asked, known = run(pool, BASIC, workers=2)
    assert (asked, known) == (0, survivors)
    assert same(first, again)
    assert same(first, fresh(open_pool(pool.address, layers=Path(pool.address).parent / "empty"), BASIC))


def test_another_recipe_takes_what_is_known_and_asks_the_rest(pool: Pool, tmp_path: Path) -> None:
    expected = fresh(pool, ENGLISH), fresh(pool, BASIC)
    assert not states(pool)  # nothing was kept so far
    _, some, _ = run(pool, BASIC)
    (state,) = states(pool)
    assert (state.kind, state.rows, state.complete) == ("languages", 3501, False)
    assert some <= state.known < 3501
    english, rest, known = run(pool, ENGLISH)
    assert (rest, known) == (captioned(pool) - some, some)
    assert same(english, expected[0])
    assert states(pool)[0].complete
    assert same(run(pool, BASIC)[0], expected[1])
    at_once = open_pool(pool.address, layers=tmp_path / "at once")
    run(at_once, ENGLISH)
    file = languages_layer("fasttext").file(pool, pool.shards[0])
    assert (tmp_path / "at once" / file).read_bytes() == (Path(pool.layers_address) / file).read_bytes()


def test_either_rule_asks_about_every_row(pool: Pool) -> None:
    words = Rule("words", (MinWords(8),))
    either, asked, _ = run(pool, ENGLISH, words, combine="or")
    assert asked == captioned(pool)
    assert same(either, run(pool, ENGLISH, words, combine="or")[0])


def test_detectors_keep_their_answers_apart(pool: Pool) -> None:
    run(pool, ENGLISH)
    rule = laion2b("clip_b32_similarity_score")
    subset, asked, known = run(pool, rule)
    assert asked > 500
    assert known == 0
    assert same(subset, fresh(open_pool(pool.address, layers=Path(pool.address).parent / "empty"), rule))
    assert sorted(str(state.config["detector"]) for state in states(pool)) == ["cld3", "fasttext"]


def test_a_run_that_was_killed_goes_on_and_a_changed_shard_is_asked_about_again(
    pool: Pool, captions: list[str]
) -> None:
    whole, asked, _ = run(pool, ENGLISH)
    layer = languages_layer("fasttext")
    # What a kill leaves: some shards' files and no manifest.
    (Path(pool.layers_address) / layer.file(pool, pool.shards[1])).unlink()
    (Path(pool.layers_address) / layer.folder / "manifest.json").unlink()
    assert not states(pool)[0].complete
    again, rest, known = run(pool, ENGLISH)
    assert 0 < rest < asked
    assert rest + known == asked
    assert same(again, whole)
    assert states(pool)[0].complete
    pq.write_table(pool_table(captions, 5000, 300), Path(pool.address) / "00000000.parquet")
    changed = open_pool(pool.address)
    subset, rest, _ = run(changed, ENGLISH)
    assert 250 < rest <= 300
    assert same(subset, fresh(open_pool(pool.address, layers=Path(pool.address).parent / "empty"), ENGLISH))


def test_a_pool_that_cannot_be_written_to_is_filtered_all_the_same(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    elsewhere = open_pool(pool.address, layers=tmp_path / "file" / "layers")
    watcher = Watcher()
    subset = select(elsewhere, FilterPlan((BASIC,)), LocalEngine(), Resources(1), watcher)
    assert "could not be kept" in watcher.said[0]
    assert "`layers`" in watcher.said[0]
    assert same(subset, fresh(pool, BASIC))


def test_a_damaged_file_is_as_good_as_none(pool: Pool) -> None:
    whole, asked, _ = run(pool, ENGLISH)
    file = Path(pool.layers_address) / languages_layer("fasttext").file(pool, pool.shards[1])
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    again, some, _ = run(pool, ENGLISH)
    assert 0 < some < asked
    pq.write_table(pa.table({"language": ["en"]}), file)
    assert run(pool, ENGLISH)[1] == some
    assert same(again, whole)
    assert file.read_bytes() == good


def test_the_layer_holds_what_the_detector_says(pool: Pool) -> None:
    run(pool, BASIC)
    run(pool, ENGLISH)
    shard = pool.shards[0]
    column = languages_layer("fasttext").table(pool, shard, ["language"])["language"].to_pylist()
    texts = pq.read_table(Path(pool.address) / f"{shard.name}.parquet")["text"].to_pylist()
    assert column == [detect("fasttext", [text])[0] if text is not None else "" for text in texts]
    manifest = json.loads(
        (Path(pool.layers_address) / languages_layer("fasttext").folder / "manifest.json").read_text()
    )
    assert [row["known"] for row in manifest["shards"].values()] == [2000, 1500, 1]


WITHOUT_PANDAS = """
import sys
from newtest.engines import LocalEngine
from newtest.pool.storage.pool import open_pool
from newtest.pool.filtering.recipe import Recipe, run
for recipe in (Recipe(clip_score=True), Recipe(basic=True), Recipe(basic=True)):
    run(open_pool(sys.argv[1]), recipe, LocalEngine(), 1)
print("pandas" in sys.modules)
"""


def test_no_worker_imports_pandas(pool: Pool) -> None:
    """It would take longer than filtering a million rows, in every worker."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PANDAS, pool.address],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"
