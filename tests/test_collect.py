from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import commands
import pytest
from servers.flickr import FlickrServer, Photo, made_photos
from servers.images import serving
from servers.openverse import OpenverseServer

from newtest.catalog.images import candidate_ids, image_of
from newtest.classes import QueryConfig
from newtest.collecting import CollectConfig, Found, collect
from newtest.records import Class, image_id_of
from newtest.sources.flickr import Flickr, FlickrConfig
from newtest.sources.patience import Patience
from newtest.sources.table import Table
from newtest.study import Study
from newtest.withdrawal import takedown

FISH = Class("n01443537", ("goldfish", "Carassius auratus"), "small golden fishes", ("cyprinid",))
TENCH = Class("n01440764", ("tench",), "game fish")
OLD = "imagenetv2/search_results/2018-07-31_flickr_search_result_vaishaal_class_1_153.json"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("FLICKR_API_KEY", "FLICKR_API_SECRET", "NEWTEST_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FlickrServer]:
    photos = {
        "goldfish": made_photos(range(1, 301)),
        "Carassius auratus": made_photos(range(291, 311)),
        "tench": made_photos(range(1000, 1100)),
    }
    with serving(FlickrServer(photos, cap=120)) as running:
        yield running


def source_of(server: FlickrServer) -> Flickr:
    patience = Patience(tries=2, first_wait=0.01, longest_wait=1.0)
    config = FlickrConfig(server.key, "s", server.url, page_size=20, cap=server.cap, patience=patience)
    return Flickr(config, print)


def run(study: Study, server: FlickrServer, max_images: int, *classes: Class) -> list[Found]:
    return collect(study, source_of(server), classes or (FISH,), CollectConfig(max_images))


def numbers(report: list[Found]) -> list[tuple[str, int, int, int]]:
    return [(entry.query, entry.new, entry.known, entry.failed) for entry in report]


def test_a_lemmas_shortfall_goes_to_the_others(tmp_path: Path, server: FlickrServer) -> None:
    with Study(tmp_path, create=True) as study:
        report = run(study, server, 100)
        assert numbers(report) == [("goldfish", 80, 0, 0), ("Carassius auratus", 20, 0, 0)]
        assert len(candidate_ids(study.catalog, "n01443537")) == 100
        image = image_of(study.catalog, image_id_of("flickr", "1"))
        assert image is not None
        assert image.sizes["o"] == (image.url, 640, 480)


def test_the_second_run_knows_all_and_asks_nothing(tmp_path: Path, server: FlickrServer) -> None:
    with Study(tmp_path, create=True) as study:
        run(study, server, 100)
        asked = list(server.asked)
        report = run(study, server, 100)
        assert server.asked == asked
        assert numbers(report) == [("goldfish", 0, 80, 0), ("Carassius auratus", 0, 20, 0)]


def test_a_larger_quota_takes_what_was_left_over_and_asks_only_on(
    tmp_path: Path, server: FlickrServer
) -> None:
    with Study(tmp_path / "a", create=True) as grown, Study(tmp_path / "b", create=True) as whole:
        run(grown, server, 30)
        run(grown, server, 200)
        assert max(Counter(server.asked).values()) == 1
        run(whole, server, 200)
        assert candidate_ids(grown.catalog, "n01443537") == candidate_ids(whole.catalog, "n01443537")


def test_one_photo_may_serve_two_classes(tmp_path: Path, server: FlickrServer) -> None:
    twin = Class("n09999999", ("goldfish",))
    with Study(tmp_path, create=True) as study:
        report = run(study, server, 40, FISH, twin)
        assert [entry.new for entry in report] == [20, 20, 40]
        assert study.catalog.execute("SELECT count(*) FROM candidates").fetchone()[0] == 80
        assert study.catalog.execute("SELECT count(*) FROM images").fetchone()[0] == 60


def test_results_without_a_url_use_no_quota_and_are_counted(tmp_path: Path) -> None:
    photos = [
        Photo(n, 1342000000 + n, "2012-07-11 10:00:00", urls=() if n % 3 == 0 else ("z",)) for n in range(30)
    ]
    with serving(FlickrServer({"tench": photos})) as server, Study(tmp_path, create=True) as study:
        report = run(study, server, 50, TENCH)
        assert [(entry.found, entry.new, entry.failed) for entry in report] == [(30, 20, 10)]


def test_a_refused_search_is_named_and_the_next_class_goes_on(tmp_path: Path, server: FlickrServer) -> None:
    with Study(tmp_path, create=True) as study:
        server.faults.append("unknown")
        first = run(study, server, 40, FISH, TENCH)
        assert "error 3" in (first[0].error or "")
        assert [(entry.query, entry.new) for entry in first] == [
            ("goldfish", 0),
            ("Carassius auratus", 0),
            ("tench", 40),
        ]
        states = [row[0] for row in study.catalog.execute("SELECT state FROM searches ORDER BY state")]
        assert states == ["enough", "failed", "open"]
        assert [entry.new for entry in run(study, server, 40, FISH, TENCH)] == [20, 20, 0]


def test_a_source_that_is_gone_is_not_asked_for_every_class(tmp_path: Path, server: FlickrServer) -> None:
    with Study(tmp_path, create=True) as study:
        server.faults.extend(["key"] * 10)
        report = run(study, server, 40, FISH, TENCH)
        assert server.requests == 1
        assert {entry.wnid for entry in report} == {"n01443537"}


def test_two_tables_cannot_make_two_images_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"image_id,wnid,url\n1,{FISH.wnid},https://x.org/{name}.jpg\n")
    with Study(tmp_path / "s", create=True) as study:
        (first,) = collect(study, Table(tmp_path / "a.csv"), (FISH,))
        (second,) = collect(study, Table(tmp_path / "b.csv"), (FISH,))
        assert (first.new, first.error) == (1, None)
        assert "the image_id '1' names another image" in (second.error or "")
        image = image_of(study.catalog, "1")
        assert image is not None
        assert image.url == "https://x.org/a.jpg"


def test_a_table_that_still_names_what_was_taken_down_is_read_on(tmp_path: Path) -> None:
    lines = ["image_id,wnid,url", *(f"{n},{FISH.wnid},https://x.org/{n}.jpg" for n in (1, 2, 3))]
    with Study(tmp_path / "s", create=True) as study:
        (tmp_path / "t.csv").write_text("\n".join(lines[:3]))
        collect(study, Table(tmp_path / "t.csv"), (FISH,))
        takedown(study, "1", reason="asked", by="me")
        (tmp_path / "t.csv").write_text("\n".join(lines))
        (grown,) = collect(study, Table(tmp_path / "t.csv"), (FISH,))
        assert (grown.new, grown.error) == (1, None)
        image = image_of(study.catalog, "1")
        assert image is not None
        assert image.url is None


def test_options_reach_the_queries(tmp_path: Path, server: FlickrServer) -> None:
    with Study(tmp_path, create=True) as study:
        options = QueryConfig(terms=("koi",), exclude=("cracker",))
        collect(study, source_of(server), (FISH,), CollectConfig(30, options))
    assert {asked[0] for asked in server.asked} == {
        "koi -cracker",
        "goldfish -cracker",
        "Carassius auratus -cracker",
    }


# The command -------------------------------------------------------------------------------------------------------


def newtest(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return commands.newtest(*map(str, arguments), env=os.environ | environment)


def test_the_goldfish_of_2018_are_133_candidates(tmp_path: Path, data: Path) -> None:
    arguments = (
        "collect",
        "--study",
        tmp_path,
        "--wnid",
        "n01443537",
        "--source",
        f"recorded:{data / OLD}",
        "--no-fetch",
    )
    done = newtest(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert [(entry["query"], entry["new"]) for entry in json.loads(done.stdout)] == [
        ("goldfish", 86),
        ("Carassius auratus", 47),
    ]
    again = newtest(*arguments)
    assert again.stdout.splitlines()[-1].split() == ["total", "133", "0", "133", "0"]
    with Study(tmp_path) as study:
        assert len(candidate_ids(study.catalog, "n01443537")) == 133


def test_without_a_key_openverse_is_searched_and_images_are_fetched(tmp_path: Path) -> None:
    from servers.images import ImageServer

    with serving(ImageServer()) as images, serving(OpenverseServer({"tench": 30})) as server:
        server.base, address = images.base, server.base  # the photos' addresses are the image server's
        place = {"NEWTEST_OPENVERSE_URL": f"{address}/v1/"}
        done = newtest(
            *(
                "collect",
                "--study",
                tmp_path,
                "--wnid",
                "n01440764",
                "--max-images",
                5,
                "--allow-private",
                "--json",
            ),
            **place,
        )
    assert "no Flickr key" in done.stderr
    assert "searching Openverse instead" in done.stderr
    assert done.returncode == 0, done.stderr
    entries = {entry["query"]: entry for entry in json.loads(done.stdout)}
    assert (entries["tench"]["new"], entries["tench"]["failed"]) == (5, 0)
    with Study(tmp_path) as study:
        assert study.catalog.execute("SELECT count(*) FROM files WHERE state = 'ok'").fetchone()[0] == 5


def test_images_that_did_not_come_are_counted_as_failed(tmp_path: Path) -> None:
    with serving(OpenverseServer({"tench": 30})) as server:  # which has no photos: each of them is a 404
        done = newtest(
            *(
                "collect",
                "--study",
                tmp_path,
                "--wnid",
                "n01440764",
                "--max-images",
                5,
                "--allow-private",
                "--json",
            ),
            *("--taken-after", "2012-07-11"),
            NEWTEST_OPENVERSE_URL=f"{server.base}/v1/",
        )
    assert done.returncode == 1
    assert sum(entry["failed"] for entry in json.loads(done.stdout)) == 5
    assert done.stderr.count("Openverse does not know the day a photo was taken") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--wnid", "goldfish"], 2, "'goldfish' is not a wnid"),
        (["--wnid", "n99999999"], 1, "n99999999 is not a noun of WordNet 3.0"),
        ([], 2, "name a class with --wnid"),
        (["--wnid", "n01443537", "--source", "flickr"], 1, "no Flickr key"),
        (["--wnid", "n01443537", "--source", "bing"], 2, "'bing' is not one of flickr"),
        (["--wnid", "n01443537", "--taken-after", "2012-7-11"], 2, "is not a day"),
        (
            ["--wnid", "n01443537", "--taken-after", "2013-01-01", "--taken-before", "2012-01-01"],
            2,
            "is later than",
        ),
        (["--wnid", "n01443537", "--license", "gpl"], 2, "--license 'gpl' is not known"),
        (["--wnid", "n01443537", "--join", "maybe"], 2, "--join 'maybe' is not one of"),
        (["--wnid", "n01443537", "--language", "jpn"], 2, "belong together"),
        (["--wnids-file", "/nonexistent"], 1, "/nonexistent: cannot be read"),
        (["--wnid", "n01443537", "--source", "recorded:/nonexistent"], 1, "/nonexistent: cannot be read"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_no_study(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = newtest("collect", "--study", tmp_path / "s", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_a_dead_network_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    done = newtest(
        *("collect", "--study", tmp_path, "--wnid", "n01440764", "--no-fetch"),
        NEWTEST_OPENVERSE_URL="http://127.0.0.1:1/v1/",
    )
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "run the same command again later" in done.stderr
    assert "Traceback" not in done.stderr


# kill -9 -----------------------------------------------------------------------------------------------------------


def dump(study: Path) -> dict[str, list[tuple[object, ...]]]:
    tables = ("classes", "images", "searches", "search_results", "candidates")
    with sqlite3.connect(study / "study.sqlite") as catalog:
        return {table: sorted(catalog.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


def test_killed_anywhere_it_ends_in_the_same_catalog(tmp_path: Path) -> None:
    photos = {
        "goldfish": made_photos(range(1, 2001)),
        "Carassius auratus": made_photos(range(1950, 2000)),
        "tench": made_photos(range(5000, 7000), every=60),
        "Tinca tinca": made_photos(range(6990, 7400)),
    }
    arguments = (
        *("collect", "--wnid", "n01443537", "--wnid", "n01440764", "--max-images", "600", "--no-fetch"),
        *("--uploaded-before", "2013-12-31", "--source", "flickr", "--study"),
    )
    # A small page makes many pages: the command itself would ask for up to 500 at once.
    program = (
        "import newtest.sources.opening as o; from newtest.sources.flickr import FlickrConfig\n"
        "o.FlickrConfig = lambda key, secret, url, page_size: FlickrConfig(key, secret, url, page_size=15, cap=300)\n"
        "from newtest.cli import main; main()"
    )
    choose = random.Random(7)
    with serving(FlickrServer(photos, cap=300, hourly=10**6, latency=0.004)) as server:
        environment = os.environ | {
            "FLICKR_API_KEY": server.key, "FLICKR_API_SECRET": "s", "NEWTEST_FLICKR_URL": server.url,
        }  # fmt: skip

        def start(study: Path) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", program, *arguments, str(study)]
            return subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )

        began = time.monotonic()
        undisturbed = start(tmp_path / "whole")
        _, errors = undisturbed.communicate(timeout=200)
        assert undisturbed.returncode == 0, errors.decode()
        took = time.monotonic() - began
        wanted = Counter(server.asked)
        assert max(wanted.values()) == 1
        server.asked.clear()

        kills = 0
        while True:
            process = start(tmp_path / "killed")
            goal = server.requests + choose.randint(0, 6)
            deadline = time.monotonic() + 20 * took + 20
            while server.requests < goal and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(choose.uniform(0.0, 0.02))
            finished = process.poll() is not None
            if not finished and kills < 16:
                process.kill()
                kills += 1
            _, errors = process.communicate(timeout=200)
            if process.returncode == 0:
                break
            assert process.returncode == -9, errors.decode()
        asked = Counter(server.asked)
    assert kills >= 15
    assert dump(tmp_path / "killed") == dump(tmp_path / "whole")
    assert set(asked) == set(wanted)
    assert sum(asked.values()) - len(asked) <= kills, "only a page in flight at a kill is asked again"
