"""Python on the pages: what a block imports is there, and so is every dotted name of newtest in the text.

Found by a reader: two blocks failed at their first line, for nothing ran them. Blocks of docs/python.md and of the
tutorials run whole elsewhere; others need the reader's own data, so here their imports and names are looked up.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import newtest
from newtest.frequency import ScoredSet, VoteCounts
from newtest.study import Study

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
TO_BE_WRITTEN = {"newtest/sources/yours.py"}
"""Files that a page asks its reader to write."""
NOT_PYTHON = {"newtest.failed", "newtest.known"}
"""Keys in the metadata of Parquet files."""
DOTTED = re.compile(r"`(newtest(?:\.\w+)+)[`(]")


def blocks() -> list[tuple[str, str]]:
    return [(page.name, block) for page in PAGES for block in BLOCK.findall(page.read_text("utf-8"))]


def found(dotted: str) -> bool:
    """Whether a dotted name is a module, or leads to something inside one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if not hasattr(thing, name):
                return False
            thing = getattr(thing, name)
        return True
    return False


def missing(block: str) -> list[str]:
    """The imports and names of newtest in a block that are not there."""
    wrong = []
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "newtest":
            wrong += [
                f"{node.module}.{one.name}" for one in node.names if not found(f"{node.module}.{one.name}")
            ]
        elif isinstance(node, ast.Import):
            wrong += [
                one.name for one in node.names if one.name.startswith("newtest") and not found(one.name)
            ]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nt":
            wrong += [] if hasattr(newtest, node.attr) else [f"nt.{node.attr}"]
    return wrong


@pytest.mark.parametrize(
    ("page", "block"), blocks(), ids=[f"{page}-{at}" for at, (page, _) in enumerate(blocks())]
)
def test_what_a_block_imports_is_there(page: str, block: str) -> None:
    assert not missing(block)


def test_what_is_not_there_is_found_missing() -> None:
    block = "from newtest.sampling.bias import ScoredSet\nimport newtest as nt\nnt.no_such_name()\nnt.sample"
    assert missing(block) == ["newtest.sampling.bias.ScoredSet", "nt.no_such_name"]
    assert not found("newtest.evaluation.report.build_report")
    assert len(blocks()) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_dotted_names_of_a_page_lead_somewhere(page: Path) -> None:
    names = set(DOTTED.findall(page.read_text("utf-8"))) - NOT_PYTHON
    assert not [name for name in sorted(names) if not found(name)]


def given(page: str, folder: Path) -> dict[str, object]:
    """What a page's block takes for granted: names, and files in the folder."""
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((30, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if page == "bias-gap.md":
        shown = np.full(40, 10)
        counts = VoteCounts(draw.binomial(10, 0.7, 40), shown)
        return {
            "num_selected": draw.binomial(10, 0.8, 40), "num_shown": shown, "correct": draw.integers(0, 2, 40),
            "replica": ScoredSet(counts, draw.integers(0, 2, 40).astype(float)),
        }  # fmt: skip
    if page == "neighbours.md":
        np.save(folder / "embeddings.npy", rows)
        return {"queries": rows[:3], "base": rows, "a": rows[:10], "b": rows}
    if page == "pool-scores.md":
        torch.save(torch.nn.Linear(768, 1).state_dict(), folder / "aesthetic.pt")
    if page == "fetch.md":
        Study(folder / "goldfish", create=True).close()
    return {}


@pytest.mark.parametrize("page", ["bias-gap.md", "fetch.md", "neighbours.md", "pool-scores.md"])
def test_a_block_runs_with_what_it_takes_for_granted(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = given(page, tmp_path)
    (block,) = BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))
    exec(compile(block, page, "exec"), names)
    made = {
        "bias-gap.md": "gap",
        "fetch.md": "summary",
        "neighbours.md": "indices",
        "pool-scores.md": "aesthetic",
    }
    assert names[made[page]] is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_checkout_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:newtest|tests|benchmarks|docs|pipelines)/[\w./-]+)`", page.read_text("utf-8"))
    assert not [name for name in sorted(set(named) - TO_BE_WRITTEN) if not (ROOT / name).exists()]
