"""Help texts, messages and pages are in plain English, as far as patterns can tell (rules: CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plain_english import VERBS, complaints, long_sentences, long_sentences_of_page

from newtest.cli.app import command

ROOT = Path(__file__).resolve().parents[2]


def helps() -> Iterator[tuple[str, str, bool]]:
    """Each help text with its place, and whether it must begin with a verb: commands and flags, not values."""

    def walk(name: str, inner: Any) -> Iterator[tuple[str, str, bool]]:
        for text in (inner.help, inner.short_help):
            if text:
                yield name, text, True
        for parameter in inner.params:
            if getattr(parameter, "help", None):
                yield (
                    f"{name} {parameter.opts[0]}",
                    parameter.help,
                    bool(getattr(parameter, "is_flag", False)),
                )
        for child, below in getattr(inner, "commands", {}).items():
            yield from walk(f"{name} {child}", below)

    yield from walk("newtest", command())


def messages() -> Iterator[tuple[str, str]]:
    """Each string of the code that a user may see, with its place: all but docstrings."""
    for path in sorted((ROOT / "newtest").rglob("*.py")):
        tree = ast.parse(path.read_text())
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value
    for path in sorted((ROOT / "newtest").rglob("*")):
        if path.suffix in (".j2", ".html"):
            yield (
                str(path.relative_to(ROOT)),
                re.sub(r"\{[{%].*?[}%]\}", "", path.read_text(), flags=re.DOTALL),
            )


def pages() -> list[Path]:
    return [
        *sorted((ROOT / "docs").glob("*.md")),
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    ]


def prose(page: Path) -> str:
    """A page without its code, where other programs speak, and without what it quotes."""
    return re.sub(r"```.*?```|`[^`\n]*`|\"[^\"\n]*\"", "`x`", page.read_text(), flags=re.DOTALL)


def test_the_patterns_find_what_they_are_for() -> None:
    for text in (
        "Images a class.", "ten votes an image", "What costs money wants a total.", "none may still come",
        "a header that is none", "it is none of a, b", "a study goes on with what it looks by", "Of the bootstrap.",
        "what was killed goes on where it stopped", "said and not applied", "Reward an assignment",
        "the store does not do what it is asked", "What they leave with", "a number is wanted",
        "a row a cell", "one entry a vote", "a curve a set", "what is said of it", "a file that is no image",
        "as the line foretells", "acc, acc_norm or the like",
    ):  # fmt: skip
        assert list(complaints(text, is_help=True)), text
    for text in (
        "Make a HIT of an image.",
        "votes per image",
        "Images per class.",
        "what people want",
        "How many images a page shows.",
        "there is no image",
        "it is no longer there",
    ):
        assert not list(complaints(text, is_help=True)), text
    assert long_sentences_of_page("# Title\n\nshort.\n" + "word " * 26 + ".") and not long_sentences_of_page(
        "w " * 20
    )
    assert long_sentences("word " * 26 + ".") and not long_sentences("word " * 20 + ": " + "word " * 20)


def test_help_texts() -> None:
    found = [(where, complaint) for where, text, _ in helps() for complaint in complaints(text, is_help=True)]
    found += [(where, each) for where, text, _ in helps() for each in long_sentences(text)]
    assert not found


def test_help_of_commands_and_flags_begins_with_a_verb() -> None:
    def first(text: str) -> str:
        return text.split()[0].strip(".,:;").lower()

    assert not [(where, text[:60]) for where, text, verb in helps() if verb and first(text) not in VERBS]


def test_messages() -> None:
    assert not [(where, complaint) for where, text in messages() for complaint in complaints(text)]


def test_docstrings_and_comments() -> None:
    found = []
    for path in sorted((ROOT / "newtest").rglob("*.py")):
        code = path.read_text()
        texts = [
            str(node.value.value)
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ]
        texts += re.findall(r"^ *# (.*)$|  # (.*)$", code, flags=re.MULTILINE)
        for text in texts:
            flat = " ".join(" ".join(text).split() if isinstance(text, tuple) else text.split())
            found += [(path.relative_to(ROOT).as_posix(), each) for each in complaints(flat)]
    assert not found


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_pages(page: Path) -> None:
    assert not list(complaints(prose(page)))
    assert page.name == "python-names.md" or not long_sentences_of_page(prose(page))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_lines_of_a_page_have_at_most_100_characters(page: Path) -> None:
    lines = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL).splitlines()
    assert not [line for line in lines if len(line) > 100 and not line.startswith("|") and "](" not in line]
