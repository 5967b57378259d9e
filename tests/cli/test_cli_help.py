from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from newtest.cli.app import command
from newtest.cli.commands import COMMANDS
from newtest.cli.options import print_table

ROOT = Path(__file__).resolve().parents[2]
NEWTEST = [sys.executable, "-c", "from newtest.cli import main; main()"]
HEAVY = (
    "torch",
    "pandas",
    "numpy",
    "scipy",
    "ray",
    "faiss",
    "boto3",
    "flickrapi",
    "matplotlib",
    "polars",
    "aiohttp",
)


def every_command() -> list[tuple[str, Any]]:
    found = []

    def walk(name: str, command: Any) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found.append((name, command))
            return
        for child, inner in children.items():
            walk(f"{name} {child}", inner)

    walk("newtest", command())
    return found


def test_help_lists_the_commands_in_the_order_of_the_work_a_line_each() -> None:
    ended = subprocess.run(
        [*NEWTEST, "--help"], capture_output=True, text=True, env={"COLUMNS": "80", "PATH": ""}
    )
    lines = ended.stdout.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == [name for name, _, _ in COMMANDS]
    assert not [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize(("name", "command"), every_command(), ids=[name for name, _ in every_command()])
def test_every_command_has_an_example_and_json(name: str, command: Any) -> None:
    assert f"Example: {name}" in (command.help or ""), f"{name} --help lacks an example that begins with it"
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options, f"{name} has no --json"
    assert all(getattr(p, "help", None) for p in command.params if p.name != "help"), (
        f"{name}: an option has no help"
    )


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [
        name for name, _, _ in COMMANDS if f"newtest {name}" not in readme and f"`{name}" not in readme
    ]
    assert not missing


def test_help_imports_nothing_heavy() -> None:
    """What keeps --help under 0.4 s; the time itself is measured by benchmarks/startup.py."""
    code = "import sys; from newtest.cli.app import command; command(); print(sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = eval(ended.stdout)
    assert not [name for name in HEAVY if name in loaded]


def test_a_command_imports_no_other() -> None:
    """Starting is most of what a small command takes."""
    code = """
import sys
sys.argv = ["newtest", "status", "--help"]
from newtest.cli import main
try:
    main()
finally:
    print(sorted(name for name in sys.modules if name.startswith("newtest.cli.")))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {place.partition(".")[0] for _, place, _ in COMMANDS}
    loaded = {name.rpartition(".")[2] for name in eval(ended.stdout.splitlines()[-1])}
    assert loaded & modules == {"status"}


def test_wrong_usage_is_exit_code_2_and_a_failure_1(tmp_path: Path) -> None:
    def code(*arguments: str) -> tuple[int, str]:
        ended = subprocess.run([*NEWTEST, *arguments], capture_output=True, text=True)
        return ended.returncode, ended.stderr

    assert code("sample", "--no-such-option")[0] == 2
    exit_code, said = code("status", "--study", str(tmp_path))
    assert exit_code == 1 and "there is no study here" in said and "Traceback" not in said


def test_titles_and_columns_are_text_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """A set may be called anything; rich would take brackets for markup and wrap a title within a word."""
    title = "[/b] imagenetv2-matched-frequency-format-val against [red]val"
    print_table(["[/x]", "n"], [("[/y]", 1)], title=title)
    assert capsys.readouterr().out.splitlines()[0] == title


def test_a_stage_that_only_names_the_downloader_imports_no_client() -> None:
    """aiohttp takes a quarter of a second."""
    code = (
        "import sys, newtest.catalog.images, newtest.pool.fetching.run; assert 'aiohttp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
