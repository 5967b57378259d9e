"""negCLIPLoss, NormSim and ranks against the papers' formulas written out plainly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from pool_commands import contents, killed_at_event, newtest
from scipy.stats import rankdata

from newtest.engines import LocalEngine
from newtest.errors import NewtestError, PoolError, UsageError
from newtest.pool.hashed_order import order_of
from newtest.pool.scores.by_rank import by_rank
from newtest.pool.scores.layers import by_neg_clip_loss, by_norm_sim, by_ranks
from newtest.pool.scores.neg_clip_loss import NegClipLoss, References, neg_clip_loss
from newtest.pool.scores.norm_sim import NormSim
from newtest.pool.scoring import Scoring, vectors_for
from newtest.pool.storage.layers import Layer, describe, settle
from newtest.pool.storage.opt_outs import remembered
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.uids import UID

ROWS, WIDTH = 90, 16
NO_IMAGE, NO_TEXT, OPTED_OUT = 7, 11, 13


def unit(rows: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((rows, WIDTH))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)


IMAGES, TEXTS = unit(ROWS, 1), unit(ROWS, 2)
IMAGES[NO_IMAGE], TEXTS[NO_TEXT] = np.nan, np.nan
AS_READ = {
    name: (rows / np.linalg.norm(rows.astype(np.float32), axis=1, keepdims=True))
    .astype(np.float16)
    .astype(float)
    for name, rows in (("image", IMAGES), ("text", TEXTS))
}
"""Unit rows rounded to float16, as joins take them."""


def pool_of(folder: Path, cuts: tuple[int, ...], npz: bool = False) -> Pool:
    """The same rows in shards that end at these rows, with an embeddings layer or DataComp's .npz files."""
    folder.mkdir()
    spans = list(zip((0, *cuts), (*cuts, ROWS), strict=True))
    for number, (start, stop) in enumerate(spans):
        rows = range(start, stop)
        table = {"uid": [f"{row * 7919 + 5:032x}" for row in rows], "text": ["a cat"] * len(rows)}
        table["quality"] = [float(row % 10) if row != 3 else None for row in rows]
        pq.write_table(pa.table(table), folder / f"{number}.parquet")
        if npz:
            np.savez(folder / f"{number}.npz", b32_img=IMAGES[start:stop], b32_txt=TEXTS[start:stop])
    opened = open_pool(folder)
    if not npz:
        layer = Layer("embeddings", {"encoder": "conse", "rule": 3})
        describe(opened, layer)
        for shard, (start, stop) in zip(opened.shards, spans, strict=True):
            lists = {
                name: pa.FixedSizeListArray.from_arrays(pa.array(each[start:stop].reshape(-1)), WIDTH)
                for name, each in (("image", IMAGES), ("text", TEXTS))
            }
            with opened.layers.writing(layer.file(opened, shard)) as path:
                pq.write_table(pa.table(lists), path)
        settle(opened, layer)
    return opened


def run(scoring: Scoring) -> np.ndarray:
    pool = scoring.pool
    complete(scoring.outcomes(LocalEngine()), len(pool.shards))
    tables = [scoring.layer.table(pool, shard) for shard in pool.shards]
    for table in tables:
        without = [reason is not None for reason in table["reason"].to_pylist()]
        assert without == np.isnan(table["score"].to_numpy()).tolist()
    return np.concatenate([table["score"].to_numpy() for table in tables])


def plainly(config: NegClipLoss) -> np.ndarray:
    """The paper's formula, batch after batch, in float64."""
    images, texts = AS_READ["image"], AS_READ["text"]
    uids = np.array([(0, row * 7919 + 5) for row in range(ROWS)], UID)
    usable = [row for row in range(ROWS) if row not in (NO_IMAGE, NO_TEXT)]
    result = np.full(ROWS, np.nan)
    for i in usable:
        total = 0.0
        for draw in range(config.batches):
            order = np.argsort(order_of(uids, "negCLIPLoss", config.seed, draw), kind="stable").tolist()
            others = [j for j in order if j in usable and j not in (i, OPTED_OUT)]
            batch = [i, *others[: config.batch - 1]]
            t = config.temperature
            total += np.log(np.exp(images[i] @ texts[batch].T / t).sum())
            total += np.log(np.exp(images[batch] @ texts[i] / t).sum())
        result[i] = images[i] @ texts[i] - config.temperature * total / (2 * config.batches)
    return result


@pytest.mark.parametrize("batch", [2, 20, ROWS - 3, ROWS, 1000])
def test_neg_clip_loss_is_the_papers_formula(tmp_path: Path, batch: int) -> None:
    config = NegClipLoss(batch, batches=3, temperature=0.05, seed=4)
    pool = pool_of(tmp_path / "pool", (40, 41))
    (tmp_path / "out.txt").write_text(f"{OPTED_OUT * 7919 + 5:032x}\n")
    remembered(pool, None, tmp_path / "out.txt")
    found = run(by_neg_clip_loss(pool, "ncl", vectors_for(pool), config, LocalEngine()))
    np.testing.assert_allclose(found, plainly(config), atol=3e-7)
    assert np.flatnonzero(np.isnan(found)).tolist() == [NO_IMAGE, NO_TEXT]


def test_shards_workers_and_where_vectors_lie_do_not_show(tmp_path: Path) -> None:
    config = NegClipLoss(20, batches=2, temperature=0.05)
    results = []
    for number, (cuts, npz, workers) in enumerate(
        [((), False, 1), ((10, 30, 31), True, 2), ((1, 59), True, 1)]
    ):
        pool = pool_of(tmp_path / f"{number}", cuts, npz)
        results.append(run(by_neg_clip_loss(pool, "ncl", vectors_for(pool), config, LocalEngine(), workers)))
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    again = by_neg_clip_loss(pool, "ncl", vectors_for(pool), config, LocalEngine())
    assert complete(again.outcomes(LocalEngine()), len(pool.shards))["computed"] == 0
    other = by_neg_clip_loss(pool, "ncl", vectors_for(pool), NegClipLoss(20, 2, 0.05, seed=1), LocalEngine())
    assert complete(other.outcomes(LocalEngine()), len(pool.shards))["computed"] == len(pool.shards)


def test_torch_and_numpy_agree() -> None:
    images, texts = unit(50, 5), unit(50, 6)
    draws = [References(np.arange(10, 40), images[10:40], texts[10:40])]
    for batch in (30, 25, 100):
        config = NegClipLoss(batch, 1, 0.01)
        both = [
            neg_clip_loss(images, texts, np.arange(50), draws, config, device) for device in ("numpy", "cpu")
        ]
        np.testing.assert_allclose(*both, atol=1e-7)


def test_what_neg_clip_loss_cannot_do_is_said(tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "pool", (), npz=True)
    np.savez(tmp_path / "pool" / "0.npz", b32_img=IMAGES)
    with pytest.raises(PoolError, match=r"no captions' vectors called b32_txt in the \.npz files"):
        by_neg_clip_loss(pool, "ncl", vectors_for(pool), NegClipLoss(), LocalEngine())
    for wrong in ({"batch": 1}, {"batches": 0}, {"temperature": 0.0}, {"temperature": float("nan")}):
        with pytest.raises(UsageError):
            NegClipLoss(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["2", "inf"])
def test_norm_sim_is_the_norm_of_the_products(tmp_path: Path, norm: str) -> None:
    target = unit(12, 8).astype(np.float32)
    target[3] *= 5  # length is taken off
    np.save(tmp_path / "target.npy", target)
    pool = pool_of(tmp_path / "pool", (40,))
    scoring, unreadable = by_norm_sim(pool, "near", vectors_for(pool), str(tmp_path / "target.npy"), norm)
    lengths = np.linalg.norm(target, axis=1, keepdims=True)
    products = np.abs(AS_READ["image"] @ (target / lengths).T)
    wanted = np.linalg.norm(products, axis=1) if norm == "2" else products.max(axis=1)
    found = run(scoring)
    there = np.arange(ROWS) != NO_IMAGE
    np.testing.assert_allclose(found[there], wanted[there], atol=2e-7)
    assert np.isnan(found[NO_IMAGE])
    assert unreadable == 0


def test_the_farthest_image_of_a_target_counts_by_its_size() -> None:
    rows = unit(4, 9)
    target = -rows.astype(np.float32)
    assert NormSim.of(target).scores(rows).tolist() == pytest.approx([1.0] * 4, abs=1e-3)
    with pytest.raises(UsageError, match="`norm` is 2 or inf, not '1'"):
        NormSim.of(target, "1")


def test_ranks_are_those_of_scipy_and_rows_without_a_score_have_none(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    columns = [draw.integers(0, 9, 80).astype(np.float32), draw.standard_normal(80)]
    columns[0][5], columns[1][6], columns[1][7] = np.nan, np.nan, np.inf
    whole = ~np.isnan(columns[0]) & ~np.isnan(columns[1])
    ranks = np.stack([(rankdata(column[whole]) - 0.5) / whole.sum() for column in columns])
    for way, wanted in (
        ("mean", ranks.mean(axis=0)),
        ("worst", ranks.min(axis=0)),
        ("best", ranks.max(axis=0)),
    ):
        found = by_rank(columns, way)
        np.testing.assert_allclose(found[whole], wanted, atol=1e-7)
        assert np.flatnonzero(np.isnan(found)).tolist() == [5, 6]


def test_named_scores_and_columns_are_ranked_together(tmp_path: Path) -> None:
    np.save(tmp_path / "target.npy", unit(5, 8).astype(np.float32))
    pool = pool_of(tmp_path / "pool", (40,))
    near = run(by_norm_sim(pool, "near", vectors_for(pool), str(tmp_path / "target.npy"))[0])
    quality = np.array([row % 10 if row != 3 else np.nan for row in range(ROWS)])
    found = run(by_ranks(pool, "both", ["near", "quality"], "mean", LocalEngine()))
    np.testing.assert_array_equal(found, by_rank([near, quality]))
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, NO_IMAGE]
    with pytest.raises(PoolError, match="nothing"):
        run(by_ranks(pool, "more", ["near", "nothing"], "mean", LocalEngine()))
    for wrong, said in ((("near", "near"), "at least two"), (("near", "quality"), "`rank_by` is mean")):
        with pytest.raises(UsageError, match=said):
            by_ranks(pool, "more", list(wrong), "sum" if said[1] == "r" else "mean", LocalEngine())
    with pytest.raises(PoolError, match="there is no CLIP score"):
        by_ranks(pool, "more", ["near", "clip_score"], "mean", LocalEngine())


def test_on_the_command_line_the_papers_recipe_is_four_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "target.npy", unit(5, 8).astype(np.float32))
    pool = pool_of(tmp_path / "pool", (40,))
    monkeypatch.chdir(tmp_path)

    def newtest(*words: str) -> str:
        done = invoke(list(words))
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    told = json.loads(newtest("score-pool", "pool", "--neg-clip-loss", "--batch", "20", "--json"))
    assert (told["name"], told["rows"], told["failed"], told["computed"]) == ("neg-clip-loss", ROWS, 2, 2)
    newtest("score-pool", "pool", "--norm-sim", "target.npy")
    newtest("score-pool", "pool", "--rank", "neg-clip-loss", "--rank", "norm-sim", "--rank-by", "worst")
    assert "45 of 90" in newtest("filter-pool", "pool", "--score", "neg-clip-loss:0.5", "--out", "a.npy")
    assert "9 of 90" in newtest("filter-pool", "pool", "--score", "rank:0.1", "--out", "b.npy")
    assert len(np.load("b.npy")) == 9
    for words, said in (
        (("--neg-clip-loss", "--rank", "quality"), "one score at a time"),
        ((), "name the function that scores"),
        (("--norm-sim", "target.npy", "--norm", "3"), "is 2 or inf"),
        (("--norm-sim", "target.npy", "--name", "uid"), "is a column of pools already"),
    ):
        done = invoke(["score-pool", pool.address, *words])
        assert isinstance(done.exception, NewtestError)
        assert said in str(done.exception)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("full", [True, False])
def test_neither_the_place_nor_the_neighbours_of_a_sample_show_in_its_last_bit(
    device: str, full: bool
) -> None:
    if device == "cpu":
        pytest.importorskip("torch")
    draw = np.random.default_rng(6)
    rows = draw.standard_normal((4, 1033, 512)).astype(np.float32) + 0.3
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    images, texts, pictures, captions = rows.astype(np.float16)
    images, texts = images[:301], texts[:301]
    references = [References(np.arange(5000, 6033), pictures, captions)]
    config = NegClipLoss(1033 if full else 2000, 1)
    places = np.arange(301)

    def of(some: np.ndarray) -> np.ndarray:
        return neg_clip_loss(images[some], texts[some], places[some], references, config, device)

    whole, order = of(places), draw.permutation(301)
    assert of(order).tobytes() == whole[order].tobytes()
    parts = np.split(places, [1, 2, 130, 257])
    assert np.concatenate([of(part) for part in parts]).tobytes() == whole.tobytes()


def test_references_of_a_stranger_are_not_taken(tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "pool", (40,))
    config = NegClipLoss(20, batches=1, temperature=0.05)
    scoring = by_neg_clip_loss(pool, "ncl", vectors_for(pool), config, LocalEngine())
    (file,) = (tmp_path / "pool").rglob("references.npz")
    with np.load(file) as arrays:
        wrong = {name: np.roll(arrays[name], 1, axis=0) for name in arrays.files}
    np.savez(file, **wrong)
    with pytest.raises(PoolError, match=r"references\.npz is damaged or not ours"):
        complete(scoring.outcomes(LocalEngine()), len(pool.shards))


def test_killed_before_and_behind_its_references_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    arguments = ["score-pool", "pool", "--neg-clip-loss", "--batch", "20", "--batches", "2", "--workers", "1"]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        pool_of(tmp_path / name / "pool", (40,))
    before = set(contents(tmp_path / "whole"))
    assert newtest(*arguments, cwd=tmp_path / "whole").returncode == 0
    made = contents(tmp_path / "whole")
    assert {Path(name).name for name in made if name not in before} >= {"references.npz", "layer.json"}
    for after in (0, 1, 2):  # before the references are there, behind them, and between two shards
        killed_at_event(*arguments, cwd=tmp_path / "killed", after=after)
    assert newtest(*arguments, cwd=tmp_path / "killed").returncode == 0
    assert contents(tmp_path / "killed") == made
