"""The page of a filter: what it shows, and that strangers' text stays text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest

from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.filters import Rule, ScoreAbove
from newtest.pool.filtering.report import _Histograms

# One worker loads the encoder and embeds the photos, for all tests that use them.
pytestmark = pytest.mark.xdist_group("conse")


def report(pool: Path, *arguments: str) -> str:
    done = newtest("filter-pool", *arguments, "--report", "page", cwd=pool)
    assert done.returncode == 0, done.stderr
    return (pool / "page" / "index.html").read_text(encoding="utf-8")


def test_examples_have_their_pictures_and_captions(embedded_pool: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(embedded_pool, tmp_path / "pool"))
    page = report(pool, "--clip-score", "--fraction", "0.5", "--min-size", "300")
    shown = json.loads((pool / "page" / "examples.json").read_text())
    assert list(shown) == ["kept", "dropped by min-size", "dropped by clip-score"]
    assert len(shown["dropped by clip-score"]) == 12
    for example in (example for examples in shown.values() for example in examples):
        assert (pool / "page" / example["picture"]).read_bytes().startswith(b"\xff\xd8")
        assert example["text"] in page
    assert len(list((pool / "page").glob("scores-*.png"))) == 1
    assert "pixels 300" in page
    assert ", fraction 0.5" in page, "settings stand apart"
    assert "(conse)" in page
    assert "(no picture)" not in page
    kept = {row["uid"] for path in pool.glob("*.parquet") for row in pq.read_table(path).to_pylist()}
    assert {example["uid"] for example in shown["kept"]} <= kept
    first = {path.name: path.read_bytes() for path in (pool / "page").iterdir() if path.is_file()}
    report(pool, "--clip-score", "--fraction", "0.5", "--min-size", "300")
    assert {path.name: path.read_bytes() for path in (pool / "page").iterdir() if path.is_file()} == first


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_bar_lies_on_one_side_of_the_cut(kind: type[np.floating]) -> None:
    scores = np.random.default_rng(0).normal(0.25, 0.05, 5000).astype(kind)
    cut = float(np.sort(scores)[3500])
    histograms = _Histograms(FilterPlan((Rule("score", (ScoreAbove("score", cut),)),)))
    histograms.add(pa.table({"score": scores}))
    assert cut in histograms.edges["score"]
    right = histograms.edges["score"][:-1] >= cut
    assert histograms.counts["score"][right].sum() == 1500
    assert histograms.counts["score"].sum() == 5000


def test_captions_are_text_and_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    texts = ["<script>alert(1)</script> a b c", '"><img src=http://evil.example/x>', "short"]
    table = {
        "uid": [f"{row:032x}" for row in range(3)],
        "text": texts,
        "aesthetic $x": [1.0, 2.0, float("nan")],
    }
    pq.write_table(pa.table(table), tmp_path / "0.parquet")
    page = report(tmp_path, "--score", "aesthetic $x>=1.5")
    assert page.count("(no picture)") == 3
    assert "<script>" not in page
    assert "<img src=http" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    shown = json.loads((tmp_path / "page" / "examples.json").read_text())
    assert {example["text"] for example in shown["dropped by aesthetic $x"]} == {texts[0], texts[2]}
