"""SECURITY.md: every item of OWASP ASVS 4.0.3 level 2 is there, and the tests that it names exist; what it says of the
sources holds.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from newtest.study import Study

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "newtest"
# The numbers of the items of level 2, by section; those that are missing were deleted from the standard or are level 3.
LEVEL_2 = {
    "1.1": "1-7", "1.2": "1-4", "1.4": "1 4 5", "1.5": "1-4", "1.6": "1-4", "1.7": "1 2", "1.8": "1 2", "1.9": "1 2",
    "1.10": "1", "1.11": "1 2", "1.12": "2", "1.14": "1-6", "2.1": "1-12", "2.2": "1-3", "2.3": "1-3", "2.4": "1-5",
    "2.5": "1-7", "2.6": "1-3", "2.7": "1-6", "2.8": "1-7", "2.9": "1-3", "2.10": "1-4", "3.1": "1", "3.2": "1-4",
    "3.3": "1-4", "3.4": "1-5", "3.5": "1-3", "3.7": "1", "4.1": "1 2 3 5", "4.2": "1 2", "4.3": "1-3", "5.1": "1-5",
    "5.2": "1-8", "5.3": "1-10", "5.4": "1-3", "5.5": "1-4", "6.1": "1-3", "6.2": "1-6", "6.3": "1 2", "6.4": "1 2",
    "7.1": "1-4", "7.2": "1 2", "7.3": "1 3 4", "7.4": "1-3", "8.1": "1-4", "8.2": "1-3", "8.3": "1-8", "9.1": "1-3",
    "9.2": "1-4", "10.2": "1 2", "10.3": "1-3", "11.1": "1-8", "12.1": "1-3", "12.2": "1", "12.3": "1-6",
    "12.4": "1 2", "12.5": "1 2", "12.6": "1", "13.1": "1 3 4 5", "13.2": "1 2 3 5 6", "13.3": "1 2", "13.4": "1 2",
    "14.1": "1-4", "14.2": "1-6", "14.3": "2 3", "14.4": "1-7", "14.5": "1-4",
}  # fmt: skip


def rows() -> list[tuple[list[str], str, str]]:
    """(items, what is said, tests) of each row of the checklist."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+\.\d+\.\d+[^|]*) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return [(numbers(items), said, shown) for items, said, shown in found]


def numbers(items: str) -> list[str]:
    found = []
    for one in items.split(", "):
        first, _, last = one.partition("–")
        section, _, number = first.rpartition(".")
        assert not last or last.rpartition(".")[0] == section, one
        end = int(last.rpartition(".")[2]) if last else int(number)
        found += [f"{section}.{each}" for each in range(int(number), end + 1)]
    return found


def test_every_item_of_level_2_is_here() -> None:
    wanted = {
        one
        for section, items in LEVEL_2.items()
        for part in items.split()
        for one in numbers(f"{section}.{part.replace('-', f'–{section}.')}")
    }
    assert len(wanted) == 259
    listed = [item for items, _, _ in rows() for item in items]
    assert sorted(set(listed) ^ wanted) == []
    assert len(listed) == len(wanted), "an item is there twice"


def test_each_item_has_a_test_or_a_reason() -> None:
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for items, said, shown in rows():
        named = re.findall(r"`(test_\w+)`", shown)
        assert set(named) <= tests, (items, sorted(set(named) - tests))
        assert named or re.search(r"\b[Nn]ot met\b|\b[Dd]oes not apply\b|Partly met", said), items


def test_nothing_is_evaluated() -> None:
    """No text becomes code, in Python or in a page, and no program is started by a shell."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "compile", "os.system", "os.popen"), path
                shell = [one.value for one in node.keywords if one.arg == "shell"]
                assert not any(not isinstance(one, ast.Constant) or one.value for one in shell), path
    pages = [path for path in SOURCES.rglob("*") if path.suffix in (".js", ".html")]
    assert len(pages) > 10
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"\beval\(|new Function\b|document\.write|insertAdjacentHTML|innerHTML\s*=[^=]", text
        ), path


def test_sql_stands_in_one_room() -> None:
    """Statements are in ``catalog``; elsewhere there are pragmas with numbers of ours."""
    found = [
        (path.relative_to(SOURCES).as_posix(), line.strip())
        for path in SOURCES.rglob("*.py")
        if path.parent.name != "catalog"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\.execute(many|script)?\(", line)
    ]
    assert {path for path, _ in found} == {"crowd/server/database.py"}
    assert all(re.search(r'execute\(f?"PRAGMA (busy_timeout|query_only) = ', line) for _, line in found), (
        found
    )


def test_the_key_of_a_study_is_the_owners_alone(tmp_path: Path) -> None:
    with Study(tmp_path / "study", create=True) as study:
        study.worker_key("ann")
        assert (study.root / "study.key").stat().st_mode & 0o777 == 0o600


def test_ci_builds_installs_and_tests_with_pinned_versions() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for step in ("make setup", "make lint", "make test", "-m build --wheel", "python3 -m venv"):
        assert step in ci
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in pinned if line.strip() and not line.lstrip().startswith("#")]
    assert lines and all("==" in line or " @ " in line for line in lines)
    assert "constraints.txt" in (ROOT / "Makefile").read_text(encoding="utf-8")
