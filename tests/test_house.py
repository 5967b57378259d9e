"""The size of the rooms: a module is read in one go, and a crowded one is split."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent


def test_no_module_has_more_than_320_lines_and_half_have_fewer_than_120() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / "newtest").rglob("*.py")
    }
    assert not {name: number for name, number in lines.items() if number > 320}
    assert median(lines.values()) < 120


OPENED_BY_LIBRARIES = {
    "newtest/evaluation/scoring/opening.py": "gzip.open(packed)",
    "newtest/reading/zips.py": "zipfile.ZipFile(source)",
}
NOT_FILES = ("newtest/files.py", "newtest/images/memory.py", "newtest/templates.py")
"""The door itself, what the kernel tells, and what comes with the package."""


def test_files_are_read_through_the_one_door() -> None:
    """``newtest.files`` refuses pipes, sockets and devices; ``open(path)`` would wait for a pipe's writer."""
    found = {
        (name, read)
        for path in sorted((ROOT / "newtest").rglob("*.py"))
        if (name := str(path.relative_to(ROOT))) not in NOT_FILES
        for read in reads(ast.parse(path.read_text()))
    }
    assert found == set(OPENED_BY_LIBRARIES.items())


def reads(tree: ast.AST) -> Iterator[str]:
    """The calls that open a file to read it, resources of the package left out."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, text = ast.unparse(node.func), ast.unparse(node)
        if (
            (called == "open" and not set(_mode(node)) & set("wxa+"))
            or (called.endswith((".read_text", ".read_bytes")) and "files(" not in called)
            or (called in ("gzip.open", "bz2.open", "lzma.open", "tarfile.open", "zipfile.ZipFile", "io.open")
                and not set(_mode(node)) & set("wxa"))
            or (called == "os.open" and "O_RDONLY" in text and "O_DIRECTORY" not in text)
        ):  # fmt: skip
            yield text


def _mode(call: ast.Call) -> str:
    given = call.args[1] if len(call.args) > 1 else None
    return str(given.value) if isinstance(given, ast.Constant) else "r"


def test_reads_are_found() -> None:
    source = """
open(a)
open(a, "rb")
open(a, "w")
a.read_text()
files("x").read_text()
gzip.open(a)
os.open(a, os.O_RDONLY)
"""
    assert list(reads(ast.parse(source))) == [
        "open(a)", "open(a, 'rb')", "a.read_text()", "gzip.open(a)", "os.open(a, os.O_RDONLY)"
    ]  # fmt: skip
