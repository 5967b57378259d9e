from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.images import serving
from servers.openverse import OpenverseServer

from newtest.errors import SourceError, SourceUnavailable
from newtest.records import Class, Query
from newtest.sources.openverse import Openverse, OpenverseConfig
from newtest.sources.patience import Patience
from newtest.sources.protocol import images_of

FISH = Query("n01443537", "goldfish")
QUICK = Patience(tries=3, first_wait=0.01, longest_wait=5.0)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "state"))


@pytest.fixture
def server() -> Iterator[OpenverseServer]:
    with serving(OpenverseServer({"goldfish": 95}, depth=3)) as running:
        yield running


def openverse(server: OpenverseServer, timeout: float = 2.0) -> Openverse:
    return Openverse(OpenverseConfig(server.url, limits=(), timeout=timeout, patience=QUICK), print)


def test_paging_ends_at_the_depth_that_is_allowed(server: OpenverseServer) -> None:
    assert len(list(images_of(openverse(server), FISH))) == 60
    assert server.asked == [("goldfish", 1), ("goldfish", 2), ("goldfish", 3)]
    assert next(openverse(server).search(FISH, "4")).images == ()


def test_licence_creator_and_page_are_kept(server: OpenverseServer) -> None:
    image = next(images_of(openverse(server), FISH))
    assert (image.license, image.owner) == ("by-2.0", "Ann")
    assert image.page_url == "https://www.flickr.com/photos/ann/0"
    assert image.extra["license_url"] == "https://creativecommons.org/licenses/by/2.0/"


def test_licences_are_filtered_and_those_without_a_code_are_said(server: OpenverseServer) -> None:
    query = Query("n01443537", "goldfish", licenses=("by", "us-government"))
    plan = openverse(server).plan(Class("n01443537", ("goldfish",)), [query])
    assert plan.notes == ("Openverse has no images licensed us-government",)
    assert {image.license for image in images_of(openverse(server), plan.queries[0])} == {"by-2.0"}


def test_dates_are_said_not_to_be_filtered(server: OpenverseServer) -> None:
    plan = openverse(server).plan(Class("c", ("x",)), [Query("c", "x", taken_after="2012-07-11")])
    assert len(plan.notes) == 1
    assert "day a photo was taken" in plan.notes[0]


@pytest.mark.parametrize("faults", [["429"], ["503", "503"], ["hang"]])
def test_it_is_patient_with_a_busy_openverse(server: OpenverseServer, faults: list[str]) -> None:
    server.faults.extend(faults)
    assert len(list(images_of(openverse(server, timeout=0.5), FISH))) == 60


@pytest.mark.parametrize(
    ("faults", "error", "message"),
    [
        (["503"] * 3, SourceUnavailable, "HTTP status 503"),
        (["rest"], SourceUnavailable, "9999 seconds"),
        (["html"], SourceError, "not JSON"),
        (["list"], SourceError, "not a list of results"),
        (["404"], SourceError, "not JSON"),
    ],
)
def test_what_cannot_be_mended_is_said(
    server: OpenverseServer, faults: list[str], error: type[SourceError], message: str
) -> None:
    server.faults.extend(faults)
    with pytest.raises(error, match=message):
        next(openverse(server).search(FISH))


def test_nobody_home_is_said() -> None:
    config = OpenverseConfig("http://127.0.0.1:1/v1/", limits=(), patience=QUICK)
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1/v1/ cannot be reached"):
        next(Openverse(config, print).search(FISH))


def test_strange_entries_are_counted_not_believed(server: OpenverseServer) -> None:
    server.faults.append("strange")
    page = next(openverse(server).search(FISH))
    assert page.rejected == 2
    assert [(image.source_id, image.url) for image in page.images] == [("u-1", None)]


def test_the_throttle_of_the_server_costs_no_results() -> None:
    with serving(OpenverseServer({"goldfish": 95}, burst=2)) as server:
        assert len(list(images_of(openverse(server), FISH))) == 95


def registered(server: OpenverseServer, secret: str = "secret") -> Openverse:
    config = OpenverseConfig(server.url, "id", secret, limits=(), timeout=2.0, patience=QUICK)
    return Openverse(config, print)


def test_with_credentials_pages_are_larger_and_one_token_serves_many_calls(server: OpenverseServer) -> None:
    source = registered(server)
    assert len(list(images_of(source, FISH))) == 95
    assert (server.asked, server.tokens) == ([("goldfish", 1), ("goldfish", 2)], 1)
    assert source.limits.page_size == 50
    assert Openverse(OpenverseConfig(server.url, "id", "s"), print).limits.rates == (
        (10_000, 86400.0),
        (100, 60.0),
    )


def test_a_token_is_renewed_before_its_end_and_when_it_is_refused(
    server: OpenverseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = registered(server)
    next(source.search(FISH))
    server.valid.clear()
    assert next(source.search(FISH)).images, "the server forgot the token"
    assert server.tokens == 2
    clock = time.monotonic()
    monkeypatch.setattr("newtest.sources.openverse.time.monotonic", lambda: clock + 36000 - 59)
    assert next(source.search(FISH)).images and server.tokens == 3


def test_wrong_credentials_are_named_and_not_shown(server: OpenverseServer) -> None:
    with pytest.raises(
        SourceUnavailable, match=r"refused the client credentials.*OPENVERSE_CLIENT_ID"
    ) as caught:
        next(registered(server, "hunter2").search(FISH))
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(OpenverseConfig("u", "id", "hunter2"))


def test_a_collection_goes_on_with_pages_of_another_size(server: OpenverseServer) -> None:
    """Two pages of 20 were had; pages of 50 begin with the one that holds the 41st."""
    first = next(registered(server).search(FISH, "3/20"))
    assert first.images[0].source_id == "goldfish-0000" and first.cursor == "2/50"
    assert next(registered(server).search(FISH, "2")).cursor == "2/50", "cursors had no size once"


def test_a_text_that_openverse_would_cut_is_an_error(server: OpenverseServer) -> None:
    long = Query("n01443537", "goldfish", exclude=("toy",) * 60)
    with pytest.raises(SourceError, match=r"308 characters.*first 200 alone"):
        next(openverse(server).search(long))
    assert server.requests == 0
    fits = Query("n01443537", "g" * 200)
    assert next(openverse(server).search(fits)).images == ()
