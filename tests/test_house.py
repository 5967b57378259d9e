"""The size of the rooms: a module is read in one go, and a crowded one is split."""

from __future__ import annotations

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
