"""Our reader and writer against Python's own tarfile."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.pool.tar_format import END, TarDamage, members, packed

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


def test_bytes_that_are_no_header_are_damage() -> None:
    with pytest.raises(TarDamage, match="header"):
        list(members(io.BytesIO(b"<html>" * 200), 1000))
    wrong = bytearray(packed("a", b"") + END)
    wrong[0] ^= 1
    with pytest.raises(TarDamage, match="checksum"):
        list(members(io.BytesIO(bytes(wrong)), 1000))
