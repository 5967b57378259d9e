"""Substring matching and capping, against the rule written out plainly; and the join of labels with captions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from watchers import Watcher

from newtest.engines import LocalEngine
from newtest.errors import PoolError, UsageError
from newtest.pool.balance import ANY, Balancing, balance, cap_of, queries_from_captions, tail_share
from newtest.pool.captions import join_captions
from newtest.pool.queries import automaton_of, matches, normal, queries_by_language, read_queries
from newtest.pool.storage.layer_states import states
from newtest.pool.storage.pool import Pool, open_pool

ENGINE = LocalEngine()


@pytest.fixture(scope="module")
def pool(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("captions")
    shutil.copy(data / "pool" / "urls_captions_10000.parquet", folder)
    return open_pool(folder)


def texts(pool: Pool) -> list[str]:
    return [
        text or ""
        for text in pq.read_table(Path(pool.address) / pool.shards[0].table.name)["TEXT"].to_pylist()
    ]


def test_queries_match_as_whole_words(pool: Pool) -> None:
    queries = ["new york", "york", "red", "car", "café"]
    automaton = automaton_of(queries)
    assert matches(automaton, "New York, York!") == {0, 1}
    assert matches(automaton, "a scarred CAFÉ") == {4}
    assert matches(automaton, "car car") == {3}
    captions = texts(pool)[:2000]
    for number, query in enumerate(queries):
        plain = [f" {query} " in f" {normal(text)} " for text in captions]
        assert [number in matches(automaton, text) for text in captions] == plain


def test_rare_queries_stay_whole_and_common_ones_are_capped(pool: Pool, tmp_path: Path) -> None:
    queries = ["the", "of", "vector", "wedding", "zebra", "no such words"]
    config = Balancing({ANY: queries}, 100)
    found = balance(pool, config, ENGINE, 1)
    captions = [f" {normal(text)} " for text in texts(pool)]
    counts = {query: sum(f" {query} " in text for text in captions) for query in queries}
    table = {row["query"]: row for row in found.queries.to_pylist()}
    assert {query: table[query]["count"] for query in queries} == counts
    rare = [query for query in queries if counts[query] <= 100]
    whole = sum(any(f" {query} " in text for query in rare) for text in captions)
    # Expected size: every row's probability to be drawn by one of its queries.
    expected = 0.0
    for text in captions:
        stays = 1.0
        for query in queries:
            if f" {query} " in text:
                stays *= 1 - min(1, 100 / counts[query])
        expected += 1 - stays
    assert whole <= len(found.subset)
    assert abs(len(found.subset) - expected) < 5 * expected**0.5
    assert balance(pool, config, ENGINE, 2).subset.uids.tobytes() == found.subset.uids.tobytes()
    assert (
        balance(pool, replace(config, seed=1), ENGINE, 1).subset.uids.tobytes() != found.subset.uids.tobytes()
    )
    manifest = found.subset.manifest
    assert manifest["queries_without_a_match"] == 1
    assert manifest["head"]["queries"] == sum(count > 100 for count in counts.values())


def test_queries_are_nouns_that_captions_contain(pool: Pool, tmp_path: Path) -> None:
    nouns = tmp_path / "index.noun"
    nouns.write_text(
        "  1 licence\nwedding n 1 0 1 0 00000001\nliving_room n 1 0 1 0 00000002\nzyzzyva n 1 0 1 0 00000003\n"
    )
    found = queries_from_captions(pool, nouns, 5, ENGINE, 1)
    assert found == ["living room", "wedding"]


def test_mistakes_are_said(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("\n\n")
    with pytest.raises(PoolError, match="no queries"):
        read_queries(tmp_path / "q.txt")
    with pytest.raises(UsageError, match="cap"):
        Balancing({ANY: ["a"]}, 0)


def test_labels_meet_their_photos_text(tmp_path: Path) -> None:
    labels = pd.DataFrame(
        {
            "file": ["b.jpg", "a.jpg", "c.jpg", "d.jpg"],
            "wnid": ["n2", "n1", "n3", "n4"],
            "photo_id": [2, 1, 3, 9],
        }
    )
    photos = pd.DataFrame(
        {
            "photo_id": ["1", "2", "3"], "title": ["A <b>tench</b> &amp; me", "", None],
            "description": ["line\none", "a goldfish", " "], "tags": [["fish", "lake"], [], []],
        }
    )  # fmt: skip
    found = join_captions(labels, photos, tmp_path / "pool")
    assert (found.rows, found.matched, found.captioned, found.match_rate) == (4, 3, 2, 0.5)
    rows = pq.read_table(tmp_path / "pool" / "00000000.parquet").to_pylist()
    assert [(row["file"], row["text"]) for row in rows] == [
        ("a.jpg", "A tench & me line one fish lake"), ("b.jpg", "a goldfish"),
    ]  # fmt: skip
    assert open_pool(tmp_path / "pool").rows(open_pool(tmp_path / "pool").shards[0]) == 2
    with pytest.raises(PoolError, match="twice with different text"):
        join_captions(labels, pd.concat([photos, photos.assign(title="x")]), tmp_path / "pool")
    with pytest.raises(PoolError, match="no column 'photo_id'"):
        join_captions(labels.drop(columns="photo_id"), photos, tmp_path / "pool")


def test_a_missing_photo_id_meets_nothing(tmp_path: Path) -> None:
    """And an id that a hole in its column made a float meets the same id."""
    labels = pd.DataFrame(
        {"file": ["a.jpg", "b.jpg", "c.jpg"], "wnid": "n1", "photo_id": [17.0, np.nan, np.nan]}
    )
    photos = pd.DataFrame({"photo_id": ["17", "", None], "title": ["a fish", "of nobody", "of nobody else"]})
    found = join_captions(labels, photos, tmp_path / "pool")
    assert (found.matched, found.captioned) == (1, 1)
    [row] = pq.read_table(tmp_path / "pool" / "00000000.parquet").to_pylist()
    assert (row["file"], row["text"], row["photo_id"]) == ("a.jpg", "a fish", "17")


def test_both_commands_run(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("wedding\nthe\n")
    (tmp_path / "labels.csv").write_text("file,wnid,photo_id\na.jpg,n1,007\n")
    (tmp_path / "photos.jsonl").write_text(json.dumps({"photo_id": "007", "title": "Bond"}) + "\n")
    for arguments in (
        ["balance-pool", pool.address, "--queries", "q.txt", "--cap", "50"],
        ["caption-pool", "labels.csv", "photos.jsonl", "--out", "new"],
    ):
        done = commands.newtest(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "balanced.npy").is_file()
    assert "1 of 1 rows have a caption (100.0%)" in done.stdout
    assert pq.read_table(tmp_path / "balanced.queries.parquet").schema.names == [
        "query",
        "count",
        "probability",
    ]
    assert isinstance(pq.read_table(tmp_path / "new" / "00000000.parquet"), pa.Table)


def test_titles_that_are_numbers_and_tags_as_flickr_gives_them_are_kept(tmp_path: Path) -> None:
    labels = pd.DataFrame({"file": ["a.jpg", "b.jpg"], "wnid": "n1", "photo_id": ["1", "2"]})
    tags = {"tag": [{"raw": "red fish", "_content": "redfish"}, {"_content": "sea"}]}
    photos = pd.DataFrame(
        {
            "photo_id": [1, 2, 2, 3],
            "title": [2019, "b", "b", "unused"],
            "tags": [tags, ["x", 7], ["x", 7], None],
        }
    )
    found = join_captions(labels, photos, tmp_path / "out")
    texts = pq.read_table(tmp_path / "out" / "00000000.parquet")["text"].to_pylist()
    assert texts == ["2019 red fish sea", "b x 7"]
    assert (found.photos, found.photos_unused, found.photos_repeated) == (4, 1, 1)


def test_a_text_that_is_cut_is_counted(tmp_path: Path) -> None:
    labels = pd.DataFrame({"file": ["a.jpg"], "wnid": ["n1"], "photo_id": ["1"]})
    photos = pd.DataFrame({"photo_id": ["1"], "title": ["a fish"], "description": ["x" * 20_001]})
    assert join_captions(labels, photos, tmp_path / "out").texts_cut == 1


def test_a_soft_cap_lets_common_queries_bring_more(pool: Pool) -> None:
    queries = ["the", "vector"]
    hard, soft = (balance(pool, Balancing({ANY: queries}, 100, power), ENGINE, 1) for power in (1.0, 0.5))
    for row in soft.queries.to_pylist():
        assert row["probability"] == pytest.approx(min(1, (100 / row["count"]) ** 0.5))
    expected = {row["query"]: row["count"] * row["probability"] for row in soft.queries.to_pylist()}
    assert expected["the"] == pytest.approx((100 * soft.queries["count"][0].as_py()) ** 0.5)
    assert set(hard.subset.uids.tolist()) <= set(soft.subset.uids.tolist())  # the same draws, against more
    assert len(soft.subset) > 2 * len(hard.subset)
    with pytest.raises(UsageError, match="`power` is above 0 and at most 1, not 0"):
        Balancing({ANY: ["a"]}, power=0.0)


def test_caps_of_languages_follow_the_share_of_the_english_tail(tmp_path: Path) -> None:
    """MetaCLIP 2's algorithm 1, written out plainly."""
    counts = np.array([5, 0, 1, 100, 40, 7, 3], np.int64)
    share = tail_share(counts, 8)
    assert share == (5 + 0 + 1 + 7 + 3) / 156
    other = np.array([0, 0, 1, 1, 2, 10, 20, 300], np.int64)
    portions = [sum(sorted(other.tolist())[: place + 1]) / 334 for place in range(8)]
    nearest = min(range(8), key=lambda place: abs(portions[place] - share))
    assert cap_of(other, share) == sorted(other.tolist())[nearest] == 20
    assert cap_of(np.array([0, 0, 4], np.int64), 0.0) == 4  # never 0, which would drop everything
    with pytest.raises(UsageError, match="no English caption contains an English query"):
        tail_share(np.zeros(2, np.int64), 8)


def test_each_caption_is_balanced_with_the_queries_of_its_language(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = {"en": ["dog", "cat", "rare"], "de": ["hund", "katze", "selten"], "fr": ["chien"]}
    rows = [
        ("en", 0, 300),
        ("en", 1, 60),
        ("en", 2, 20),
        ("de", 0, 90),
        ("de", 1, 40),
        ("de", 2, 9),
        ("fr", 0, 11),
    ]
    captions = [
        (language, f"x {words[language][query]} y") for language, query, size in rows for _ in range(size)
    ]
    order = rng.permutation(len(captions))
    table = {
        "uid": [f"{row:032x}" for row in range(len(captions))],
        "text": [captions[at][1] for at in order],
        "lang": [captions[at][0] for at in order],
    }
    for name, value in {"uid": f"{len(captions):032x}", "text": None, "lang": None}.items():
        table[name].append(value)  # a row without a caption is in no language
    folder = tmp_path / "pool"
    folder.mkdir()
    pq.write_table(pa.table(table).slice(0, 200), folder / "0.parquet")
    last = pa.table(table).slice(200)
    last = last.set_column(2, "lang", last["lang"].dictionary_encode())
    pq.write_table(last, folder / "1.parquet")
    queries = {"en": words["en"], "de": words["de"]}
    config = Balancing(queries, cap=50, language_col="lang")
    pool = open_pool(folder)
    found = balance(pool, config, ENGINE, 1)
    told = found.subset.manifest["balance"]["languages"]
    share = 20 / 380
    assert told["en"] == {"queries": 3, "cap": 50, "rows": 380}
    assert told["de"] == {"queries": 3, "cap": cap_of(np.array([90, 40, 9]), share), "rows": 139}
    assert told["de"]["cap"] == 9
    counts = found.subset.manifest
    assert (counts["rows_in_other_languages"], counts["rows_that_match_no_query"]) == (11, 1)
    probability = {(row["language"], row["query"]): row["probability"] for row in found.queries.to_pylist()}
    assert probability["de", "hund"] == pytest.approx(0.1)
    assert probability["de", "selten"] == probability["en", "rare"] == 1
    assert probability["en", "dog"] == pytest.approx(50 / 300)
    assert balance(pool, config, ENGINE, 2).subset.uids.tobytes() == found.subset.uids.tobytes()
    with pytest.raises(UsageError, match="English sets the caps of the other languages"):
        Balancing({"de": ["hund"]})


def test_languages_are_found_by_fasttext_and_kept(tmp_path: Path) -> None:
    english = [
        "a photograph of a brown dog on the green grass in the park",
        "the cat is sleeping on a warm sofa",
    ]
    german = ["ein brauner Hund liegt auf der grünen Wiese im Park", "die Katze schläft auf dem warmen Sofa"]
    table = {"uid": [f"{row:032x}" for row in range(4)], "text": [*english, *german]}
    folder = tmp_path / "pool"
    folder.mkdir()
    pq.write_table(pa.table(table), folder / "0.parquet")
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "en.txt").write_text("dog\ncat\nhund\n")
    (tmp_path / "queries" / "de.txt").write_text("hund\n")
    queries = queries_by_language(tmp_path / "queries")
    found = balance(open_pool(folder), Balancing(queries, cap=10), ENGINE, 1)
    assert found.subset.uids["f1"].tolist() == [0, 1, 2]
    assert {(row["language"], row["query"]): row["count"] for row in found.queries.to_pylist()} == {
        ("en", "dog"): 1, ("en", "cat"): 1, ("en", "hund"): 0, ("de", "hund"): 1,
    }  # fmt: skip
    assert [state.kind for state in states(open_pool(folder))] == ["languages"]
    (tmp_path / "file").write_text("in the way")
    watcher = Watcher()
    elsewhere = open_pool(folder, layers=tmp_path / "file" / "layers")
    again = balance(elsewhere, Balancing(queries, cap=10), ENGINE, 1, watcher)
    assert again.subset.uids.tobytes() == found.subset.uids.tobytes()
    assert "languages could not be kept" in watcher.said[0]
    with pytest.raises(PoolError, match=r"call them en\.txt, de\.txt"):
        queries_by_language(folder)
