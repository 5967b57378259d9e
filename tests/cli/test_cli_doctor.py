"""newtest doctor, newtest without arguments, and shell completion."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from newtest.cli.app import command
from newtest.cli.stories import STORIES, told
from newtest.doctor import EXTRAS, checks, examine, extras
from newtest.doctor.extras import Package

ROOT = Path(__file__).resolve().parents[2]
NEWTEST = [sys.executable, "-c", "import sys; sys.argv[0] = 'newtest'; from newtest.cli import main; main()"]
OF_DEVELOPERS = {"all", "lint", "test", "docs"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NEWTEST, *arguments], capture_output=True, text=True, env=os.environ | environment, timeout=120
    )


def test_every_extra_has_a_line_and_every_error_names_one_of_them() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - OF_DEVELOPERS
    page = (ROOT / "docs" / "install.md").read_text()
    assert not [name for name in EXTRAS if f"`{name}`" not in page]
    raised = {
        node.args[1].value
        for path in (ROOT / "newtest").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MissingExtra" and len(node.args) == 2
        if isinstance(node.args[1], ast.Constant)
    }  # fmt: skip
    assert len(raised) >= 6 and raised <= set(EXTRAS)


def test_a_missing_or_old_package_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.0",
        "nosuchpackage>=1.5",
        "torchx>=2; extra == 'clip'",
        "numpy>=99.1; extra == 'probe'",
    ]
    monkeypatch.setattr(extras, "requires", lambda _: lines)
    monkeypatch.setattr(checks, "_cuda", lambda: checks.Check("cuda", "missing", "", "", ""))
    found = {check.name: check for check in examine()}
    assert found["core"].state == "wrong" and "nosuchpackage is missing" in found["core"].found
    assert found["extra clip"].found == "torchx is missing"
    assert found["extra clip"].fix == 'pip install "newtest[clip]"'
    assert found["extra probe"].state == "missing" and "older than 99.1" in found["extra probe"].found


def test_versions_are_compared_by_number() -> None:
    assert Package("torch", "2.4", "2.13.0+cpu").usable
    assert not Package("torch", "2.14", "2.13.0+cpu").usable
    assert Package("any", "", "0.1").usable and not Package("any", "", None).usable


def test_doctor_says_where_wordnet_and_the_caches_are_and_shows_no_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wordnet = tmp_path / "wordnet"
    wordnet.mkdir()
    (wordnet / "data.noun").write_text("  1 WordNet 3.1 Copyright 2011\n")
    ended = run(
        "doctor", "--json", NEWTEST_WORDNET=str(wordnet), NEWTEST_CACHE=str(tmp_path / "file" / "c"),
        NEWTEST_STATE=str(tmp_path / "state"), PROLIFIC_TOKEN="a-secret", FLICKR_API_KEY="another",
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr  # the cache cannot be written
    found = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert found["wordnet"]["state"] == "missing" and "3.1" in found["wordnet"]["found"]
    assert "wordnet-base" in found["wordnet"]["fix"]
    assert found["cache"]["state"] == "wrong" and "NEWTEST_CACHE" in found["cache"]["fix"]
    assert found["state"]["state"] == "ok" and not (tmp_path / "state").exists()
    assert found["key prolific"]["state"] == "ok"
    assert found["key flickr"]["fix"] == "export FLICKR_API_SECRET=..."
    assert "a-secret" not in ended.stdout and "another" not in ended.stdout


def test_without_arguments_the_stories_are_told_and_their_commands_parse() -> None:
    ended = run()
    assert ended.returncode == 0 and ended.stdout.strip() == told()
    assert max(map(len, told().splitlines())) <= 80
    root = command()
    for _, commands in STORIES:
        for typed, _ in commands:
            words, inner = typed.split()[1:], root
            while hasattr(inner, "commands"):
                inner = inner.commands[words.pop(0)]
            inner.make_parser(inner.make_context("x", list(words), resilient_parsing=True)).parse_args(words)


def test_completion_answers() -> None:
    ended = run(_NEWTEST_COMPLETE="complete_bash", COMP_WORDS="newtest dedup", COMP_CWORD="1")
    assert ended.stdout.split() == ["dedup", "dedup-pool"]
    assert "_NEWTEST_COMPLETE" in run("--show-completion", "bash").stdout
