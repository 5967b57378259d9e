"""The join of a pool with itself: the same bytes for every engine, number of workers and range; resumed when killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from join_work import Idle, made_vectors, vector_pool
from pool_commands import contents, killed_at_event, newtest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from watchers import Watcher

from newtest.clip.encoder import unit_rows
from newtest.engines import LocalEngine
from newtest.engines.ray import RayEngine
from newtest.errors import PoolError
from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.near_duplicates import DedupConfig, Deduplicated, dedup
from newtest.pool.storage.location import place_of
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.row_ranges import VectorRows, ranges
from newtest.pool.storage.vectors import vector_source
from newtest.progress import UNWATCHED

THRESHOLD = 0.9


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return made_vectors()


@pytest.fixture(scope="module")
def made(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vector_pool(tmp_path_factory.mktemp("made"), vectors)


@pytest.fixture(scope="module")
def whole(made: Path) -> Deduplicated:
    """Joined as one range, in this process."""
    return dedup(open_pool(made), DedupConfig("exact", threshold=THRESHOLD))


def same(one: Deduplicated, other: Deduplicated) -> bool:
    return one.pairs.equals(other.pairs) and one.subset.uids.tobytes() == other.subset.uids.tobytes()


def test_groups_are_those_of_all_pairs(vectors: np.ndarray, made: Path, whole: Deduplicated) -> None:
    known = np.isfinite(vectors).all(axis=1)
    unit = vectors[known].astype(np.float32)
    unit = (unit / np.linalg.norm(unit, axis=1)[:, None]).astype(np.float16).astype(np.float64)
    near = np.triu(unit @ unit.T >= THRESHOLD, 1)
    count, groups = connected_components(coo_array(near), directed=False)
    sizes = np.bincount(groups)
    assert (len(whole.subset), whole.subset.manifest["rows_not_compared"]) == (count + 3, 3)
    assert whole.subset.manifest["largest_group"] == sizes.max() > 70
    assert whole.subset.manifest["groups"] == np.count_nonzero(sizes > 1)
    # Of each group one pair less than it has rows, where all its pairs were thousands.
    assert len(whole.pairs) == len(unit) - count < near.sum() / 20
    told = {row["group"]: row["group_size"] for row in whole.pairs.to_pylist()}
    assert sorted(told.values()) == sorted(sizes[sizes > 1].tolist())


@pytest.mark.parametrize(("workers", "block"), [(1, 64), (1, 170), (2, 64)])
def test_workers_and_ranges_do_not_show(
    workers: int, block: int, made: Path, whole: Deduplicated, tmp_path: Path
) -> None:
    pool = open_pool(made, layers=tmp_path / "layers")
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=block)
    found = dedup(pool, config, UNWATCHED, LocalEngine(), workers)
    assert same(found, whole)
    kept = contents(tmp_path / "layers")
    assert len(kept) > 10
    again = dedup(pool, config, UNWATCHED, Idle(), 2)  # everything is there: nothing is asked of an engine
    assert same(again, whole)
    assert contents(tmp_path / "layers") == kept


def test_rows_that_are_near_a_set_are_those_of_all_pairs(
    vectors: np.ndarray, made: Path, tmp_path: Path
) -> None:
    some = np.concatenate([vectors[20:60], vectors[200:330]])
    np.save(tmp_path / "set.npy", some)
    found = decontaminate(
        open_pool(made), [str(tmp_path / "set.npy")], DecontaminateConfig("exact", threshold=THRESHOLD)
    )
    own, others = (rows.astype(np.float64) for rows in (vectors, some))
    own, others = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (own, others))
    near = np.nan_to_num(own @ others.T) >= THRESHOLD
    told = found.subset.manifest["sets"][str(tmp_path / "set.npy")]
    assert told["rows_removed"] == np.count_nonzero(near.any(axis=1)) > 170
    assert told["images_found"] == np.count_nonzero(near.any(axis=0))
    assert told["pairs"] < near.sum() / 5


def test_two_clusters_per_row_find_most_pairs_that_one_misses(tmp_path: Path) -> None:
    draw = np.random.default_rng(6)
    vectors = unit_rows(draw.normal(size=(1500, 16)))
    vectors[750:] = unit_rows(vectors[:750] + 0.1 * draw.normal(size=(750, 16)))
    pool = open_pool(vector_pool(tmp_path / "pool", vectors.astype(np.float16), (700, 800)))
    found = [
        dedup(pool, DedupConfig("semantic", threshold=0.9, clusters=30, probe=probe)).subset.manifest
        for probe in (1, 2)
    ]
    one, two = (told["dedup"]["recall"] for told in found)
    assert 0.5 < one < 0.95
    assert two - one >= (1 - one) / 2


def test_a_layer_gives_what_npz_files_give(vectors: np.ndarray, whole: Deduplicated, tmp_path: Path) -> None:
    pool = open_pool(vector_pool(tmp_path / "layered", vectors, as_layer=True))
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=90)
    assert same(dedup(pool, config), whole)


def test_vectors_of_a_file_give_what_npz_files_give(
    vectors: np.ndarray, made: Path, whole: Deduplicated, tmp_path: Path
) -> None:
    np.save(tmp_path / "all.npy", vectors)
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=90, vectors=str(tmp_path / "all.npy"))
    assert same(dedup(open_pool(made, layers=tmp_path / "layers"), config), whole)


def test_vectors_of_a_file_on_a_store_give_what_npz_files_give(
    bucket: str, vectors: np.ndarray, made: Path, whole: Deduplicated, tmp_path: Path
) -> None:
    """``test_pool_joins_contract.py`` has the pools on a store."""
    place = place_of(f"{bucket}/joined")
    np.save(tmp_path / "all.npy", vectors)
    for path in [*made.glob("*.parquet"), tmp_path / "all.npy"]:
        with place.writing(path.name) as target:
            shutil.copy(path, target)
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=170, vectors=f"{bucket}/joined/all.npy")
    assert same(dedup(open_pool(f"{bucket}/joined"), config), whole)


def test_a_damaged_result_is_computed_again(made: Path, whole: Deduplicated, tmp_path: Path) -> None:
    pool = open_pool(made, layers=tmp_path / "layers")
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=170)
    dedup(pool, config)
    for path in sorted((tmp_path / "layers").glob("*/*.parquet"))[::2]:
        path.write_bytes(b"?")
    assert same(dedup(pool, config), whole)


def test_a_shard_that_changed_is_joined_again_and_the_others_are_not(
    vectors: np.ndarray, made: Path, tmp_path: Path
) -> None:
    pool = Path(shutil.copytree(made, tmp_path / "pool"))
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=160)
    dedup(open_pool(pool), config)
    before = set(contents(pool))
    other = vectors[345:].copy()
    other[5:9] = made_vectors(seed=5)[5:9]
    np.savez(pool / "003.npz", l14_img=other)
    found = dedup(open_pool(pool), config)
    shutil.rmtree(pool / "__newtest")
    assert same(found, dedup(open_pool(pool), config))
    after = set(contents(pool))
    assert len([name for name in before & after if "/joins-" in name]) >= 3


def test_killed_on_the_command_line_it_resumes(made: Path, tmp_path: Path) -> None:
    at = Path(shutil.copytree(made, tmp_path / "pool"))
    words = ("dedup-pool", "pool", "--threshold", str(THRESHOLD), "--out", "kept.npy")
    done = newtest(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = (tmp_path / "kept.npy").read_bytes(), (tmp_path / "kept.pairs.parquet").read_bytes()
    tiles = {"newtest.pool.dedup.joins:BLOCK": 170}
    for after in (2, 6):
        killed_at_event(*words, cwd=tmp_path, after=after, values=tiles)
        assert list((at / "__newtest" / "layers").glob("*/*.parquet"))
    done = newtest(*words, cwd=tmp_path, values=tiles)
    assert done.returncode == 0, done.stderr
    assert ((tmp_path / "kept.npy").read_bytes(), (tmp_path / "kept.pairs.parquet").read_bytes()) == expected


def test_layers_that_cannot_be_written_are_named(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    pool = open_pool(made, layers=tmp_path / "file" / "layers")
    with pytest.raises((PoolError, OSError), match="file"):
        dedup(pool, DedupConfig("exact", threshold=THRESHOLD, block_rows=170))


def test_ranges_join_small_shards_and_part_large_ones() -> None:
    starts = (0, 5, 9, 10, 40, 41, 41, 50)
    cut = ranges(starts, 10)
    assert [row for first, behind in cut for row in range(first, behind)] == list(range(50))
    assert cut == [(0, 10), (10, 20), (20, 30), (30, 40), (40, 50)]
    assert ranges((0, 0), 10) == []


def test_a_range_is_what_its_rows_are(vectors: np.ndarray, tmp_path: Path) -> None:
    for as_layer in (False, True):
        pool = open_pool(vector_pool(tmp_path / str(as_layer), vectors, as_layer=as_layer))
        rows = VectorRows.of(pool, vector_source(pool))
        every, there = rows.block((0, 500))
        assert np.array_equal(there, np.isfinite(vectors).all(axis=1))
        for wanted in ((0, 1), (39, 47), (44, 346), (300, 301), (499, 500), (120, 460)):
            some, known = rows.block(wanted)
            assert np.array_equal(some, every[slice(*wanted)])
            assert np.array_equal(known, there[slice(*wanted)])


def test_one_piece_of_work_asks_no_cluster_and_says_so(made: Path, whole: Deduplicated) -> None:
    """The address of the cluster may be wrong, which would show with a large pool alone."""
    watcher = Watcher()
    runs = RayEngine("192.0.2.1:6379")
    found = dedup(open_pool(made), DedupConfig("exact", threshold=THRESHOLD), watcher, runs, 2)
    assert same(found, whole)
    said = [one for one in watcher.said if "one piece of work, so it is done on this machine" in one]
    assert said and len(said) == len(set(said))
