"""Our reader and writer against Python's own tarfile."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.pool.storage.location import Entry
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.tar_writing import END, add
from newtest.pool.storage.tars import samples
from newtest.reading.tars import TarDamage, members


def packed(name: str, data: bytes) -> bytes:
    """One member as it is written."""
    add(written := io.BytesIO(), name, data)
    return written.getvalue()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=150).filter(
    lambda name: name.strip(". ") == name
)
FILES = st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=6)


@settings(deadline=None, max_examples=60)
@given(FILES, st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_what_tarfile_writes_is_read(files: list[tuple[str, bytes]], format_: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            try:
                archive.addfile(info, io.BytesIO(data))
            except ValueError:  # ustar has no room for a long name
                return
    buffer.seek(0)
    assert list(members(buffer, 10_000)) == files


@settings(deadline=None, max_examples=60)
@given(FILES)
def test_what_is_written_tarfile_reads(files: list[tuple[str, bytes]]) -> None:
    whole = b"".join(packed(name, data) for name, data in files) + END
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        found = [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    assert found == files
    assert list(members(io.BytesIO(whole), 10_000)) == files


def test_only_regular_files_come_and_large_ones_without_content() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in (
            ("folder", tarfile.DIRTYPE),
            ("link", tarfile.SYMTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("big")
        info.size = 5000
        archive.addfile(info, io.BytesIO(bytes(5000)))
        archive.addfile(tarfile.TarInfo("small"))
    buffer.seek(0)
    assert list(members(buffer, 4000)) == [("big", None), ("small", b"")]


@pytest.mark.parametrize("cut", [100, 512, 600, 1100, 1536])
def test_a_tar_that_is_cut_short_is_damage(cut: int) -> None:
    whole = packed("a", b"x" * 700) + packed("b", b"y") + END
    assert [name for name, _ in members(io.BytesIO(whole), 1000)] == ["a", "b"]
    with pytest.raises(TarDamage):
        list(members(io.BytesIO(whole[:cut]), 1000))


def test_tars_that_were_joined_are_damage_and_other_bytes_behind_the_end_are_not() -> None:
    one = io.BytesIO()
    with tarfile.open(fileobj=one, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    whole = one.getvalue()
    for behind in (b"", bytes(3 << 20), b"left over " * 100, b"\x01" * 700):
        assert [name for name, _ in members(io.BytesIO(whole + behind), 10)] == ["a.txt"]
    for joined in (whole + whole, whole[:512] + bytes(512) + whole, whole + bytes(3 << 20) + whole):
        with pytest.raises(TarDamage, match="more files stand behind its end mark"):
            list(members(io.BytesIO(joined), 10))


def test_bytes_that_are_no_header_are_damage() -> None:
    with pytest.raises(TarDamage, match="header"):
        list(members(io.BytesIO(b"<html>" * 200), 1000))
    wrong = bytearray(packed("a", b"") + END)
    wrong[0] ^= 1
    with pytest.raises(TarDamage, match="checksum"):
        list(members(io.BytesIO(bytes(wrong)), 1000))


@pytest.mark.parametrize("kind", [b"0", b"5", b"L"])
def test_sizes_that_no_file_has_are_damage(kind: bytes) -> None:
    whole = bytearray(packed("a.jpg", b""))
    whole[124:136] = b"\x80" + (2**80).to_bytes(11, "big")
    whole[156:157] = kind
    whole[148:156] = b" " * 8
    whole[148:156] = b"%06o\0 " % sum(whole[:512])
    with pytest.raises(TarDamage):
        list(members(io.BytesIO(bytes(whole) + END), 100))


def test_samples_are_known_by_their_path_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WebDataset's rule: cat/0 and dog/0 are two samples, and dog's picture never meets cat's caption."""
    with open(tmp_path / "0.tar", "wb") as archive:
        for name in ("./cat/0.jpg", "./cat/0.txt", "dog/0.jpg", "dog/0.a", "dog/0.b"):
            add(archive, name, name.encode())
        archive.write(END)
    monkeypatch.setattr("newtest.pool.storage.tars.MAX_SAMPLE", 20)
    shard = Shard("0", Entry("0.parquet", 0), Entry("0.tar", 0))
    one, two = samples(Pool(str(tmp_path), (), ""), shard)
    assert (one.key, sorted(one.members), one.too_big) == ("cat/0", ["jpg"], ["txt"])
    assert (two.key, sorted(two.members), two.too_big) == ("dog/0", ["a", "jpg"], ["b"])
    (only,) = samples(Pool(str(tmp_path), (), ""), shard, {"dog/0"})
    assert only.image == b"dog/0.jpg"


def test_two_pictures_of_one_sample_are_never_one_in_silence(tmp_path: Path) -> None:
    """``a.jpg`` beside ``a.png``: nobody knows which is meant, so neither is taken unless one is chosen."""
    import io
    import tarfile

    from PIL import Image

    from newtest.pool.importing import import_tars
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.tars import samples

    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name, shade in (("a.jpg", 10), ("a.png", 200), ("b.jpg", 90)):
            data = io.BytesIO()
            Image.new("L", (40, 30), shade).save(data, "JPEG" if name.endswith("jpg") else "PNG")
            info = tarfile.TarInfo(name)
            info.size = len(data.getvalue())
            tar.addfile(info, io.BytesIO(data.getvalue()))
    [done] = import_tars(tmp_path)
    assert done.rows == 2 and done.left_out == (
        ("a", "several images (jpg, png); choose one with `image_col`"),
    )
    for chosen, found in ((None, [False, True]), ("png", [True, True])):
        pool = open_pool(tmp_path, image_col=chosen)
        assert [sample.image is not None for sample in samples(pool, pool.shards[0])] == found
