"""Candidates by caption, on the shared captions and photos: every row counted once, the same from any interruption."""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import killed_at_event, newtest

import newtest as nt
from newtest.collecting import collect
from newtest.engines import LocalEngine
from newtest.errors import UsageError
from newtest.pool import balance
from newtest.pool.importing import import_folder
from newtest.pool.search import Mentions, SearchConfig, definition_of, search, write_found
from newtest.pool.search.mentions import normal
from newtest.pool.storage.pool import Pool, open_pool
from newtest.records import Class
from newtest.sources import open_source
from newtest.study import Study

ENGINE = LocalEngine()
DOG = Class("n02084071", ("dog", "domestic dog"), "a member of the genus Canis; barks")
CAT = Class("n02121620", ("cat", "true cat"), "feline mammal")
CAR = Class("n02958343", ("car", "auto", "motorcar"), "a motor vehicle with four wheels")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pool(datacomp: Path, tmp_path: Path) -> Pool:
    return open_pool(datacomp, layers=tmp_path / "layers")


def test_captions_are_compared_as_balance_compares_them(captions: list[str]) -> None:
    odd = ["", "  Ünïcode—dash\u2028x", "O'Neil's T-shirt!", "\x00\ud800", "ſtraße ß", "１２ 犬"]
    for text in captions[:3000] + odd:
        assert normal(text) == balance.normal(text)


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("A tiger shark, swimming", {"tiger shark"}),
        ("a TIGER and a tiger-shark; tiger shark", {"tiger", "tiger shark"}),
        ("scarred by a racecar", set()),
        ("Car, car. CAR!", {"car"}),
        ("the great white shark", {"great white shark"}),
        ("shark", {"shark"}),
        ("a 'car' of 'Tigers'", {"car"}),
        ("犬 and café", {"café", "犬"}),
        ("", set()),
    ],
)
def test_lemmas_are_whole_words_and_no_parts_of_longer_ones(caption: str, named: set[str]) -> None:
    lemmas = ("tiger", "tiger shark", "car", "Shark", "great white shark", "white shark", "Café", "犬")
    mentions = Mentions([Class(f"c{n}", (lemma,)) for n, lemma in enumerate(lemmas)])
    assert {mentions.terms[number] for number in mentions.of(caption)} == named


def test_a_definition_is_the_name_and_the_gloss_without_examples() -> None:
    assert (
        definition_of(Class("c", ("crane",), 'lifts things; "a crane on the dock"')) == "crane, lifts things"
    )
    assert definition_of(Class("c", ("crane",))) == "crane"
    with pytest.raises(UsageError, match="c has no lemma that a caption could hold"):
        Mentions([Class("c", ("...",))])


def test_every_mention_is_a_candidate_or_counted(pool: Pool, captions: list[str]) -> None:
    found = search(pool, [DOG, CAT, CAR], SearchConfig(exclude_others=True), engine=ENGINE, workers=1)
    texts = [f" {balance.normal(text)} " for text in captions[:3501]]
    holds = {
        cls.wnid: [any(f" {lemma} " in text for lemma in cls.lemmas) for text in texts]
        for cls in (DOG, CAT, CAR)
    }
    several = [sum(here) > 1 for here in zip(*holds.values(), strict=True)]
    assert found.rows_read == 3501
    for row in found.by_class():
        here = holds[str(row["wnid"])]
        assert row["mentions"] == sum(here)
        away = sum(a and b for a, b in zip(here, several, strict=True))
        assert row.get("names another class", 0) == away
        assert row["candidates"] == sum(here) - away - row.get("a uid that is there already", 0)
    some = {hit.text for hit in found.hits if hit.wnid == DOG.wnid}
    assert some and all(" dog " in f" {normal(text)} " for text in some)


def test_a_draw_is_of_the_seed_alone_and_part_of_a_larger_one(pool: Pool, tmp_path: Path) -> None:
    def uids(per_class: int, seed: int = 0, workers: int = 1) -> list[str]:
        config = SearchConfig(per_class, seed=seed)
        return [hit.uid for hit in search(pool, [DOG, CAR], config, engine=ENGINE, workers=workers).hits]

    opened = nt.Pool(pool.address, layers=pool.layers_address, workers=1)
    nt_found = opened.search([DOG, CAR], SearchConfig(5), out=tmp_path / "nt.csv")
    assert [hit.uid for hit in nt_found.hits] == uids(5) and (tmp_path / "nt.csv").is_file()
    assert len(opened.search(["n02958343"], SearchConfig(5)).hits) == 5, "a wnid is WordNet's class"
    few, more, other = uids(5), uids(9), uids(5, seed=1)
    assert uids(5, workers=2) == few and set(few) < set(more) and set(other) != set(few)
    assert len(few) == 10


def test_draws_in_between_change_nothing(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> tuple[object, ...]:
        result = search(pool, [DOG, CAT, CAR], SearchConfig(4), engine=ENGINE, workers=2)
        return result.hits, result.by_class()

    whole = found()
    monkeypatch.setattr("newtest.pool.search.run._MOST_HITS", 5)
    assert found() == whole


def test_the_definition_tells_senses_apart(pool: Pool) -> None:
    """Of the captions with "car", those that are kept are nearer to the definition than those that are not."""
    all_ = search(pool, [CAR], SearchConfig(best=True), engine=ENGINE, workers=1)
    kept = search(pool, [CAR], SearchConfig(min_definition_similarity=0.3), engine=ENGINE, workers=1)
    similarity = {hit.uid: hit.similarity or 0.0 for hit in all_.hits}
    assert {hit.uid for hit in kept.hits} == {uid for uid, value in similarity.items() if value >= 0.3}
    assert kept.left_out() == {"far from the definition": sum(v < 0.3 for v in similarity.values())}
    ordered = [hit.similarity or 0.0 for hit in all_.hits]
    assert ordered == sorted(ordered, reverse=True) and 0 < len(kept.hits) < len(all_.hits)
    best = search(pool, [CAR], SearchConfig(3, best=True), engine=ENGINE, workers=1)
    assert [hit.uid for hit in best.hits] == [hit.uid for hit in all_.hits[:3]]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"per_class": -1}, "`per_class` must not be negative"),
        ({"min_definition_similarity": 2.0}, "`min_definition_similarity` is a cosine"),
    ],
)
def test_what_cannot_be_is_refused(config: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SearchConfig(**config)  # type: ignore[arg-type]


def test_a_study_collects_what_was_found_with_the_pools_own_images(
    captioned: Path, data: Path, tmp_path: Path
) -> None:
    list(import_folder(captioned, str(tmp_path / "pool")))
    described = json.loads((data / "imagenetv2" / "metadata" / "class_info.json").read_text())
    classes = [Class(row["wnid"], tuple(row["synset"]), row["gloss"]) for row in described]
    pool = open_pool(tmp_path / "pool")
    found = search(pool, classes, SearchConfig(exclude_others=True), engine=ENGINE, workers=1)
    out = tmp_path / "found.csv"
    written = write_found(found, pool, out)
    assert len(written.hits) > 20 and all(hit.path for hit in written.hits)
    table = pd.read_csv(out)
    for path in table["path"]:
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() in {
            hashlib.sha256(photo.read_bytes()).hexdigest() for photo in captioned.glob("*.JPEG")
        }
    again = write_found(found, pool, out)
    assert again.hits == written.hits, "what newtest made it may write again"
    searched = {hit.wnid for hit in written.hits}
    with Study(tmp_path / "study", create=True) as study:
        source = open_source(f"table:{out}", print)
        report = collect(study, source, [cls for cls in classes if cls.wnid in searched])
    assert sum(entry.new for entry in report) == len(written.hits) and not any(e.error for e in report)
    (tmp_path / "foreign.csv").write_text("mine")
    with pytest.raises(UsageError, match="newtest did not make"):
        write_found(found, pool, tmp_path / "foreign.csv")


def test_hostile_rows_stay_rows(tmp_path: Path) -> None:
    """URLs with passwords, captions that a spreadsheet would run, rows without any place."""
    table = {
        "uid": ["a" * 32, "b" * 32, "c" * 32, "c" * 32],
        "url": ["https://ann:hunter2@x.org/1.jpg", None, "https://x.org/3.jpg", "https://x.org/4.jpg"],
        "text": ["=cmd|'dog'!A1", "a dog", "dog\r\ndog, dog", "dog"],
        "license": ["CC BY 4.0", None, "", "by"],
    }
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table(table), tmp_path / "pool" / "0.parquet")
    pool = open_pool(tmp_path / "pool")
    written = write_found(search(pool, [DOG], engine=ENGINE, workers=1), pool, tmp_path / "f.csv")
    assert written.left_out() == {"a uid that is there already": 1, "neither image nor URL": 1}
    text = (tmp_path / "f.csv").read_text()
    assert "hunter2" not in text and "\n=" not in text and ",=" not in text
    images = {
        image.title: image
        for page in open_source(f"table:{tmp_path / 'f.csv'}", print).search(_query(DOG))
        for image in page.images
    }
    assert set(images) == {"=cmd|'dog'!A1", "dog dog, dog"}
    assert images["=cmd|'dog'!A1"].license == "by-4.0"


def _query(cls: Class) -> object:
    from newtest.records import Query

    return Query(cls.wnid, cls.wnid)


def test_killed_and_run_again_it_writes_the_same(datacomp: Path, tmp_path: Path) -> None:
    arguments = ["search-pool", str(datacomp), "--wnid", "n02084071", "--wnid", "n02958343"]
    arguments += ["--per-class", "7", "--json", "--workers", "1"]

    def run(name: str) -> list[str]:
        return [*arguments, "--layers", f"{name}-layers", "--out", f"{name}.parquet"]

    calm = newtest(*run("calm"), cwd=tmp_path)
    assert calm.returncode == 0, calm.stderr
    for after in (1, 3):
        killed_at_event(*run("killed"), cwd=tmp_path, after=after)
    assert newtest(*run("killed"), cwd=tmp_path).returncode == 0
    left, right = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("calm", "killed"))
    assert left.equals(right) and len(left) == 14
    told = json.loads(calm.stdout)
    assert told["candidates"] == 14 and told["left_out"]["beyond the number per class"] > 0


def test_the_recipe_writes_a_table_of_candidates(
    datacomp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wnids.txt").write_text("n02084071\nn02121620\n")
    recipe = str(ROOT / "pipelines" / "imagenot.py")
    monkeypatch.setattr(sys, "argv", [
        recipe, str(datacomp), "wnids.txt", "--layers", "layers", "--threshold", "0.2", "--per-class", "4",
        "--out", "found.csv",
    ])  # fmt: skip
    monkeypatch.chdir(tmp_path)
    runpy.run_path(recipe, run_name="__main__")  # as a process of its own it would import torch again
    table = pd.read_csv(tmp_path / "found.csv")
    assert set(table["wnid"]) == {"n02084071", "n02121620"} and len(table) == 8
    assert (table["similarity"] >= 0.2).all()
