"""Both jobs from beginning to end, as somebody would type them into a notebook: through ``nt.`` alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import newtest as nt

CLASSES = ("bird-owl", "cat-tabby")  # of our own: no WordNet is needed


def noise(folder: Path, count: int, seed: int) -> None:
    """Pictures that look like nothing else: coarse random colours."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        pixels = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 96), Image.Resampling.NEAREST).save(folder / f"{number:02}.png")


def test_a_test_set_from_collect_to_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for at, wnid in enumerate(CLASSES):
        noise(tmp_path / "candidates" / wnid, 24, seed=at)
        noise(tmp_path / "val" / wnid, 20, seed=10 + at)
    own = tmp_path / "classes.toml"
    own.write_text("".join(f'[{wnid}]\nlemmas = ["{wnid}"]\n' for wnid in CLASSES))

    found = nt.collect("study", CLASSES, source="folder:candidates", classes=own)
    assert found["new"].sum() == 48
    nt.add_reference("study", "val", "val")
    fetched = nt.fetch("study")
    assert (fetched.failed, fetched.gone) == (0, 0)
    nt.simulate_votes("study")
    table = nt.frequencies("study")
    assert len(table) == 88 and table["frequency"].between(table["lo"], table["hi"]).all()
    nt.dedup("study", auto_radius=6)
    drawn = nt.sample("study", per_class=4, seed=3, name="new")
    assert len(drawn.members) == 8
    made = nt.release("study", "new", "released")
    findings = nt.check("released", reference="val")
    assert not (findings["severity"] == "error").any()

    answers = {"right": [0] * 4 + [1] * 4, "half": [0] * 8}
    new = nt.evaluate("released", answers, out="results")
    old = nt.evaluate("val", {"right": [0] * 20 + [1] * 20, "half": [0] * 40}, out="results")
    assert dict(zip(new.table["model"], new.table["k"], strict=True)) == {"half": 4, "right": 8}
    assert old.table["n"].unique().tolist() == [40]
    page = nt.report("results", "val", "report", study="study")
    assert Path(page.html).read_text().startswith("<!DOCTYPE html>")
    assert made.images == 8


def test_a_pool_from_embed_to_reshard(tmp_path: Path, data: Path) -> None:
    photos = sorted((data / "images").glob("*.JPEG"))[:8]
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(photos):
        (folder / f"{number}.jpg").write_bytes(photo.read_bytes())
        (folder / f"{number}.txt").write_text(f"a photo of thing number {number}")
    (folder / "copy.jpg").write_bytes(photos[0].read_bytes())
    (folder / "copy.txt").write_text("the same photo again")

    pool = nt.Pool.from_images(folder, tmp_path / "pool", shard_rows=4)
    assert len(pool) == 9
    counts = pool.embed("conse")
    assert counts["rows"] == 9
    assert pool.embed("conse")["computed"] == 0, "what is there is not computed again"
    best = pool.filter(clip_score=True, fraction=0.5)
    assert len(best) == 4
    scores = np.array([np.nan, 3, 1, 2, 9, 9, 0, -1, 5.0])
    assert len(pool.best(scores, at_least=3)) == 4 and len(pool.best(scores, fraction=0.5)) == 4
    assert len(pool.best(np.full(9, np.nan), fraction=1.0)) == 0
    with pytest.raises(nt.NewtestError, match="one number for each of the 9 rows"):
        pool.best([1.0, 2.0], fraction=0.5)
    unique = pool.dedup().subset
    assert len(unique) == 8
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.jpg").write_bytes(photos[3].read_bytes())
    clean = pool.decontaminate([tmp_path / "val"]).subset
    assert len(clean) == 8
    numbered = pool.filter(functions=(lambda text: text.str.contains("number"),))
    assert len(numbered) == 8
    balanced = pool.balance(["thing", "photo"], cap=1000)
    assert len(balanced.subset) == 9
    made = pool.reshard(unique, tmp_path / "training", shard_rows=5)
    assert isinstance(made, nt.Pool) and len(made) == 8
    texts = made.table(["uid", "text"])
    assert isinstance(texts, pd.DataFrame) and texts["uid"].is_unique
