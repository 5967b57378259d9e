"""filter-pool and pool-status as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pool_commands import newtest


@pytest.fixture
def pool(datacomp: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(datacomp, tmp_path / "pool"))


def test_typed_in_a_pool_it_does_the_sensible_thing_and_says_so(pool: Path) -> None:
    done = newtest("filter-pool", "--clip-score", cwd=pool)
    assert done.returncode == 0, done.stderr
    assert "the pool's own column clip_l14_similarity_score" in done.stderr
    assert "kept 1,050 of 3,501 rows (29.99%)" in done.stdout
    written = pool / "__newtest"
    assert len(np.load(written / "clip-score-0.3.npy")) == 1050
    first = {path.name: path.read_bytes() for path in sorted(written.glob("clip-score-0.3*"))}
    assert set(first) == {"clip-score-0.3.npy", "clip-score-0.3.json", "clip-score-0.3.rows.npy"}
    assert newtest("filter-pool", "--clip-score", cwd=pool).returncode == 0
    assert {path.name: path.read_bytes() for path in sorted(written.glob("clip-score-0.3*"))} == first


def test_a_dry_run_touches_nothing(pool: Path) -> None:
    before = sorted(pool.rglob("*"))
    done = newtest(
        "filter-pool",
        "pool",
        "--basic",
        "--laion2b",
        "--combine",
        "or",
        "--dry-run",
        "--json",
        cwd=pool.parent,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["out"] is None
    assert report["rows"] > 500
    assert sorted(pool.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["filter-pool"], "no rule was given", 2),
        (["filter-pool", "--clip-score", "--fraction", "1.5"], "a fraction is more than 0", 2),
        (["filter-pool", "--clip-score", "--fraction", "0.2", "--min-score", "0.2"], "exclude each other", 2),
        (["filter-pool", "--basic", "--fraction", "0.2"], "add one of them", 2),
        (["filter-pool", "--clip-score", "--arch", "ViT-Z"], "there is no CLIP score", 1),
        (["filter-pool", "--score", "aesthetic"], "no column for 'aesthetic'", 1),
        (["filter-pool", "--score", "a>=b"], "is not COLUMN", 2),
        (["filter-pool", "nowhere", "--basic"], "there is no such folder", 1),
        (["filter-pool", "--basic", "--combine", "xor"], "'and' or 'or'", 2),
    ],
)
def test_mistakes_get_a_sentence(pool: Path, arguments: list[str], sentence: str, code: int) -> None:
    done = newtest(*arguments, cwd=pool)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert sentence in done.stderr
    assert not list(pool.glob("*.npy"))


def test_status_counts_and_names_what_is_broken(pool: Path) -> None:
    done = newtest("pool-status", "--json", cwd=pool)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 3501
    (pool / "00000001.parquet").write_bytes(b"PAR1")
    done = newtest("pool-status", cwd=pool)
    assert done.returncode == 1
    assert "00000001.parquet cannot be read as Parquet" in done.stdout
