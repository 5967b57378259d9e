"""The site builds without a warning, lacks no command, option or public name, and its commands are commands."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from plain_english import complaints

from newtest.cli.app import command
from newtest.cli.wording import all_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
TYPED = re.compile(r"^(?:\$ )?(newtest(?: .*)?)$")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of each newtest command in blocks of code, behind the program's name."""
    fenced = re.findall(r"^```(\S*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if language in ("", "sh", "bash", "console")]
    blocks += re.findall(r"(?:^    .*\n?)+", text, flags=re.MULTILINE)
    for block in blocks:
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if (found := TYPED.match(line.strip())) and "..." not in line:
                words = shlex.split(found[1], comments=True)[1:]
                ends = [at for at, word in enumerate(words) if word in ("|", ">", ";", "&&", "&")]
                yield words[: ends[0]] if ends else words


@cache
def root() -> Any:
    return command()


def parse(words: list[str]) -> None:
    """Raise where an option or command is not there."""
    inner = root()
    words = list(words)
    while hasattr(inner, "commands") and words and not words[0].startswith("-"):
        inner = inner.commands[words.pop(0)]
    if hasattr(inner, "commands"):
        return
    context = inner.make_context("x", [], resilient_parsing=True)
    context.resilient_parsing = False
    inner.make_parser(context).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_pages_parse(page: Path) -> None:
    wrong = []
    for words in commands_of(page.read_text()):
        try:
            parse(words)
        except Exception as error:
            wrong.append((" ".join(words), str(error) or repr(error)))
    assert not wrong


def test_a_command_that_is_not_one_would_be_found() -> None:
    with pytest.raises(KeyError):
        parse(["no-such-command"])
    with pytest.raises(Exception, match="no-such-option"):
        parse(["sample", "--no-such-option"])
    assert list(commands_of("```\n$ newtest sample --seed 1 \\\n    --name a  # why\n```\n")) == [
        ["sample", "--seed", "1", "--name", "a"]
    ]


def test_every_command_and_option_has_its_page() -> None:
    commands = script("commands")
    written = "".join(commands.page(name, inner) for name, inner in commands.every_command())
    assert written.count("| option or argument |") == len(list(all_commands(command())))
    for inner in all_commands(command()):
        for parameter in inner.params:
            if not getattr(parameter, "hidden", False) and parameter.opts[0].startswith("--"):
                assert parameter.opts[0] in written, (inner.name, parameter.opts)
    assert not list(complaints(written))


def test_the_site_builds_without_a_warning_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        str(tmp_path / "trees"),
    ]
    done = subprocess.run(
        [*build, str(ROOT / "docs"), str(tmp_path / "site")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    check_site = script("check_site")
    assert not check_site.problems(tmp_path / "site")
    for name in ("sample", "annotate", "doctor"):
        assert (tmp_path / "site" / "reference" / f"{name}.html").exists()
    assert "of --strategy threshold" in (tmp_path / "site" / "reference" / "sample.html").read_text()
    (tmp_path / "site" / "bad.html").write_text('<a href="no.html"></a><img src="https://x.example/a.png">')
    assert len(check_site.problems(tmp_path / "site")) == 2


def test_the_tutorial_has_the_commands_that_the_test_of_the_demo_runs() -> None:
    from newtest.demo.pages import BY_HAND

    tutorial = {" ".join(words) for words in commands_of((ROOT / "docs" / "tutorial-digits.md").read_text())}
    assert tutorial >= {typed.removeprefix("newtest ") for typed in BY_HAND}


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 120
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / link).exists()]


def test_what_the_tests_verify_has_its_row() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text().lower().partition("\n## claims")[0]
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 40
    verified = ("yes", "by hand", "one machine", "in part", "client only", "not verified")
    assert not [row for row in rows if row.rstrip("| ").split("| ")[-1].strip() not in verified]
    tests = ROOT / "tests" / "conformance"
    for about, words in PAGE_WORDS.items():
        assert list(tests.glob(f"test_*{about}.py")), f"{about} is tested no more"
        assert not [word for word in words if word.lower() not in page], about


PAGE_WORDS = {
    "classifier_transforms": ("torchvision: weights by name", "timm: transforms"),
    "image_colours_in_a_browser": ("Chromium",),
    "image_folders": ("ImageFolder",),
    "img2dataset": ("img2dataset",),
    "import_pool": ("webdataset", "metadata.csv"),
    "label_studio": ("Label Studio",),
    "open_clip_pixels": ("open_clip: pixels",),
    "pools": ("Polars", "pandas"),
    "predictions_of_others": ("timm's `inference.py`", "lm-evaluation-harness"),
    "releases_in_hubs": ("Croissant", "Hugging Face `datasets`"),
    "sources": ("Flickr", "Openverse"),
}
"""A test of tests/conformance -> what its rows on the page say."""


def test_each_picture_is_made_by_the_build_or_named_as_made_by_hand() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    by_hand = {"label-efficiency.png", "zero-shot-line.png"}
    made = (docs / "pictures.py").read_text() + (docs / "figures" / "bias.py").read_text()
    pictures = [path for form in ("*.png", "*/*.png", "*/*.jpg") for path in docs.glob(form)]
    assert len(pictures) > 12
    named = set(re.findall(r"[\w-]+\.(?:png|jpg)", made)) | {"crowd-desk.jpg", "crowd-phone.jpg"}
    assert {path.name for path in pictures} - named == by_hand


def test_the_script_for_slurm_is_one(tmp_path: Path) -> None:
    """Bash reads it, and what srun starts is bound to the cores that the job asks for (Slurm 22.05 and later)."""
    (script,) = re.findall(
        r"^```bash\n(#!/bin/bash.*?)^```", (ROOT / "docs" / "ray.md").read_text(), re.S | re.M
    )
    (tmp_path / "job.sh").write_text(script)
    subprocess.run(["bash", "-n", tmp_path / "job.sh"], check=True)
    lines = re.sub(r"\\\n\s*", " ", script).splitlines()
    starting = [line for line in lines if "ray start" in line]
    assert len(starting) == 2 and all('--cpus-per-task="$cores"' in line for line in starting)
    assert all(line.startswith("#SBATCH --") for line in lines[1:6])
