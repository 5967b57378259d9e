from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from servers.flickr import FlickrServer, Photo, made_photos
from servers.images import serving

from newtest.errors import SourceError, SourceUnavailable
from newtest.records import Image, Query, image_id_of
from newtest.sources.flickr import Flickr, FlickrConfig
from newtest.sources.patience import Patience
from newtest.sources.protocol import images_of

FISH = Query("n01443537", "goldfish")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "state"))


@pytest.fixture
def server() -> Iterator[FlickrServer]:
    with serving(FlickrServer({"goldfish": made_photos(range(100, 230))}, cap=40)) as running:
        yield running


def flickr(server: FlickrServer, **changes: object) -> Flickr:
    values: dict[str, object] = {
        "key": server.key,
        "secret": "s",
        "url": server.url,
        "page_size": 10,
        "cap": server.cap,
        "timeout": 2.0,
        "patience": Patience(tries=3, first_wait=0.01, longest_wait=5.0),
    }
    return Flickr(FlickrConfig(**(values | changes)), print)  # type: ignore[arg-type]


def test_windows_over_the_cap_are_sliced_by_date_until_all_is_found(server: FlickrServer) -> None:
    assert len(list(images_of(flickr(server), FISH))) == 130
    assert len(server.asked) == len(set(server.asked))
    windows = {asked[1:3] for asked in server.asked}
    assert len(windows) > 4, "130 results with a cap of 40 need several windows"


def test_the_upload_window_has_flickrs_own_parameter_names(server: FlickrServer) -> None:
    query = Query("n01443537", "goldfish", uploaded_after="2012-07-12", uploaded_before="2012-07-13")
    images = list(images_of(flickr(server), query))
    assert {(image.uploaded_on or "")[:10] for image in images} == {"2012-07-12", "2012-07-13"}
    assert len(images) == 48


def test_the_taken_window_slices_by_the_day_taken(server: FlickrServer) -> None:
    query = Query("n01443537", "goldfish", taken_after="2012-07-08", taken_before="2012-07-10")
    images = list(images_of(flickr(server), query))
    assert {(image.taken_on or "")[:10] for image in images} == {"2012-07-08", "2012-07-09", "2012-07-10"}
    assert len(images) == 72
    assert all(asked[1] is None and asked[3] for asked in server.asked)


def test_licences_and_excluded_words_are_asked_for(server: FlickrServer) -> None:
    by = list(images_of(flickr(server), Query("c", "goldfish", licenses=("by", "by-sa"))))
    assert {image.license for image in by} == {"by-2.0", "by-sa-2.0"}
    assert [*images_of(flickr(server), Query("c", "goldfish", exclude=("a",)))] == []
    assert server.asked[-1][0] == "goldfish -a"


def test_a_photo_is_described_whole() -> None:
    photo = Photo(42857269475, 1533040522, "2010-06-30 09:29:26", "My fish", 5, urls=("z", "k"))
    with serving(FlickrServer({"goldfish": [photo]})) as server:
        (image,) = images_of(flickr(server), FISH)
    assert (
        image.image_id == image_id_of("flickr", "42857269475") == "1582397371dd770737bfa9ea0c2813e229a6420c"
    )
    assert image.page_url == "https://www.flickr.com/photos/12345@N01/42857269475"
    assert (image.title, image.license, image.owner) == ("My fish", "by-sa-2.0", "Ann")
    assert (image.taken_on, image.uploaded_on) == ("2010-06-30T09:29:26", "2018-07-31T12:35:22Z")
    assert list(image.sizes) == ["k", "z"]
    assert image.url == image.sizes["k"][0]
    assert (image.width, image.height) == (640, 480)


@pytest.mark.parametrize("faults", [["429"], ["503", "503"], ["unavailable"], ["hang"]])
def test_it_is_patient_with_a_busy_flickr(server: FlickrServer, faults: list[str]) -> None:
    server.faults.extend(faults)
    assert len(list(images_of(flickr(server, timeout=0.5), FISH))) == 130
    assert server.requests == len(server.asked) + len(faults)


@pytest.mark.parametrize(
    ("faults", "error", "message"),
    [
        (["key"], SourceUnavailable, "Flickr refused the key.*FLICKR_API_KEY"),
        (["503"] * 3, SourceUnavailable, "HTTP status 503.*tried 3 times"),
        (["rest"], SourceUnavailable, "asks for 9999 seconds of rest"),
        (["unknown"], SourceError, "error 3"),
        (["html"], SourceError, "not JSON"),
        (["list"], SourceError, "not a list of photos"),
        (["404"], SourceError, "HTTP status 404"),
    ],
)
def test_what_cannot_be_mended_is_said(
    server: FlickrServer, faults: list[str], error: type[SourceError], message: str
) -> None:
    server.faults.extend(faults)
    with pytest.raises(error, match=message):
        next(flickr(server).search(FISH))


def test_a_wrong_key_is_not_shown_in_full_and_nobody_home_is_said(server: FlickrServer) -> None:
    with pytest.raises(SourceUnavailable, match="refused the key"):
        next(flickr(server, key="wrong").search(FISH))
    with pytest.raises(SourceUnavailable, match="cannot be reached") as caught:
        next(flickr(server, url="http://127.0.0.1:1/", secret="hush").search(FISH))
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(FlickrConfig("k", "hush"))


def test_strange_entries_are_counted_not_believed(server: FlickrServer) -> None:
    server.faults.append("strange")
    page = next(flickr(server).search(FISH))
    assert page.rejected == 3
    assert [(image.source_id, image.url) for image in page.images] == [("77", None)]


def test_the_hourly_limit_is_kept_across_clients(
    server: FlickrServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class EnoughError(Exception):
        pass

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        raise EnoughError

    monkeypatch.setattr("newtest.sources.allowance.time.sleep", sleep)
    for _ in range(2):
        next(flickr(server, hourly=3).search(FISH))
    next(flickr(server, hourly=3).search(FISH))
    with pytest.raises(EnoughError):
        next(flickr(server, hourly=3).search(FISH))
    assert server.requests == 3
    assert 3500 < waits[0] <= 3600


RECORDED = {
    "datetaken": "2011-11-05 15:54:37", "datetakengranularity": "0", "datetakenunknown": "0",
    "dateupload": "1581319011", "farm": 66, "height_l": 1024, "height_m": 500, "height_s": 240, "height_t": 100,
    "id": "49514337848", "license": "1", "o_height": "4932", "o_width": "3178", "owner": "7478087@N06",
    "ownername": "markustrois", "secret": "bbdbb5f761", "server": "65535", "title": "Warsy (\u00e9glise)",
    "url_l": "https://live.staticflickr.com/65535/49514337848_bbdbb5f761_b.jpg",
    "url_m": "https://live.staticflickr.com/65535/49514337848_bbdbb5f761.jpg",
    "url_s": "https://live.staticflickr.com/65535/49514337848_bbdbb5f761_m.jpg",
    "url_t": "https://live.staticflickr.com/65535/49514337848_bbdbb5f761_t.jpg",
    "width_l": 660, "width_m": 322, "width_s": 155, "width_t": 64,
}  # fmt: skip


def answered(*entries: dict[str, object]) -> list[Image]:
    class Recording(FlickrServer):
        async def reply(self, request: web.Request) -> web.StreamResponse:
            photos = {
                "page": 1,
                "pages": 1,
                "perpage": 500,
                "total": str(len(entries)),
                "photo": list(entries),
            }
            return web.json_response({"stat": "ok", "photos": photos})

    with serving(Recording({})) as server:
        return list(images_of(flickr(server), FISH))


@pytest.mark.parametrize(
    ("granularity", "taken_on", "kept"),
    [
        ("0", "2011-11-05T15:54:37", None),
        (4, "2011-11", "month"),
        ("6", "2011", "year"),
        ("8", "2011", "circa"),
    ],
)
def test_a_day_is_as_exact_as_flickr_says(granularity: object, taken_on: str, kept: str | None) -> None:
    (image,) = answered(RECORDED | {"datetakengranularity": granularity})
    assert (image.taken_on, image.extra.get("taken_granularity")) == (taken_on, kept)


def test_the_largest_size_is_used() -> None:
    sizes = {"t": 100, "s": 240, "n": 320, "m": 500, "k": 2048, "4k": 4096, "o": 1000, "sq": 75, "q": 9000}
    entry: dict[str, object] = {"id": "7", "owner": "a"}
    for name, side in sizes.items():
        entry |= {f"url_{name}": f"https://x.org/{name}.jpg", f"width_{name}": side, f"height_{name}": side}
    (image,) = answered(entry)
    assert (image.url, image.width) == ("https://x.org/4k.jpg", 4096), "a square is no whole photo"
    (original,) = answered(entry | {"width_o": None})
    assert original.url == "https://x.org/o.jpg", "an original of unknown size is the largest"
    (small,) = answered({"id": "7", "url_s": "https://x.org/s.jpg"})
    assert small.url == "https://x.org/s.jpg"


def test_a_wrong_secret_is_named_as_such(server: FlickrServer) -> None:
    with pytest.raises(SourceUnavailable, match=r"the secret is wrong: check FLICKR_API_SECRET") as caught:
        next(flickr(server, secret="hunter2").search(FISH))
    assert "hunter2" not in str(caught.value) and server.requests == 1


@pytest.mark.parametrize("hides", [1, 7, 25, 130])
def test_pages_are_asked_for_beyond_a_total_that_is_too_low(hides: int) -> None:
    photos = made_photos(range(100, 135))
    with serving(FlickrServer({"goldfish": photos}, cap=1000, hides=hides)) as server:
        assert len(list(images_of(flickr(server), FISH))) == 35
        assert len(server.asked) <= 5
