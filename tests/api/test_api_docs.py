"""The blocks of docs/python.md run as they stand, one after another; the rooms that docs/rooms.md names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_api_notebook import CLASSES, noise

ROOT = Path(__file__).resolve().parents[2]


def test_the_blocks_of_the_page_run(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for at, wnid in enumerate(CLASSES):
        noise(tmp_path / "candidates" / wnid, 24, seed=at)
        noise(tmp_path / "val" / wnid, 20, seed=10 + at)
    Path("classes.toml").write_text("".join(f'[{wnid}]\nlemmas = ["{wnid}"]\n' for wnid in CLASSES))
    Path("photos").mkdir()
    for number, photo in enumerate(sorted((data / "images").glob("*.JPEG"))[:6]):
        Path(f"photos/{number}.jpg").write_bytes(photo.read_bytes())
        Path(f"photos/{number}.txt").write_text(f"a photo of an owl and a cat, number {number}")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(ROOT / "docs" / "python.md"), "exec"), names)
    assert list(names["i"]) == [0] and list(names["j"]) == [2]  # type: ignore[call-overload]
    assert len(names["training"]) == 3  # type: ignore[arg-type]
    assert len(names["new"].table) == 1  # type: ignore[attr-defined]


def test_the_rooms_that_the_page_names_are_there() -> None:
    page = (ROOT / "docs" / "rooms.md").read_text()
    named = [
        name
        for name in re.findall(r"`([a-z_]+/?[a-z_/]*(?:\.py)?)`", page)
        if "/" in name or name.endswith(".py")
    ]
    assert len(named) > 30
    assert not [name for name in named if not (ROOT / "newtest" / name).exists()]
