"""The library names fields, the command line names flags, and one file knows both."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import commands
import pytest

from newtest.cli.app import command
from newtest.cli.wording import OTHERWISE, all_commands, flag_of, in_flags

PACKAGE = Path(__file__).resolve().parents[2] / "newtest"
COMMANDS_SHOWN = ("demo/pages.py", "doctor/checks.py", "doctor/extras.py")  # they print commands to be typed
WITHOUT_A_FLAG = {"max_bytes", "max_pixels", "read_ahead"}  # settings of Python alone
FLAG = re.compile(r"--[a-z]")
FIELD = re.compile(r"(?<!`)`([a-z][a-z0-9_]*)`(?!`)")


def library() -> Iterator[tuple[str, str]]:
    """Each string of the library with its place, docstrings included."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("cli/") and name not in COMMANDS_SHOWN:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{name}:{node.lineno}", node.value


def test_the_library_names_no_flag() -> None:
    assert not [(where, text[:80]) for where, text in library() if FLAG.search(text)]


def test_every_field_that_the_library_names_has_a_flag() -> None:
    root = command()
    named = {field for _, text in library() for field in FIELD.findall(text)}
    assert {"per_class", "class_thresholds", "unit"} <= named  # the scan sees them
    assert {field for field in named if flag_of(field, root, root) is None} == WITHOUT_A_FLAG & named


def test_the_table_of_exceptions_names_flags_that_exist() -> None:
    flags = {option for each in all_commands(command()) for one in each.params for option in one.opts}
    assert set(OTHERWISE.values()) <= flags


@pytest.mark.parametrize(
    ("words", "message", "said"),
    [
        (["sample"], "`per_class` must be at least 1", "--per-class must be at least 1"),
        (["evaluate"], "name the model with `reversed_models`", "name the model with --reversed"),
        (["diagnose", "a-0"], "no `revision` of that name", "no REVISION of that name"),
        (["fetch-pool"], "allow it with `allow_private`", "allow it with --allow-private"),
        (["annotate", "plan"], "`classes` are empty", "--class are empty"),
        (["status"], "`no_such_field` and ``per_class``", "`no_such_field` and ``per_class``"),
    ],
)
def test_fields_become_the_flags_of_the_command_that_runs(
    words: list[str], message: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["newtest", *words])
    assert in_flags(message) == said


def test_an_error_of_the_library_ends_a_command_with_its_flag(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = commands.newtest(*arguments, cwd=tmp_path)
        assert done.returncode in (1, 2) and not done.stdout
        return done.stderr

    assert said("sample", "--per-class", "0") == "newtest: --per-class must be at least 1, got 0\n"
    assert "name one with --study or NEWTEST_STUDY" in said("status")
    assert said("filter-pool", ".", "--basic", "--combine", "xor").startswith(
        "newtest: --combine is 'and' or"
    )
