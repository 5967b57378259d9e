"""The how-to guides on a small study and pool: each command of the page is run, or named here with a reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from commands import invoke

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "how-to.md"
CLASSES = ("circle", "square", "stripe")
CANDIDATES, ORIGINALS = 60, 24

NOT_RUN = {
    "annotate serve": "a server; tests/crowd run it",
    "annotate publish --study STUDY --to mturk": "needs that server; tests/conformance/mturk publish to it",
    "annotate preview": "a server; tests/crowd run it",
    "annotate pay --study STUDY --act-on": "needs answers of people; tests/crowd pay them",
    "review": "a server; tests/review run it",
    "embed-pool": "needs an encoder, or S3 and Ray; the tutorial of pools and tests/pool run it",
    "decontaminate-pool": "needs the embeddings; the tutorial of pools runs it",
    "reshard-pool": "needs the subset of the line before; the tutorial of pools runs it",
    "filter-pool s3://": "needs S3 and Ray; tests/pool run it",
}
"""How a command of the page begins that is not run here, and why."""


def draw(folder: Path, number: int, seed: int) -> None:
    """Pictures of noise: no two are near-duplicates."""
    noise = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for each in range(number):
        pixels = noise.integers(0, 256, (6, 6, 3), np.uint8)
        PIL.Image.fromarray(pixels).resize((48, 48), PIL.Image.Resampling.BICUBIC).save(
            folder / f"{folder.name}-{seed}-{each}.png"
        )


def newtest(*words: str) -> str:
    done = invoke(list(words), catch_exceptions=False)
    assert done.exit_code == 0, f"newtest {' '.join(words)}\n{done.output}"
    return str(done.output)


def study(folder: Path) -> None:
    """A study of three classes, with votes, as the page takes it for granted."""
    lines = [f'[{name}]\nlemmas = ["{name}"]\ngloss = "a {name}"\n' for name in CLASSES]
    (folder / "classes.toml").write_text("\n".join(lines))
    for at, name in enumerate(CLASSES):
        draw(folder / "pool" / name, CANDIDATES, seed=at)
        draw(folder / "original" / name, ORIGINALS, seed=100 + at)
    newtest("collect", "--study", "STUDY", "--classes", "classes.toml", "--source", "folder:pool")
    newtest("reference", "add", "original", "--study", "STUDY", "--images", "original")
    newtest("votes", "simulate", "--study", "STUDY", "--votes", "10")


def metadata(folder: Path) -> None:
    """Two shards of DataComp's metadata."""
    folder.mkdir()
    for shard in range(2):
        at = range(50 * shard, 50 * shard + 50)
        pd.DataFrame(
            {
                "uid": [f"{each:032x}" for each in at],
                "text": [f"a photograph of the red house number {each} in the street" for each in at],
                "original_width": 300,
                "original_height": 250,
                "clip_b32_similarity_score": np.linspace(0.1, 0.4, 50),
                "clip_l14_similarity_score": np.linspace(0.1, 0.4, 50),
            }
        ).to_parquet(folder / f"{shard:08d}.parquet")


def typed() -> Iterator[str]:
    """The lines of the page that begin with newtest, in order."""
    fenced = re.findall(r"^```(\S*)\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    for block in (text for language, text in fenced if not language):
        yield from (
            line.removeprefix("newtest ") for line in block.splitlines() if line.startswith("newtest ")
        )


def reason(line: str) -> str | None:
    return next((why for begins, why in NOT_RUN.items() if line.startswith(begins)), None)


def test_each_command_that_is_not_run_is_on_the_page() -> None:
    assert not [begins for begins in NOT_RUN if not any(line.startswith(begins) for line in typed())]


def test_the_commands_of_the_how_to_guides_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study(tmp_path)
    metadata(tmp_path / "metadata")
    about = re.search(
        r"^```toml\n(creator.*?)^```", (DOCS / "release.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert about
    (tmp_path / "about.toml").write_text(about[1])
    counts = re.search(r"^```text\n(model,set,.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert counts
    (tmp_path / "accuracies.csv").write_text(counts[1])

    ran, taken = [], ""
    for line in typed():
        if reason(line):
            continue
        words = shlex.split(line)
        if words[0] == "takedown":
            words[1] = taken = str(pd.read_parquet("releases/a-0/manifest.parquet")["image_id"][0])
        if words[:2] == ["annotate", "design"]:
            words += ["--simulations", "10"]
        printed = newtest(*words)
        if words[:2] == ["report", "gap"]:
            assert "over 3 models" in printed and "12.31" in printed and "12.31" in PAGE.read_text()
        ran.append(line)

    assert len(ran) >= 13
    assert len(np.load("basic.npy")) == 100 and len(np.load("clip-score.npy")) == 30
    assert Path("design.svg").exists() and Path("proposals.csv").exists()
    before, after = (
        set(pd.read_parquet(f"releases/{name}/manifest.parquet")["image_id"]) for name in ("a-0", "a-1")
    )
    assert taken in before - after and len(after) > len(before) / 2
