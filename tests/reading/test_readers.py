"""Each reader of strangers' files: what it reads, what it refuses and in which words, and that nobody goes round it."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.clip.weights.opening import open_tensors
from newtest.errors import NewtestError, WeightsError
from newtest.files import NotAFile
from newtest.reading import texts
from newtest.reading.arrays import load_array, open_arrays
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import MOST_DEPTH, parse_json, read_json
from newtest.reading.parquet import batches, open_parquet, read_parquet
from newtest.reading.separated import MOST_CELL, first_row, line_of, named_rows, read_separated
from newtest.reading.tars import TarDamage, members, places
from newtest.reading.text_tables import text_batches, text_table
from newtest.reading.texts import read_bytes, read_text
from newtest.reading.tomls import parse_toml

SOURCES = Path(__file__).resolve().parents[2] / "newtest"


def test_what_nobody_catches_is_still_a_sentence_of_ours() -> None:
    assert issubclass(Unreadable, NewtestError)
    assert issubclass(Unreadable, ValueError)


def test_no_room_goes_round_the_readers() -> None:
    others = re.compile(
        r"\b(np\.load|tomllib\.loads?|csv\.(DictReader|reader|open_csv|read_csv)|torch(\(\))?\.load|pd\.read_(csv|json|parquet|pickle)|json\.loads?|pickle\.loads?"
        r"|pq\.(ParquetFile|read_table|read_schema)|tarfile\.open)\("
    )
    own = {"crowd/languages/__init__.py", "demo/pages.py"}  # files that newtest itself made
    own |= {
        "clip/tensor_files.py",
        "clip/efficientnet.py",
        "evaluation/scoring/classifiers.py",
    }  # a reader; weights of an installed package
    writes = {"releasing/formats.py"}  # a tar, written
    found = [
        str(path.relative_to(SOURCES))
        for path in sorted(SOURCES.rglob("*.py"))
        if path.parent.name != "reading"
        and path.name != "tensor_files.py"
        and others.search(path.read_text(encoding="utf-8"))
    ]
    assert set(found) <= own | writes


# JSON


def test_json_is_as_pythons_own_reader_has_it() -> None:
    text = '{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00 [{"], "b": {"c": 18446744073709551615}}'
    assert parse_json(text) == json.loads(text)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert parse_json(text.encode(encoding)) == json.loads(text)


def test_brackets_in_texts_are_no_depth() -> None:
    texts_ = ["[" * 500, '\\"[{' * 200, "]" * 300]
    assert parse_json(json.dumps(texts_)) == texts_
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200 + "]" * 200,
        "[" * 100_000,
        '{"a":' * 100_000,
        '["]]]]]]]]]]]]]",' * 101 + "1" + "]" * 101,
        '"\\"' * 50_000 + "[" * 200,
    ],
    ids=["closed", "open", "objects", "brackets in texts", "no end of a text"],
)
def test_json_too_deep_is_refused_in_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested too deep|Expecting|Extra data"):
        parse_json(text)


def test_half_a_surrogate_pair_becomes_a_mark_and_a_whole_one_stays() -> None:
    assert parse_json(r'["\ud800", "\ude00\ud83d", "\ud83d\ude00", "\\ud800"]') == [
        "\ufffd", "\ufffd\ufffd", "\U0001f600", "\\ud800"
    ]  # fmt: skip


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 25, str(1 << 64), f"-{(1 << 63) + 1}"])
def test_whole_numbers_beyond_64_bits_are_refused(digits: str) -> None:
    with pytest.raises(Unreadable, match="write long ids as texts"):
        parse_json(f'{{"id": {digits}}}')


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\xed\xa0\x80", b'["\xe9"]', b"\x00", b""])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not text|Expecting"):
        parse_json(data)


# Texts


def test_a_file_of_a_terabyte_is_left_at_the_limit(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(Unreadable, match="more than 1 MiB"):
        read_bytes(tmp_path / "sparse", 1 << 20)
    with pytest.raises(NotAFile, match="/dev/zero: a device"):  # which has no end
        read_bytes(Path("/dev/zero"), 1 << 20)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_a_sentence(name: str) -> None:
    with pytest.raises(Unreadable, match="no file can have this name"):
        read_text(Path(name))


def test_a_json_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = tmp_path / "large.json"
    with open(large, "wb") as handle:
        handle.truncate(texts.MOST_TEXT + 1)
    with pytest.raises(Unreadable, match="MiB"):
        read_json(large, 1 << 20)


# TOML


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "not TOML"),
        ("a." * 100_000 + "b = 1", "a key of more than 64 parts"),
        ("[" + "a." * 100_000 + "b]", "a key of more than 64 parts"),
        ("a = { " + '"a" . ' * 100_000 + "b = 1}", "a key of more than 64 parts"),
        ("a = " + "9" * 5000, "not TOML|Exceeds"),
        ("a = ", "Invalid value"),
    ],
)
def test_toml_of_strangers(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_toml(text)


def test_toml_with_dots_in_its_texts_is_read() -> None:
    assert parse_toml('a = "x............................................................................y"')
    assert parse_toml('[n.a."b.c"]\nlemmas = ["a.b"]') == {"n": {"a": {"b.c": {"lemmas": ["a.b"]}}}}


# CSV


def test_rows_by_name_whatever_their_length() -> None:
    header, rows = named_rows("a,b\n1\n2,3,4\n\n5,6\n")
    assert header == ["a", "b"]
    assert list(rows) == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}, {"a": "5", "b": "6"}]
    with pytest.raises(Unreadable, match="row 2 has more cells"):
        list(named_rows("a,b\n1\n2,3,4\n", strict=True)[1])


def test_a_cell_without_an_end_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"line 2.*unexpected end"):
        list(named_rows('a,b\n"' + "x" * (2 << 20))[1])
    with pytest.raises(Unreadable, match=r"line 2.*unexpected end"):
        list(named_rows('a,b\n1,"2\n3,4\n5,6\n')[1])


def test_a_long_header_of_an_array_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(100))
    tracemalloc.start()
    with pytest.raises(Unreadable, match="a header of 2,147,483,647 bytes"):
        load_array(path)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_a_cell_beyond_its_limit_is_refused() -> None:
    assert csv.field_size_limit() == MOST_CELL  # of the process: no room sets another
    csv.field_size_limit(1 << 20)
    try:
        with pytest.raises(Unreadable, match=r"line 2.*field larger"):
            list(named_rows('a,b\n"' + "x" * (2 << 20) + '",1\n')[1])
    finally:
        csv.field_size_limit(MOST_CELL)


def test_texts_a_piece_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('sep=;\na;b\n1;"x\ny"\n\n01;NA\n')
    rows = [
        row for batch in text_batches(path, ["a", "b"], delimiter=";", skip=1) for row in batch.to_pylist()
    ]
    assert rows == [{"a": "1", "b": "x\ny"}, {"a": "01", "b": "NA"}]
    with open(path, newline="") as lines:
        assert line_of(lines, ";", 1, before=2) == 6
    with open(path, newline="") as lines, pytest.raises(Unreadable, match="no row 3"):
        line_of(lines, ";", 2, before=2)
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(Unreadable, match="separated values"):
        list(text_batches(path, ["a", "b"], delimiter=","))
    with pytest.raises(Unreadable, match="columns"):
        first_row(io.StringIO("," * 200_000), ",")
    with pytest.raises(Unreadable, match="columns"):
        text_table(b"," * 200_000 + b"\n", ",")


def test_a_limit_takes_no_memory_before_the_bytes(tmp_path: Path) -> None:
    """``handle.read(1 << 50)`` would ask for a petabyte."""
    (tmp_path / "a.txt").write_bytes(b"x" * (3 << 20))
    assert read_bytes(tmp_path / "a.txt", 1 << 50) == b"x" * (3 << 20)


def test_a_table_that_pandas_refuses(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b'a,b\n"' + b"\0" * 40)
    with pytest.raises(ValueError, match=r"EOF|a NUL byte"):
        read_separated(table)


# npy and npz


def header(descr: str, shape: str, version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        header("'<f8'", "(1000000000000,)"),
        header("'<f8'", "(-1,)") + bytes(64),
        header("'<f8'", "(2**70,)"),
        header("'<f8'", "(" + "1," * 60 + ")") + bytes(64),
        header("'|O'", "(1,)") + b"cos\nsystem\n(S'true'\ntR.",
        header("(" * 3000, "(1,)"),
        header("'<V0'", "(1000000000000,)"),
        header("'<f8'", "(3,)", 9) + bytes(24),
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f",
        b"\x93NUMPY",
        b"",
        b"\x80\x04\x95",
    ],
)
def test_arrays_that_are_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    for mapped in (False, True):
        with pytest.raises(Unreadable):
            load_array(path, mapped=mapped)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_as_numpy_has_them(order: str, tmp_path: Path) -> None:
    for array in (
        np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((0, 5)), np.array(7), np.array(["é", "b"]),
        np.zeros(3, "u8,u8"), np.arange(6, dtype=">i4").reshape(1, 2, 3),
    ):  # fmt: skip
        path = tmp_path / "a.npy"
        np.save(path, np.asarray(array, order=order))  # type: ignore[call-overload]
        for mapped in (False, True):
            found = load_array(path, mapped=mapped)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)
        np.savez_compressed(tmp_path / "a.npz", one=array, two=array)
        with open_arrays(tmp_path / "a.npz") as arrays:
            assert arrays.files == ["one", "two"]
            np.testing.assert_array_equal(arrays["two"], array)


def test_an_archive_that_unpacks_to_more_than_it_is_worth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(header("'<f8'", f"({(300 << 20) // 8},)"))
        for _ in range(300):
            member.write(bytes(1 << 20))
    with open_arrays(path) as arrays, pytest.raises(Unreadable, match="packed to a 200th"):
        arrays["a"]


# Parquet


def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"text": ["a good caption", "marker"]}), path, compression="none", use_dictionary=False
    )
    path.write_bytes(path.read_bytes().replace(b"marker", b"m\xff\xferk\xc3"))
    with pytest.raises(Unreadable, match="not a Parquet"):
        read_parquet(path)
    with pytest.raises(Unreadable, match="UTF8"), open_parquet(path) as file:
        list(batches(file, 10))


@pytest.mark.parametrize("cut", [0, 3, 20, -9, -1])
def test_a_parquet_file_cut_short(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1, 2]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Unreadable, match="not a Parquet"):
        read_parquet(path)


# Tars


def tar_header(name: bytes, size: int, kind: bytes = b"0") -> bytes:
    told = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    front = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + told + b"00000000000\0"
    back = kind + bytes(100) + b"ustar\x0000" + bytes(247)
    return front + b"%06o\0 " % (sum(front) + 256 + sum(back)) + back


def pax(record: bytes) -> bytes:
    return tar_header(b"pax", len(record), b"x") + record + bytes(-len(record) % 512)


END = bytes(1024)


@pytest.mark.parametrize(
    "data",
    [
        tar_header(b"a.jpg", (1 << 63) - 1) + END,
        tar_header(b"a.jpg", 1 << 40) + END,
        tar_header(b"a.jpg", 513) + bytes(512),
        tar_header(b"a.jpg", 0)[:-1] + b"x" + END,
    ],
)
def test_a_member_larger_than_the_rest_of_its_file_is_damage(data: bytes) -> None:
    with pytest.raises(TarDamage):
        list(places(io.BytesIO(data)))
    with pytest.raises(TarDamage):
        list(members(io.BytesIO(data), 1 << 20))


def test_a_sparse_member_is_no_file_and_is_told() -> None:
    data = tar_header(b"a.jpg", 0, b"S") + tar_header(b"b.jpg", 2) + b"ok".ljust(512, b"\0") + END
    told: list[tuple[str, str]] = []
    assert list(members(io.BytesIO(data), 99, None, lambda *one: told.append(one))) == [("b.jpg", b"ok")]
    assert told == [("a.jpg", "a sparse file")]
    assert [name for name, _, _ in places(io.BytesIO(data))] == ["b.jpg"]


RECORDS = [b"9" * 5000 + b" path=a\n", b"-1 path=a\n", b"0 path=a\n", b"path", b"\xb2 path=a\n"]


@pytest.mark.parametrize("record", RECORDS)
def test_pax_records_that_are_none_name_nothing(record: bytes) -> None:
    data = pax(record) + tar_header(b"b.jpg", 2) + b"ok".ljust(512, b"\0") + END
    assert list(members(io.BytesIO(data), 99)) == [("b.jpg", b"ok")]


def test_places_are_those_of_tarfile(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.jpg", "d/" + "é" * 150 + ".jpg", "empty.txt"):
            info = tarfile.TarInfo(name)
            info.size = 0 if name == "empty.txt" else 700
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    with tarfile.open(path) as tar, open(path, "rb") as handle:
        assert list(places(handle)) == [(one.name, one.offset_data, one.size) for one in tar]


def test_a_member_of_a_zip_that_claims_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    """Found by fuzzing: zipfile takes the memory that the directory claims before it reads a byte."""
    np.savez(tmp_path / "a.npz", a=np.arange(4))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 20 : entry + 24] = (1 << 30).to_bytes(4, "little")  # the packed size, in the directory
    (tmp_path / "a.npz").write_bytes(data)
    with (
        pytest.raises(Unreadable, match=r"'a.npy' claims 1,073,741,824 bytes of a file of"),
        open_arrays(tmp_path / "a.npz"),
    ):
        pass
    with pytest.raises(WeightsError, match="claims 1,073,741,824 bytes"):
        open_tensors(tmp_path / "a.npz")
