"""Tars without a table: their samples are read by the uid in each ``.json``, and the pool's folder stays as it is.

By hand, 26 November 2026: DataComp's own ``resharder.py`` (mlfoundations/datacomp 4a8df199, with webdataset 0.2.48)
gave the same 23 samples of three such tars, copies and all, byte for byte in each member.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, killed_at_event, newtest

import newtest as nt
from newtest.pool.storage import subset as subsets
from newtest.pool.storage import uids as ids
from newtest.pool.storage.subset import Subset

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, captioned: Path) -> Path:
    """Three tars of four photos, as img2dataset makes them for DataComp, and the counts that it leaves beside."""
    folder = tmp_path_factory.mktemp("bare")
    photos = sorted(path for path in captioned.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:12]
    for number in range(3):
        with tarfile.open(folder / f"{number:08d}.tar", "w") as archive:
            for place, photo in enumerate(photos[4 * number : 4 * number + 4]):
                key, uid = f"{number:04d}{place:05d}", hashlib.md5(photo.name.encode()).hexdigest()
                said = {
                    "uid": uid,
                    "url": f"https://example.org/{photo.name}",
                    "key": key,
                    "status": "success",
                }
                add(archive, f"{key}.jpg", photo.read_bytes())
                add(archive, f"{key}.json", json.dumps(said).encode())
                add(archive, f"{key}.txt", f"photo {place}".encode())
        (folder / f"{number:08d}_stats.json").write_text('{"successes": 4}')
    return folder


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def read(folder: Path) -> list[tuple[str, Members]]:
    """(uid, members by suffix) of all samples, in order."""
    found: list[tuple[str, Members]] = []
    for path in sorted(folder.glob("*.tar")):
        samples: dict[str, Members] = {}
        with tarfile.open(path) as archive:
            for member in archive:
                key, _, suffix = member.name.partition(".")
                samples.setdefault(key, {})[suffix] = archive.extractfile(member).read()  # type: ignore[union-attr]
        found += [(json.loads(members["json"])["uid"], members) for members in samples.values()]
    return found


def read_one(folder: Path, number: int) -> list[tuple[str, Members]]:
    return read(folder)[4 * number : 4 * number + 4]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.*"))}


def chosen(folder: Path, to: Path) -> Counter[str]:
    """A subset of every third sample once and the fifth three times; written down."""
    uids = [uid for uid, _ in read(folder)]
    copies = Counter(uids[::3] + [uids[4]] * 3)
    subsets.write(Subset.of(ids.from_arrow(pa.array(list(copies.elements())))), to)
    return copies


def test_samples_of_a_folder_of_bare_tars_are_written_with_their_copies(bare: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(bare, tmp_path / "pool"))
    copies = chosen(pool, tmp_path / "s.npy")
    arguments = ["reshard-pool", "pool", "--subset", "s.npy", "--shard-rows", "4", "--json"]
    done = newtest(*arguments, "--out", "out", "--workers", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["written"] == said["samples"] == 7 and said["missing"] == 0
    assert said["tars_without_table"] == [f"{number:08d}.tar" for number in range(3)]
    assert "12 samples are read from the tars alone, 0 members or images are left out" in done.stderr
    expected = [(uid, members) for uid, members in read(bare) for _ in range(copies[uid])]
    assert read(tmp_path / "out") == expected
    table = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))])
    assert table["uid"].to_pylist() == [uid for uid, _ in expected]
    assert table["url"].to_pylist() == [json.loads(members["json"])["url"] for _, members in expected]
    assert files(pool) == files(bare), "nothing is written beside the tars"

    again = json.loads(newtest(*arguments, "--out", "out", "--workers", "1", cwd=tmp_path).stdout)
    assert again["computed"] == 0
    shutil.rmtree(pool / "__newtest")  # what was kept of the tars makes no difference
    alone = newtest(*arguments, "--out", "alone", "--workers", "1", "--layers", "kept", cwd=tmp_path)
    assert alone.returncode == 0 and not (pool / "__newtest").exists()
    assert files(tmp_path / "alone") == files(tmp_path / "out")


def test_killed_among_the_tars_and_among_the_shards_it_ends_with_the_same_bytes(
    bare: Path, tmp_path: Path
) -> None:
    arguments = ["reshard-pool", "pool", "--all", "--out", "out", "--shard-rows", "5", "--workers", "1"]
    for name in ("whole", "killed"):
        shutil.copytree(bare, tmp_path / name / "pool")
    assert newtest(*arguments, cwd=tmp_path / "whole").returncode == 0
    for after in (1, 6):  # after the table of one tar, and in the middle of the second new shard
        killed_at_event(*arguments, cwd=tmp_path / "killed", after=after)
    assert len(list((tmp_path / "killed" / "out").glob("*.parquet"))) == 1
    assert newtest(*arguments, cwd=tmp_path / "killed").returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_tars_with_and_without_a_table_go_together(photo_pool: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(photo_pool, tmp_path / "pool"))
    wanted = pq.read_table(pool / "00000001.parquet")["uid"].to_pylist()
    whole = sorted(uid for path in pool.glob("*.parquet") for uid in pq.read_table(path)["uid"].to_pylist())
    (pool / "00000001.parquet").unlink()
    done = newtest("reshard-pool", "pool", "--all", "--out", "out", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert said["tars_without_table"] == ["00000001.tar"] and said["written"] == said["samples"] == len(whole)
    assert "1 tars have no table beside them, such as 00000001.tar: 30 samples are read" in done.stderr
    (table,) = (tmp_path / "out").glob("*.parquet")
    assert sorted(pq.read_table(table)["uid"].to_pylist()) == whole
    subset = Subset.of(ids.from_arrow(pa.array(wanted[:5])))
    nt.Pool(pool).reshard(subset, tmp_path / "python")
    (table,) = (tmp_path / "python").glob("*.parquet")
    assert pq.read_table(table)["uid"].to_pylist() == wanted[:5]


def test_rows_that_a_filter_chose_stay_chosen_beside_bare_tars(photo_pool: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(photo_pool, tmp_path / "pool"))
    for name in ("00000001", "00000002"):
        (pool / f"{name}.parquet").unlink()
    table = pq.read_table(pool / "00000000.parquet")
    twice = pa.concat_tables([table, table.slice(0, 1)])  # row 30 shares the uid of row 0
    keys = pa.array([*table["key"].to_pylist(), table["key"][1].as_py()])
    pq.write_table(twice.set_column(twice.column_names.index("key"), "key", keys), pool / "00000000.parquet")
    assert newtest("filter-pool", "pool", "--min-words", "0", "--out", "s.npy", cwd=tmp_path).returncode == 0
    done = newtest("reshard-pool", "pool", "--subset", "s.npy", "--out", "out", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["rows_that_share_a_uid"] == 0
    assert said["samples"] == 31 and len(said["tars_without_table"]) == 2


def test_a_packed_tar_beside_a_table_and_its_tar_is_a_shard_of_its_own(bare: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    shutil.copy(bare / "00000000.tar", pool / "a.tar")
    assert newtest("import-pool", "pool", cwd=tmp_path).returncode == 0
    table = pq.read_table(pool / "a.parquet")
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), pool / "a.parquet")  # two rows share a uid
    (pool / "a.tar.gz").write_bytes(gzip.compress((bare / "00000001.tar").read_bytes()))
    assert newtest("filter-pool", "pool", "--min-words", "0", "--out", "s.npy", cwd=tmp_path).returncode == 0
    for arguments, written in ((("--subset", "s.npy"), 4), (("--all",), 8)):
        out = f"out{written}"
        done = newtest("reshard-pool", "pool", *arguments, "--out", out, "--json", cwd=tmp_path)
        said = json.loads(done.stdout)
        assert said["tars_without_table"] == ["a.tar.gz"]
        expected = [
            uid for number in range(written // 4) for uid in [one for one, _ in read_one(bare, number)]
        ]
        assert [uid for uid, _ in read(tmp_path / out)] == expected


def test_what_a_stranger_left_among_the_layers_is_made_anew(bare: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(bare, tmp_path / "pool"))
    assert newtest("reshard-pool", "pool", "--all", "--out", "out", cwd=tmp_path).returncode == 0
    made = sorted((pool / "__newtest").rglob("*.parquet"))
    before = [path.read_bytes() for path in made]
    for path, about in zip(made, (b"[1]", b'{"rows": "many", "left_out": {}}', b"no JSON"), strict=True):
        pq.write_table(pq.read_table(path).replace_schema_metadata({b"newtest.about": about}), path)
    done = newtest("reshard-pool", "pool", "--all", "--out", "again", cwd=tmp_path)
    assert done.returncode == 0 and [path.read_bytes() for path in made] == before, done.stderr
    assert files(tmp_path / "again") == files(tmp_path / "out")


def test_what_is_wrong_with_tars_is_counted_or_stops_the_run(bare: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(bare, tmp_path / "pool"))
    with tarfile.open(pool / "00000003.tar", "w") as archive:
        add(archive, "a.jpg", b"no picture")
        add(archive, "a.json", json.dumps({"uid": "a" * 32}).encode())
        add(archive, "b.txt", b"a caption without a picture")
        link = tarfile.TarInfo("c.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    done = newtest("reshard-pool", "pool", "--all", "--out", "out", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert said["written"] == 14, "rows without a picture stay, as those of a table do"
    assert sum(said["left_out_of_these"].values()) == 3
    assert "3 members or images are left out: " in done.stderr
    whole = (pool / "00000001.tar").read_bytes()
    (pool / "00000001.tar").write_bytes(whole[: len(whole) // 2])
    cut = newtest("reshard-pool", "pool", "--all", "--out", "cut", cwd=tmp_path)
    assert cut.returncode != 0 and "1 of 4 tars without a table cannot be read" in cut.stderr
    assert "00000001.tar is not a whole tar" in cut.stderr and not (tmp_path / "cut").exists()


def test_members_that_cannot_be_read_are_counted_and_the_rest_is_written(bare: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(bare, tmp_path / "pool"))
    picture = read(bare)[0][1]["jpg"]
    said = {"uid": "b" * 32, "licence": "by"}
    with tarfile.open(pool / "00000003.tar", "w") as archive:
        for key, text in (("a", b'{"uid": "'), ("b", json.dumps(said).encode()), ("c", b"[1, 2]")):
            add(archive, f"{key}.jpg", picture)
            add(archive, f"{key}.json", text)
            add(archive, f"{key}.txt", "Straße".encode("latin-1"))
    done = newtest("reshard-pool", "pool", "--all", "--out", "out", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["written"] == 14, done.stderr
    assert told["left_out_of_these"] == {"a caption that is not UTF-8": 2, "a sample with a broken .json": 1}
    table = pa.concat_tables(
        [pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))],
        promote_options="permissive",
    )
    assert table["uid"].to_pylist().count("b" * 32) == 1
    assert table["text"].to_pylist()[-2:] == [None, None], "the caption stays in the tar, and is in no table"
    (whole,) = (members for uid, members in read_written(tmp_path / "out") if uid == "b" * 32)
    assert whole["txt"] == "Straße".encode("latin-1")


def read_written(folder: Path) -> list[tuple[str, Members]]:
    """As ``read``, for tars of which some samples have no uid in their ``.json``."""
    found: list[tuple[str, Members]] = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            all_of = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]
        for name in (name for name in all_of if name.endswith(".json")):
            key, value = name.removesuffix(".json"), json.loads(all_of[name])
            if isinstance(value, dict):
                members = {
                    other.partition(".")[2]: all_of[other] for other in all_of if other.startswith(f"{key}.")
                }
                found.append((str(value.get("uid")), members))
    return found


def test_samples_that_opted_out_are_not_written_and_a_dry_run_writes_nothing(
    bare: Path, tmp_path: Path
) -> None:
    pool = Path(shutil.copytree(bare, tmp_path / "pool"))
    dry = newtest("reshard-pool", "pool", "--all", "--out", "out", "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0 and "a dry run does not count their samples" in dry.stderr
    assert "0 samples would go into 0 shards" in dry.stdout and files(tmp_path) == {}
    assert not (pool / "__newtest").exists()
    uid = read(pool)[2][0]
    (tmp_path / "gone.txt").write_text(f"{uid}\n")
    assert newtest("import-pool", "pool", cwd=tmp_path).returncode == 0  # a list is kept by filter-pool only
    assert (
        newtest("filter-pool", "pool", "--remove-uids", "gone.txt", "--out", "s.npy", cwd=tmp_path).returncode
        == 0
    )
    for path in pool.glob("*.parquet"):
        path.unlink()
    said = json.loads(newtest("reshard-pool", "pool", "--all", "--out", "out", "--json", cwd=tmp_path).stdout)
    assert said["opted_out"] == 1 and said["written"] == 11
    assert uid not in [each for each, _ in read(tmp_path / "out")]
