from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from newtest.classes import QueryConfig
from newtest.collecting import CollectConfig, budget, collect, left_out_line
from newtest.download.retry_after import retry_after
from newtest.errors import ConfigError, SourceError, SourceUnavailable, UsageError
from newtest.licenses import normal_license, parse_license
from newtest.records import Class, Image, Query
from newtest.sources import Budget, checked_licenses, images_of, open_source
from newtest.sources.allowance import Allowance
from newtest.sources.dates import moment, unclear
from newtest.sources.flickr import Flickr
from newtest.sources.folder import Folder
from newtest.sources.licenses import NAMES, flickr_license, flickr_numbers, is_licensed
from newtest.sources.openverse import Openverse, OpenverseConfig
from newtest.sources.protocol import matches
from newtest.sources.recorded import Recorded
from newtest.sources.table import Table
from newtest.sources.values import number, text_or_none, web_url
from newtest.study import Study

FISH = Class("n01443537", ("goldfish",))
QUERY = Query("n01443537", "goldfish")
OLD = "imagenetv2/search_results/2018-07-31_flickr_search_result_vaishaal_class_1_153.json"


def all_images(source: Recorded | Folder | Table, query: Query = QUERY) -> list[Image]:
    planned = source.plan(Class(query.wnid, ("x",)), [query]).queries
    return [image for single in planned for image in images_of(source, single)]


def test_the_recorded_goldfish_are_133(data: Path) -> None:
    source = Recorded(data / OLD)
    assert [query.text for query in source.plan(FISH, [QUERY]).queries] == ["goldfish", "Carassius auratus"]
    images = all_images(source)
    assert len(images) == len({image.image_id for image in images}) == 133
    recorded = {
        entry["id_ours"] for entry in json.loads((data / OLD).read_text()) if entry["wnid"] == "n01443537"
    }
    assert {image.image_id for image in images} == recorded


def test_old_and_new_formats_are_read(data: Path) -> None:
    source = Recorded(data / "imagenetv2/search_results")
    rays = all_images(source, Query("n01498041", "stingray"))
    first = rays[0]
    assert (first.source, first.source_id, first.width, first.height) == ("flickr", "8390052597", 2048, 1365)
    assert first.sizes == {"k": (first.url, 2048, 1365)}
    assert first.taken_on == "2013-01-17T12:18:16"
    assert first.extra["url_type"] == "url_k"
    tigers = all_images(source, Query("n02129604", "tiger"))
    published = {image.extra["published_id"] for image in tigers if "published_id" in image.extra}
    assert published, "a photo's second class has another published id, which is kept"
    assert not published & {image.image_id for image in tigers}


def test_recorded_results_are_filtered_by_date(data: Path) -> None:
    source = Recorded(data / OLD)
    windowed = all_images(
        source, Query("n01443537", "x", taken_after="2010-01-01", taken_before="2010-12-31")
    )
    assert 0 < len(windowed) < 133
    assert {(image.taken_on or "")[:4] for image in windowed} == {"2010"}


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("{}", "not a list"), (None, "cannot be read")]
)
def test_a_bad_record_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "r.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SourceError, match=rf"r\.json: .*{message}"):
        Recorded(file)


def test_entries_that_are_none_are_said(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    good = {
        "id_search_engine": "1",
        "wnid": "n01443537",
        "search_key": "g",
        "url": "ftp://x/y",
        "width": "12",
    }
    file.write_text(json.dumps([good, {"wnid": "n01443537"}, 7, {**good, "search_engine": "../x"}]))
    source = Recorded(file)
    (image,) = all_images(source)
    assert (image.url, image.width) == (None, 12)
    assert any("3 entries have no id" in sentence for sentence in source.plan(FISH, [QUERY]).notes)


def test_the_same_file_in_two_class_folders_is_one_image(tmp_path: Path) -> None:
    for wnid in ("n01443537", "n01440764"):
        (tmp_path / wnid).mkdir()
        (tmp_path / wnid / "a b.jpg").write_bytes(b"same bytes")
    (tmp_path / "n01443537" / "notes.txt").write_text("no image")
    source = Folder(tmp_path)
    (first,), (second,) = all_images(source), all_images(source, Query("n01440764", "tench"))
    assert first.image_id == second.image_id
    assert first.url == (tmp_path / "n01443537" / "a b.jpg").as_uri()
    assert Path(tmp_path / "n01443537" / "a b.jpg").read_bytes() == b"same bytes"
    assert all_images(source, Query("../n01443537", "x")) == []
    with pytest.raises(SourceError, match="no such folder"):
        Folder(tmp_path / "none")


def test_what_a_catalog_cannot_hold_is_made_storable(tmp_path: Path) -> None:
    """NaN, infinity, halves of surrogate pairs, line breaks in file names; a name that is not UTF-8 is left out."""
    record = (
        '{"id_search_engine": "1", "wnid": "n01443537", "search_key": "g\\ud83d", "a": NaN, "b": ["\\ud83d"]}'
    )
    (tmp_path / "r.json").write_text(f"[{record}]")
    pd.DataFrame({"image_id": ["t"], "wnid": ["n01443537"], "url": ["https://x.org/1.jpg"], "z": [float("inf")]}
    ).to_parquet(tmp_path / "t.parquet")  # fmt: skip
    names = (b"\xff.jpg", b"a\rb.jpg", "\u00e9.jpg".encode())
    (tmp_path / "pool" / "n01443537").mkdir(parents=True)
    for name in names:
        (tmp_path / "pool" / "n01443537" / os.fsdecode(name)).write_bytes(name)
    recorded, folder = Recorded(tmp_path / "r.json"), Folder(tmp_path / "pool")
    table = Table(tmp_path / "t.parquet")
    with Study(tmp_path / "s", create=True) as study:
        for source, found in ((recorded, 1), (table, 1), (folder, 2)):
            (entry,) = collect(study, source, [FISH])
            assert (entry.found, entry.error) == (found, None)
    (image,) = [one for page in recorded.search(Query("n01443537", "g\ufffd")) for one in page.images]
    assert image.extra == {"a": None, "b": ["\ufffd"]}
    assert sorted(str(image.title) for image in all_images(folder)) == ["a b.jpg", "\u00e9.jpg"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_keeps_its_ids_and_all_else(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame(
        {
            "image_id": ["one", "two", "one"],
            "wnid": ["n01443537"] * 3,
            "url": ["https://x.org/1.jpg", "", "https://x.org/again.jpg"],
            "path": ["", "pictures/2 b.jpg", ""],
            "title": ["'=1+1" if suffix == "csv" else "=1+1", "'twas", ""],
            "license": ["by-2.0", "", ""],
            "camera": ["Leica", "", ""],
            "iso": [100, 200, 300],
        }
    )
    file = tmp_path / f"t.{suffix}"
    frame.to_parquet(file) if suffix == "parquet" else frame.to_csv(file, index=False)
    one, two = all_images(Table(file))
    assert (one.image_id, one.url, one.license) == ("one", "https://x.org/1.jpg", "by-2.0")
    assert one.extra == {"camera": "Leica", "iso": 100 if suffix == "parquet" else "100"}
    assert two.url == (tmp_path / "pictures/2 b.jpg").as_uri()
    assert (one.title, two.title) == ("=1+1", "'twas"), "a manifest.csv of ours is such a table"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,url\n1,x\n", "the column 'wnid' is missing"),
        ("image_id,wnid\n1,x\n", "the column 'url or path' is missing"),
        ("image_id,wnid,url\n../1,x,u\n", r"row 1: '\.\./1' cannot be an image_id"),
        ("image_id,wnid,url\n1,,u\n", "row 1: no wnid"),
        ("", "not a CSV or Parquet table"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "t.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SourceError, match=message):
        Table(file)


def test_what_is_unknown_is_not_filtered() -> None:
    bare = Image("i", "s", "1", "u")
    wanted = Query("c", "t", ("toy",), "2012-01-01", "2012-12-31", licenses=("by",))
    assert matches(bare, wanted)
    assert not matches(Image("i", "s", "1", "u", taken_on="2013-01-01T00:00:00"), wanted)
    assert matches(Image("i", "s", "1", "u", taken_on="2012-12-31T23:59:59"), wanted)
    assert not matches(Image("i", "s", "1", "u", license="by-sa-2.0"), wanted)
    assert not matches(Image("i", "s", "1", "u", title="A Toy fish"), wanted)


def test_licences_have_one_spelling() -> None:
    assert checked_licenses(["BY", "by", "cc0"]) == ("by", "cc0")
    assert flickr_numbers(("by", "cc0")) == "4,9,11"
    assert is_licensed("by-nc-sa-2.0", ("by-nc-sa",))
    assert not is_licensed("by-nc-sa-2.0", ("by-nc",))
    with pytest.raises(UsageError, match=r"gpl.*known are by, by-sa"):
        checked_licenses(["gpl"])


def test_flickrs_numbers_are_creative_commons_2_and_4_and_the_rest_stay_unknown() -> None:
    kinds = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
    assert [flickr_license(number) for number in range(11, 17)] == [f"{kind}-4.0" for kind in kinds]
    for kind in kinds:
        older, newer = flickr_numbers((kind,)).split(",")
        assert (flickr_license(older), flickr_license(newer)) == (f"{kind}-2.0", f"{kind}-4.0")
    assert flickr_license("17") == "unknown-flickr-license-17"
    assert not is_licensed("unknown-flickr-license-17", NAMES)
    assert flickr_license("public") is None


@pytest.mark.parametrize(
    ("url", "kept"),
    [("https://x.org/a.jpg", True), ("file:///etc/passwd", False), ("javascript:x", False), ("http://[", False),
     ("https://x.org/a b", False), (7, False), ("https://", False)],
)  # fmt: skip
def test_only_web_urls_are_kept(url: object, kept: bool) -> None:
    assert (web_url(url) == url) is kept


def test_single_values_are_made_ours_or_none() -> None:
    assert [number(v) for v in ("12", 12, True, "-1", "1.5", 10**12, None, "٣")] == [12, 12, *[None] * 6]
    assert [moment(v) for v in ("1533040522", "2010-06-30 09:29:26", "2010-06-30", "soon", "9" * 30)] == [
        "2018-07-31T12:35:22Z", "2010-06-30T09:29:26", "2010-06-30", None, None,
    ]  # fmt: skip
    assert moment("20120711") == "2012-07-11"  # a day, not August 1970
    assert moment("20121301") is None
    assert text_or_none("a\x1b[31mb\n") == "a [31mb"
    assert retry_after("7") == 7.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("soon") is None
    assert retry_after("²") is None
    assert retry_after("Wed, 21 Oct 99999999999999999999 07:28:00 GMT") is None


def test_the_allowance_survives_its_process_and_a_torn_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("newtest.sources.allowance.time.time", lambda: clock[0])
    monkeypatch.setattr("newtest.sources.allowance.time.sleep", sleep)
    Allowance("key", 2, 60, tmp_path).take()
    clock[0] += 10
    Allowance("key", 2, 60, tmp_path).take()
    (file,) = tmp_path.iterdir()
    assert "key" not in file.name
    file.write_bytes(file.read_bytes() + b"torn")
    said: list[str] = []
    Allowance("key", 2, 60, tmp_path).take(said.append)
    assert waits == [50.0]
    assert said == ["2 calls in 60 s are used up; going on in 50 s"]
    Allowance("other", 2, 60, tmp_path).take()
    assert waits == [50.0]
    Allowance("daily", 1, 86400, tmp_path).take()
    with pytest.raises(SourceUnavailable, match=r"1 calls in 86400 s are used up.*again in 24\.0 hours"):
        Allowance("daily", 1, 86400, tmp_path).take()
    assert waits == [50.0]


def test_a_key_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLICKR_API_KEY", "FLICKR_API_SECRET", "NEWTEST_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    said: list[str] = []
    assert isinstance(open_source(None, said.append), Openverse)
    assert "no Flickr key" in said[0]
    assert "searching Openverse instead" in said[0]
    with pytest.raises(ConfigError, match=r"no Flickr key.*`source` openverse"):
        open_source("flickr", said.append)
    (tmp_path / "newtest").mkdir()
    (tmp_path / "newtest/config.toml").write_text('[flickr]\nkey = "k"\nsecret = "s"\n')
    assert isinstance(open_source(None, said.append), Flickr)
    monkeypatch.setenv("NEWTEST_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="not there"):
        open_source("flickr", said.append)
    monkeypatch.setenv("FLICKR_API_KEY", "k")
    monkeypatch.delenv("NEWTEST_CONFIG")
    monkeypatch.setenv("FLICKR_API_SECRET", "s")
    assert isinstance(open_source("flickr", said.append), Flickr)


@pytest.mark.parametrize("spec", ["bing", "recorded", "recorded:", "", "folders:x", "flickr:x"])
def test_an_unknown_source_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError, match="is not one of flickr, openverse"):
        open_source(spec, print)


@pytest.mark.parametrize(
    ("given", "iso"),
    [
        ("2005-01-02", "2005-01-02"),
        ("2005-01", "2005-01"),
        ("2005", "2005"),
        ("2005/1/2", "2005-01-02"),
        ("2005:01:02 03:04:05", "2005-01-02T03:04:05"),
        ("02.01.2005", "2005-01-02"),
        ("2.1.2005 9:05", "2005-01-02T09:05:00"),
        ("13/02/2005", "2005-02-13"),
        ("02/13/2005", "2005-02-13"),
        ("01-01-2005", "2005-01-01"),
        ("Jan 2 2005", "2005-01-02"),
        ("Sunday, January 2, 2005", "2005-01-02"),
        ("sun 2 jan 2005", "2005-01-02"),
        ("2 January 2005", "2005-01-02"),
        ("2nd of Jan, 2005", "2005-01-02"),
        ("Sept 2005", "2005-09"),
        ("Sun, 02 Jan 2005 10:20:30 GMT", "2005-01-02T10:20:30Z"),
        ("1104627600", "2005-01-02T01:00:00Z"),
        (1104627600.0, "2005-01-02T01:00:00Z"),
        (1104627600000, "2005-01-02T01:00:00Z"),
        (pd.Timestamp("2005-01-02 03:04"), "2005-01-02T03:04:00"),
        ("01/02/2005", None),
        ("02-01-2005", None),
        ("1/2/05", None),
        ("31.02.2005", None),
        ("2005-13", None),
        ("0000-00-00", None),
        ("12/2005", None),
        ("Jan 2005 Feb", None),
        ("before 2 Jan 2005", None),
        ("2005-01-02 or 03", None),
        ("x" * 10_000, None),
    ],
)
def test_days_are_read_where_they_can_be_read_in_one_way(given: object, iso: str | None) -> None:
    assert moment(given) == iso
    assert unclear(given) is (iso is None)


def test_no_day_is_not_an_unclear_one() -> None:
    assert not any(unclear(value) for value in (None, "", "  ", float("nan"), pd.NaT))


def test_days_outside_the_window_are_left_out_and_unknown_ones_counted(tmp_path: Path) -> None:
    days = ["01/02/2005", "02.01.2005", "2005-01", "Jan 2 2005", "2012", "2013-05-01", ""]
    rows = "".join(f"i{n},n01443537,https://x.org/{n}.jpg,{day}\n" for n, day in enumerate(days))
    (tmp_path / "t.csv").write_text("image_id,wnid,url,taken_on\n" + rows)
    query = Query("n01443537", "x", taken_after="2012-06-01")
    table = Table(tmp_path / "t.csv")
    assert [image.image_id for image in all_images(table, query)] == ["i0", "i4", "i5", "i6"]
    plan = table.plan(FISH, [query])
    assert plan.left_out == {"n01443537": {"taken outside the window": 3}}
    assert plan.unknown == {"n01443537": {"day taken": 3, "day that cannot be read for certain": 1}}
    assert any("1 rows have a day that cannot be read for certain" in note for note in plan.notes)
    with Study(tmp_path / "s", create=True) as study:
        options = CollectConfig(options=QueryConfig(window=query))
        (entry,) = report = collect(study, table, [FISH], options)
    assert (entry.left_out, entry.unknown["day taken"]) == ({"taken outside the window": 3}, 3)
    assert left_out_line(report) == (
        "left out: 3 taken outside the window; kept though unknown: 3 day taken, "
        "1 day that cannot be read for certain"
    )


LICENSES = {
    "by": ["by", "CC-BY", "Attribution License", "Creative Commons Attribution License", "cc by"],
    "by-4.0": [
        "CC BY 4.0", "by-4.0", "https://creativecommons.org/licenses/by/4.0/", "CC_BY_4.0",
        "http://creativecommons.org/licenses/by/4.0/deed.de", "Attribution 4.0 International (CC BY 4.0)",
        "Creative Commons Attribution 4.0 International License", "//www.creativecommons.org/licenses/by/4.0/legalcode",
    ],
    "by-2.0": ["Creative Commons Attribution 2.0 Generic", "CC BY 2.0 DE"],
    "by-sa-3.0": ["Creative Commons Attribution-Share Alike 3.0 Unported", "CC BY-SA 3.0", "CC BY\u2011SA 3.0"],
    "by-nc-sa": ["Attribution-NonCommercial-ShareAlike License", "cc-by-nc-sa", "BY NC SA"],
    "by-nc-nd-3.0": ["https://creativecommons.org/licenses/by-nc-nd/3.0/de/"],
    "by-nd": ["Attribution-NoDerivs License"],
    "cc0": ["CC0", "Public Domain Dedication (CC0)", "Creative Commons Zero"],
    "cc0-1.0": ["CC0 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/"],
    "pdm": ["Public Domain Mark", "pdm"],
    "pdm-1.0": ["Public Domain Mark 1.0", "https://creativecommons.org/publicdomain/mark/1.0/deed.en"],
    "no-known-copyright": ["No known copyright restrictions"],
    "us-government": ["United States Government Work"],
    "all-rights-reserved": ["All Rights Reserved"],
}  # fmt: skip


def test_a_licence_is_one_licence_however_it_is_written(tmp_path: Path) -> None:
    pairs = [(spelling, name) for name, spellings in LICENSES.items() for spelling in spellings]
    assert [(text, normal_license(text)) for text, _ in pairs] == pairs
    for text in (
        "by the owner's leave",
        "CC BY 4.0, not for training",
        "gpl",
        "by-sa-nd",
        "by me",
        "CC",
        "nc",
    ):
        assert parse_license(text) is None and normal_license(text) == text
    frame = pd.DataFrame({"license": [text for text, _ in pairs], "wnid": "n01443537"})
    frame["image_id"] = [f"i{n}" for n in range(len(frame))]
    frame["url"] = "https://x.org/" + frame["image_id"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = all_images(Table(tmp_path / "t.csv"), Query("n01443537", "x", licenses=("by",)))
    assert len(found) == sum(len(LICENSES[name]) for name in ("by", "by-4.0", "by-2.0"))
    assert {image.license for image in found} == {"by", "by-4.0", "by-2.0"}
    assert {image.extra.get("license_as_given") for image in found} >= {"CC BY 4.0", "Attribution License"}


def test_one_id_with_two_paths_in_a_class_is_reported(tmp_path: Path) -> None:
    rows = ["a,n01443537,1.jpg", "a,n01443537,2.jpg", "b,n01443537,3.jpg", "b,n01443537,3.jpg"]
    (tmp_path / "t.csv").write_text("\n".join(["image_id,wnid,path", *rows]))
    table = Table(tmp_path / "t.csv")
    plan = table.plan(FISH, [QUERY])
    assert [image.image_id for image in all_images(table)] == ["a", "b"]
    assert plan.left_out == {
        "n01443537": {"an id that has another path already": 1, "a row that is there already": 1}
    }
    assert any("a is at file://" in note and "/2.jpg" in note for note in plan.notes)


def test_passwords_in_urls_are_not_kept(tmp_path: Path) -> None:
    secret = "https://ann:hunter2@x.org/a.jpg"
    frame = pd.DataFrame({"image_id": ["a"], "wnid": ["n01443537"], "url": [secret], "page_url": [secret],
                          "title": [f"from {secret}"], "mirror": [secret]})  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    entry = {"id_search_engine": "1", "wnid": "n01443537", "search_key": "x", "url": secret, "m": [secret]}
    (tmp_path / "r.json").write_text(json.dumps([entry]))
    for source in (Table(tmp_path / "t.csv"), Recorded(tmp_path / "r.json")):
        (image,) = all_images(source)
        assert image.url == "https://x.org/a.jpg" and "hunter2" not in repr(image)


def test_what_a_collection_will_ask_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path))
    classes = [Class("a", ("x", "y")), Class("b", ("z",))]
    anonymous = Openverse(OpenverseConfig(), print)
    with Study(tmp_path / "s", create=True) as study:
        assert budget(study, anonymous, classes, CollectConfig(200)) == Budget(20, 0.0)
        assert budget(study, anonymous, classes * 100, CollectConfig(200)) == Budget(2000, 9 * 86400.0)
        registered = Openverse(OpenverseConfig(client_id="i", client_secret="s"), print)
        assert budget(study, registered, classes * 100, CollectConfig(200)) == Budget(800, 7 * 60.0)
        assert budget(study, Folder(tmp_path), classes) is None


def test_openverses_credentials_come_in_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path))
    for name in ("OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET", "NEWTEST_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert open_source("openverse", print).limits.page_size == 20  # type: ignore[union-attr]
    monkeypatch.setenv("OPENVERSE_CLIENT_ID", "i")
    with pytest.raises(ConfigError, match="OPENVERSE_CLIENT_SECRET is missing"):
        open_source("openverse", print)
    (tmp_path / "newtest").mkdir()
    (tmp_path / "newtest/config.toml").write_text('[openverse]\nclient_id = "i"\nclient_secret = "s"\n')
    assert open_source("openverse", print).limits.page_size == 50  # type: ignore[union-attr]


def test_what_a_class_folder_holds_beside_images_is_counted_in_the_plan(tmp_path: Path) -> None:
    folder = tmp_path / "pool" / "n00000001"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "notes.txt").write_text("a note")
    (folder / "Thumbs.db").write_text("x")
    (folder / "loop").symlink_to(".")
    cls = Class("n00000001", ("thing",), "a thing")
    plan = Folder(tmp_path / "pool").plan(cls, [Query(cls.wnid, "thing")])
    (query,) = plan.queries
    assert plan.left_out[query.text] == {
        ".txt": 1, "a link to a folder that is read already": 1, "hidden or made by the system": 1,
    }  # fmt: skip
