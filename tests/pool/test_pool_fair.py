"""FairDeDup's rule against its algorithm written out plainly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from pool_cheap_encoder import Cheap

from newtest.errors import PoolError, UsageError
from newtest.pool.dedup import fair
from newtest.pool.dedup.fair import concepts_of
from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.opt_outs import remembered
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.vectors import VectorSource, vector_source

WIDTH, CONCEPTS = 16, 3
SIZES = [1, 3, 1, 4, 2, 1, 1, 5, 2, 3, 1, 6]
OPTED_OUT = 2
NO_VECTOR = 7


def made() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, the group of each row (groups are mixed in the pool), and prototypes."""
    draw = np.random.default_rng(4)
    centres = draw.standard_normal((len(SIZES), WIDTH))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    groups = draw.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    rows = centres[groups] + 0.02 * draw.standard_normal((len(groups), WIDTH))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    prototypes = draw.standard_normal((CONCEPTS, WIDTH)).astype(np.float32)
    groups[NO_VECTOR] = len(SIZES)  # a group of its own, and nothing to compare it by
    stored = rows.astype(np.float16)
    stored[NO_VECTOR] = np.nan
    return stored, groups, prototypes


ROWS, GROUPS, PROTOTYPES = made()


def pool_of(folder: Path, cuts: tuple[int, ...]) -> Pool:
    folder.mkdir()
    for number, (start, stop) in enumerate(zip((0, *cuts), (*cuts, len(ROWS)), strict=True)):
        uids = [f"{row + 1:032x}" for row in range(start, stop)]
        pq.write_table(pa.table({"uid": uids, "text": ["x"] * (stop - start)}), folder / f"{number}.parquet")
        np.savez(folder / f"{number}.npz", b32_img=ROWS[start:stop])
    return open_pool(folder)


def plainly(barred: frozenset[int] = frozenset()) -> tuple[list[int], np.ndarray]:
    """The paper's algorithm, over the whole pool: neighbourhoods in the order of the rows, and a running mean."""
    unit, prototypes = (
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
        for rows in (ROWS.astype(np.float32), PROTOTYPES)
    )
    similar = unit.astype(float) @ prototypes.T.astype(float)
    kept: list[int] = []
    for row in range(len(ROWS)):
        if GROUPS[row] in GROUPS[:row]:
            continue
        members = [
            other for other in range(len(ROWS)) if GROUPS[other] == GROUPS[row] and other not in barred
        ]
        known = [other for other in kept if other != NO_VECTOR]
        mean = similar[known].mean(axis=0) if known else np.zeros(CONCEPTS)
        least = int(mean.argmin())
        kept += [max(members, key=lambda other: similar[other, least])] if members else []
    return sorted(kept), similar[sorted(set(kept) - {NO_VECTOR})].mean(axis=0)


@pytest.mark.parametrize("cuts", [(), (5, 6, 20)])
def test_of_each_group_the_row_stays_that_the_paper_keeps(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    np.save(tmp_path / "concepts.npy", PROTOTYPES)
    pool = pool_of(tmp_path / "pool", cuts)
    two = np.flatnonzero(np.bincount(GROUPS) == 2)[0]
    a_pair = frozenset(np.flatnonzero(np.equal(GROUPS, two)).tolist())
    for opted_out in (frozenset[int](), frozenset({OPTED_OUT}), a_pair | {OPTED_OUT}):
        if opted_out:
            (tmp_path / "out.txt").write_text("".join(f"{row + 1:032x}\n" for row in opted_out))
            remembered(pool, None, tmp_path / "out.txt")
        found = dedup(pool, DedupConfig("exact", 0.9, fair=tmp_path / "concepts.npy"))
        wanted, means = plainly(opted_out)
        assert (found.subset.uids["f1"] - 1).tolist() == wanted
        rule = found.subset.manifest["keep_rule"]
        assert (rule["rule"], rule["concepts"]) == ("FairDeDup", CONCEPTS)
        np.testing.assert_allclose(list(rule["mean_similarity"].values()), means, atol=1e-6)
    plain = dedup(pool, DedupConfig("exact", 0.9))
    assert len(plain.subset) == len(found.subset)
    assert plain.subset.uids.tobytes() != found.subset.uids.tobytes()


def test_captions_of_one_concept_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def cheap(name: str, *, precision: str) -> Cheap:
        asked.append(f"{name} {precision}")
        return Cheap()

    monkeypatch.setattr(fair, "encoder", cheap)
    source = VectorSource(Layer("embeddings", {"encoder": "cheap/1"}), "image")
    (tmp_path / "people.txt").write_text("a woman\ta girl\t a woman\n\n  a man \na man\n")
    found = concepts_of(source, tmp_path / "people.txt")
    assert (found.names, asked) == (("a woman", "a man"), ["cheap/1 float32"])
    woman, girl, man = Cheap().texts(["a woman", "a girl", "a man"])
    both = woman + girl
    np.testing.assert_allclose(found.vectors, [both / np.linalg.norm(both), man], atol=1e-6)
    (tmp_path / "people.txt").write_text("a woman\ta girl\na woman\ta lady\n")
    with pytest.raises(PoolError, match="two concepts begin with 'a woman'"):
        concepts_of(source, tmp_path / "people.txt")


def test_the_command_prints_what_is_left_of_each_concept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool_of(tmp_path / "pool", (20,))
    np.save(tmp_path / "concepts.npy", PROTOTYPES)
    monkeypatch.chdir(tmp_path)
    words = ["dedup-pool", "pool", "--method", "exact", "--threshold", "0.9", "--keep-fair", "concepts.npy"]
    done = invoke([*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["keep_rule"]["mean_similarity"].keys() == {"0", "1", "2"}
    assert "mean similarity of the rows that stay" in invoke(words).stdout


def test_concepts_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "pool", ())
    source = vector_source(pool)
    (tmp_path / "captions.txt").write_text("a photo of a person\n")
    with pytest.raises(UsageError, match=r"give the concepts as an \.npy of the same encoder"):
        concepts_of(source, tmp_path / "captions.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(PoolError, match="no concepts in this file"):
        concepts_of(source, tmp_path / "empty.txt")
    with pytest.raises(PoolError, match="cannot be read as concepts"):
        concepts_of(source, tmp_path / "nowhere.npy")
    np.save(tmp_path / "wide.npy", np.ones((2, WIDTH + 1), np.float32))
    with pytest.raises(PoolError, match="vectors of 17 numbers cannot be compared"):
        dedup(pool, DedupConfig("exact", fair=tmp_path / "wide.npy"))
    for wrong in (np.zeros((2, WIDTH)), np.full((2, WIDTH), np.nan), np.ones(WIDTH)):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(PoolError, match="rows of finite numbers, not all 0"):
            concepts_of(source, tmp_path / "wrong.npy")
