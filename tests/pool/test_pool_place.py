"""The same operations on a folder and on S3 (moto's real local server)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.filters import MinWords, Rule
from newtest.pool.filtering.select import select
from newtest.pool.storage.location import Entry, LocalPlace, RemotePlace, place_of
from newtest.pool.storage.pool import open_pool


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> LocalPlace | RemotePlace:
    if request.param == "local":
        return place_of(f"file://{tmp_path}/pool")
    return place_of(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")


def test_files_are_written_whole_listed_read_and_removed(place: LocalPlace | RemotePlace) -> None:
    assert place.entries() == []
    with place.writing("a/b.bin") as path:
        path.write_bytes(b"x" * 100_000 + b"end")
    for hidden in ("_tmp/c.bin", ".d"):
        with place.writing(hidden) as path:
            path.write_bytes(b"?")
    assert place.entries() == [Entry("a/b.bin", 100_003)]
    with place.open("a/b.bin") as handle:
        handle.seek(-3, 2)
        assert handle.read() == b"end"
    with pytest.raises(FileNotFoundError):
        place.open("a/none.bin").read()
    assert place.exists("a/b.bin")
    place.remove("a/b.bin")
    place.remove("a/b.bin")
    assert not place.exists("a/b.bin")


def test_a_file_that_fails_half_way_does_not_appear(place: LocalPlace | RemotePlace) -> None:
    with pytest.raises(RuntimeError), place.writing("a.bin") as path:
        path.write_bytes(b"half")
        raise RuntimeError
    assert not place.exists("a.bin")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\b", ""])
def test_names_never_lead_out(place: LocalPlace | RemotePlace, name: str) -> None:
    with pytest.raises(PoolError, match="not a name inside a pool"):
        place.open(name)


def test_a_pool_on_s3_gives_what_its_copy_on_disk_gives(bucket: str, datacomp: Path, tmp_path: Path) -> None:
    shutil.copytree(datacomp, tmp_path / "pool")
    remote = place_of(f"{bucket}/copied")
    for path in sorted(datacomp.glob("*.parquet")):
        with remote.writing(path.name) as temporary:
            shutil.copy(path, temporary)
    plan = FilterPlan((Rule("words", (MinWords(5),)),))
    here = select(open_pool(tmp_path / "pool"), plan, LocalEngine(), Resources(1))
    there = select(open_pool(f"{bucket}/copied"), plan, LocalEngine(), Resources(1))
    assert len(here) > 1000
    assert here.uids.tobytes() == there.uids.tobytes()
    assert here.manifest["inputs"] == there.manifest["inputs"]


def test_an_empty_bucket_is_no_pool(bucket: str) -> None:
    with pytest.raises(PoolError, match="no pool here"):
        open_pool(f"{bucket}/nothing")


@pytest.mark.parametrize("link", ["__newtest", "__newtest/layers", "__newtest/layers/size", "a"])
def test_nothing_is_written_or_removed_through_a_link_out_of_a_pool(link: str, tmp_path: Path) -> None:
    """A pool may come from a stranger, links and all. Reading follows them, to shards that lie elsewhere."""
    pool, outside = tmp_path / "pool", tmp_path / "outside"
    outside.mkdir()
    (outside / "x.json").write_text("a year of work")
    (pool / link).parent.mkdir(parents=True)
    (pool / link).symlink_to(outside)
    place, name = LocalPlace(pool), f"{link}/x.json"
    if link.startswith("__newtest/layers"):  # as a pool asks for its layers
        place, name = LocalPlace(pool / "__newtest/layers"), name.removeprefix("__newtest/layers/")
    for act in (
        lambda: place.remove(name),
        lambda: place.move(name, "y"),
        lambda: place.writing(name).__enter__(),
    ):
        with pytest.raises(PoolError, match="a link leads out of the pool"):
            act()
    with place.open(name) as handle:
        assert handle.read() == b"a year of work"
    assert [path.name for path in outside.iterdir()] == ["x.json"]


def test_a_pool_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "pool").symlink_to("there")
    with LocalPlace(tmp_path / "pool").writing("__newtest/layers/size/a.parquet") as path:
        path.write_bytes(b"x")
    assert (tmp_path / "there/__newtest/layers/size/a.parquet").read_bytes() == b"x"
