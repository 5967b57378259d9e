"""What pages and help say of other programs ("as X does", "X's own") is in the table of ``docs/compatibility.md``, with
the test that shows it, or with "not verified".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from newtest.cli.app import command

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "DataComp|MetaCLIP|LAION|LAIONet|ImageNot|ImageNetV2|ImageNet|CIFAR-10.1|img2dataset|open_clip|timm|torchvision|MTurk|"
    "Flickr|Openverse|Hugging Face|datasets|webdataset|mlcroissant|Croissant|FiftyOne|Label Studio|Prolific|FAISS|"
    "SemDeDup|pandas|NumPy|Polars|DuckDB|scikit-learn|WordNet|WiSE-FT|testbed|fastText|cld3|clip-retrieval|Amazon|AWS|Keras|lm-eval|"
    "PyTorch|CLIP_benchmark|CLIP|OpenAI|crowd-kit|cleanlab|Radford"
)
CLAIM = re.compile(
    rf"\b(?:as|like|the way)\s+(?:for |on |in |by )?(?:the |our )?`?(?:{TOOLS})\b(?!-| tasks| files)"
    rf"|\b(?:{TOOLS})`?'s? own\b(?! market)"
)
ROW = re.compile(r"^\| `(?P<page>[^`]+)` \| (?P<words>[^|]+) \| (?P<shown>[^|]+) \|$", re.MULTILINE)


def helps() -> dict[str, str]:
    """The help of each command, with that of its options."""
    found: dict[str, str] = {}

    def walk(name: str, command: Any) -> None:
        inner = getattr(command, "commands", {})
        if not inner:
            parts = [command.help, *(getattr(parameter, "help", None) for parameter in command.params)]
            found[name] = plain(" | ".join(part for part in parts if part))
        for word, one in inner.items():
            walk(f"{name} {word}", one)

    walk("newtest", command())
    return found


def plain(text: str) -> str:
    return " ".join(text.split())


HELPS = helps()
PAGES = sorted(HELPS) + sorted(
    page.relative_to(ROOT).as_posix()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    if page.name not in ("compatibility.md", "python-names.md")
)


def claims() -> list[tuple[str, str, str]]:
    table = (ROOT / "docs" / "compatibility.md").read_text("utf-8").partition("## Claims")[2]
    return [(row["page"], plain(row["words"]), row["shown"]) for row in ROW.finditer(table)]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_of_other_programs_is_in_the_table(page: str) -> None:
    text = HELPS.get(page) or plain((ROOT / page).read_text("utf-8"))
    known: list[tuple[int, int]] = []
    for _, words, _ in (row for row in claims() if row[0] == page):
        assert words in text, f"{page} no longer says {words!r}: take the row out"
        known += [(found.start(), found.end()) for found in re.finditer(re.escape(words), text)]
    missing = [
        text[max(0, found.start() - 60) : found.end() + 60]
        for found in CLAIM.finditer(text)
        if not any(start <= found.start() and found.end() <= end for start, end in known)
    ]
    assert not missing, "test it and add a row to docs/compatibility.md, or do not say it"


def test_each_claim_names_a_test_or_says_that_there_is_none() -> None:
    assert len(claims()) > 20
    for page, words, shown in claims():
        tests = re.findall(r"`(tests/[^`]+\.py)`", shown)
        assert tests or "not verified" in shown, (page, words)
        for one in tests:
            assert (ROOT / one).is_file(), one
