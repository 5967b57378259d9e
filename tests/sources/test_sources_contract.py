"""One suite for every source: whoever adds one adds a case to ``CASES``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers.flickr import FlickrServer, made_photos
from servers.images import made_photo, serving
from servers.openverse import OpenverseServer

from newtest.records import Class, Image, Query
from newtest.sources import Page, Source, images_of
from newtest.sources.flickr import Flickr, FlickrConfig
from newtest.sources.folder import Folder
from newtest.sources.openverse import Openverse, OpenverseConfig
from newtest.sources.recorded import Recorded
from newtest.sources.table import Table

GOLDFISH = Class("n01443537", ("goldfish", "Carassius auratus"), "small golden fishes", ("cyprinid",))
QUERIES = (Query("n01443537", "goldfish"), Query("n01443537", "Carassius auratus"))
NUM_IMAGES = 53


def flickr(tmp_path: Path, stack: ExitStack) -> Source:
    server = stack.enter_context(serving(FlickrServer({"goldfish": made_photos(range(1, NUM_IMAGES + 1))})))
    return Flickr(FlickrConfig(server.key, server.secret, server.url, page_size=10), print)


def openverse(tmp_path: Path, stack: ExitStack) -> Source:
    server = stack.enter_context(serving(OpenverseServer({"goldfish": NUM_IMAGES})))
    return Openverse(OpenverseConfig(server.url, limits=()), print)


def recorded(tmp_path: Path, stack: ExitStack) -> Source:
    entries = [
        {
            "id_search_engine": str(n),
            "wnid": "n01443537",
            "search_key": "goldfish",
            "url": f"https://x.org/{n}.jpg",
        }
        for n in range(NUM_IMAGES)
    ]
    (tmp_path / "found.json").write_text(json.dumps(entries))
    return Recorded(tmp_path / "found.json")


def folder(tmp_path: Path, stack: ExitStack) -> Source:
    (tmp_path / "n01443537").mkdir()
    for n in range(NUM_IMAGES):
        (tmp_path / f"n01443537/{n:03d}.jpg").write_bytes(made_photo(n, (16, 16)))
    return Folder(tmp_path)


def table(tmp_path: Path, stack: ExitStack) -> Source:
    with open(tmp_path / "t.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image_id", "wnid", "path"])
        writer.writerows([f"id{n}", "n01443537", f"pictures/{n}.jpg"] for n in range(NUM_IMAGES))
    return Table(tmp_path / "t.csv")


CASES: list[Callable[[Path, ExitStack], Source]] = [flickr, openverse, recorded, folder, table]


@pytest.fixture(params=CASES, ids=[case.__name__ for case in CASES])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Source]:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("newtest.sources.protocol.LOCAL_PAGE", 10)
    monkeypatch.setattr("newtest.sources.folder.LOCAL_PAGE", 10)
    with ExitStack() as stack:
        yield request.param(tmp_path, stack)


@pytest.fixture
def query(source: Source) -> Query:
    plan = source.plan(GOLDFISH, QUERIES)
    assert plan.queries
    return plan.queries[0]


def pages(source: Source, query: Query, after: str | None = None) -> list[Page]:
    return list(source.search(query, after))


def test_every_image_comes_once_and_belongs_to_the_source(source: Source, query: Query) -> None:
    images = list(images_of(source, query))
    assert len(images) == len({image.image_id for image in images}) == NUM_IMAGES
    assert all(image.image_id and image.source_id and image.url for image in images)
    assert len({image.source for image in images}) == 1


def test_a_search_says_the_same_twice(source: Source, query: Query) -> None:
    assert pages(source, query) == pages(source, query)


def test_from_any_cursor_the_rest_follows(source: Source, query: Query) -> None:
    whole = pages(source, query)
    assert len(whole) > 2
    assert [page.cursor is None for page in whole] == [False] * (len(whole) - 1) + [True]
    for position, page in enumerate(whole[:-1]):
        assert pages(source, query, page.cursor) == whole[position + 1 :]


def test_nothing_is_asked_before_the_first_page(source: Source, query: Query) -> None:
    search = source.search(query)
    first = next(search)
    assert first.images == pages(source, query)[0].images


def test_plans_keep_the_class_and_the_window(source: Source) -> None:
    window = Query("n01443537", "goldfish", taken_after="2012-07-11")
    for planned in source.plan(GOLDFISH, [window]).queries:
        assert (planned.wnid, planned.taken_after) == ("n01443537", "2012-07-11")


def test_a_filter_is_applied_or_said_not_to_be(source: Source) -> None:
    window = Query(
        "n01443537",
        "goldfish",
        taken_after="2099-01-01",
        uploaded_after="2099-01-01",
        licenses=("us-government",),
    )
    plan = source.plan(GOLDFISH, [window])
    found: list[Image] = [image for planned in plan.queries for image in images_of(source, planned)]
    assert not found or any("unfiltered" in sentence for sentence in plan.notes)


def test_a_class_without_results_is_empty_not_an_error(source: Source) -> None:
    other = Class("n99999999", ("nothing",))
    plan = source.plan(other, [Query("n99999999", "nothing")])
    assert [image for query in plan.queries for image in images_of(source, query)] == []
