"""Lists and tables of one thing a line: what parts lines, and marks at the beginning of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newtest.cli.class_options import lines_of as words_of
from newtest.clip.prompts import read_lines as read_templates
from newtest.evaluation.scoring.class_lists import read_classes
from newtest.pool.queries import read_queries
from newtest.pool.url_tables import url_tables
from newtest.reading.texts import lines_of, read_lines
from newtest.sets.tables import read_rows

NAME = "part\u2028ed\x85 \x0bname\x1c"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\nb\r\nc\rd\n", ["a", "b", "c", "d"]),
        ("\n\n", ["", ""]),
        (f"{NAME}\n", [NAME]),
    ],
)
def test_lines_end_where_editors_end_them(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_with_marks_and_odd_separators_are_read_whole(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(f"dog {NAME[:-1]}\r\ncat\r\n".encode(encoding))
    whole = [f"dog {NAME[:-1]}", "cat"]
    assert read_lines(path) == whole
    assert words_of(path) == whole
    assert list(read_classes(path)) == whole
    assert len(read_queries(path)) == 2
    assert read_queries(path)[0].startswith("dog")
    path.write_bytes("a photo of {}\n".encode(encoding))
    assert read_templates(path, templates=True) == ("a photo of {}",)


def test_json_lines_may_hold_separators_in_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"image_id": f"{k}", "wnid": NAME, "url": "http://a.b/c", "text": NAME} for k in range(2)]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert [row["wnid"] for row in read_rows(path)] == [NAME] * 2
    assert [row["text"] for table in url_tables(str(path)).batches(10) for row in table.to_pylist()] == [
        NAME
    ] * 2
