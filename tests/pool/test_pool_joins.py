"""The join of a pool with itself: the same bytes for every engine, number of workers and range; resumed when killed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from join_work import DyingJoin, made_vectors, vector_pool
from pool_commands import contents, killed_at_event, newtest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from newtest.clip.encoder import unit_rows
from newtest.engines import Engine, LocalEngine, Resources, engine
from newtest.errors import PoolError
from newtest.hashes import FRAMINGS, WORDS
from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.hashing import HASHES, HashJoin
from newtest.pool.dedup.joins import VectorJoin, join_within
from newtest.pool.dedup.near_duplicates import DedupConfig, Deduplicated, dedup
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.location import place_of
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.row_ranges import VectorRows, ranges, starts_of
from newtest.pool.storage.vectors import vector_source
from newtest.progress import UNWATCHED

THRESHOLD = 0.9

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
    ),
    pytest.mark.xdist_group("ray"),
]


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[object]:
    """A local Ray; its workers find the tests' modules by PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
        yield ray
        ray.shutdown()


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


@pytest.mark.parametrize("way", ["one", "processes", "ray"])
@pytest.mark.parametrize("block", [64, 170])
def test_the_engine_and_the_ranges_do_not_show(
    way: str, block: int, made: Path, whole: Deduplicated, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if way == "ray":
        request.getfixturevalue("ray_cluster")
    chosen: Engine = engine("ray" if way == "ray" else "local")
    pool = open_pool(made, layers=tmp_path / "layers")
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=block)
    found = dedup(pool, config, UNWATCHED, chosen, 1 if way == "one" else 2)
    assert same(found, whole)
    kept = contents(tmp_path / "layers")
    assert len(kept) > 10
    again = dedup(pool, config, UNWATCHED, Broken(), 2)  # everything is there: nothing is asked of an engine
    assert same(again, whole)
    assert contents(tmp_path / "layers") == kept


class Broken:
    name = "broken"

    def map(self, make_worker: object, items: object, resources: object = None) -> Iterator[object]:
        raise AssertionError("nothing was left to do")


@pytest.mark.parametrize("way", ["one", "processes", "ray"])
def test_clusters_sets_and_hashes_are_joined_alike_on_every_engine(
    way: str, vectors: np.ndarray, made: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if way == "ray":
        request.getfixturevalue("ray_cluster")
    chosen, workers = engine("ray" if way == "ray" else "local"), 1 if way == "one" else 2
    here, there = open_pool(made), open_pool(made, layers=tmp_path / "layers")
    semantic = DedupConfig("semantic", threshold=THRESHOLD, clusters=6, probe=2)
    parts = replace(semantic, block_rows=170)
    plain, found = dedup(here, semantic), dedup(there, parts, UNWATCHED, chosen, workers)
    assert same(found, plain)
    assert found.subset.manifest["dedup"] == plain.subset.manifest["dedup"]
    assert same(dedup(there, parts, UNWATCHED, Broken(), 2), plain)
    np.save(tmp_path / "set.npy", np.concatenate([vectors[20:60], vectors[200:330]]))
    against = [str(tmp_path / "set.npy")]
    clean = DecontaminateConfig("exact", threshold=THRESHOLD)
    one = decontaminate(here, against, clean)
    other = decontaminate(there, against, replace(clean, block_rows=170), UNWATCHED, chosen, workers)
    assert one.pairs.equals(other.pairs) and one.subset.uids.tobytes() == other.subset.uids.tobytes()
    assert one.subset.manifest == other.subset.manifest
    hashed_layer(there)
    rows = HashJoin(there, starts_of(there), 12)
    whole = join_within(keeping_here(there), rows, 1000)
    keeping = Keeping(there, chosen, Resources(workers), UNWATCHED)
    tiles = join_within(keeping, rows, 170)
    for name in ("left", "right", "closeness"):
        assert np.array_equal(getattr(tiles.pairs, name), getattr(whole.pairs, name))
    assert (tiles.compared, len(whole.pairs.left)) == (whole.compared, 100 + 49)


def hashed_layer(pool: Pool) -> None:
    """Hashes of which 100 have a near copy, 50 are equal, and the last is missing."""
    draw = np.random.default_rng(4)
    words = draw.integers(0, 2**63, (500, len(FRAMINGS), WORDS), np.uint64)
    words[..., 2] &= np.uint64(0xFFFF)
    words[200:300] = words[100:200] ^ np.uint64(5)
    words[200:300, :, 2] = words[100:200, :, 2]
    words[400:450] = words[400]
    start = 0
    for shard in pool.shards:
        some = words[start : start + pool.rows(shard)].reshape(pool.rows(shard), -1).tolist()
        start += len(some)
        lists = pa.array(
            [*some[:-1], None] if start == 500 else some, pa.list_(pa.uint64(), len(FRAMINGS) * WORDS)
        )
        with pool.layers.writing(HASHES.file(pool, shard)) as path:
            pq.write_table(pa.table({"perceptual": lists}), path)


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


def test_on_a_store_it_gives_what_it_gives_on_disk(
    bucket: str, vectors: np.ndarray, made: Path, whole: Deduplicated, tmp_path: Path
) -> None:
    place = place_of(f"{bucket}/joined")
    np.save(tmp_path / "all.npy", vectors)
    for path in [*made.glob("*.*"), tmp_path / "all.npy"]:
        with place.writing(path.name) as target:
            shutil.copy(path, target)
    pool = open_pool(f"{bucket}/joined")
    config = DedupConfig("exact", threshold=THRESHOLD, block_rows=170)
    assert same(dedup(pool, config, UNWATCHED, LocalEngine(), 2), whole)
    outside = DedupConfig("exact", threshold=THRESHOLD, block_rows=170, vectors=f"{bucket}/joined/all.npy")
    assert same(dedup(pool, outside), whole)


@pytest.mark.parametrize("way", ["processes", "ray"])
def test_a_worker_that_is_killed_costs_nothing(
    way: str, made: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if way == "ray":
        request.getfixturevalue("ray_cluster")
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks" / "0").touch()
    pool = open_pool(made, layers=tmp_path / "layers")
    source, starts = vector_source(pool), starts_of(pool)
    keeping = Keeping(pool, engine("ray" if way == "ray" else "local"), Resources(2), UNWATCHED)
    dying = DyingJoin(pool, source, starts, THRESHOLD, marks=str(tmp_path / "marks"))
    found = join_within(keeping, dying, 170)
    assert not list((tmp_path / "marks").iterdir())
    plain = join_within(keeping_here(pool), VectorJoin(pool, source, starts, THRESHOLD), 1000)
    for name in ("left", "right", "closeness"):
        assert np.array_equal(getattr(found.pairs, name), getattr(plain.pairs, name))


def keeping_here(pool: Pool) -> Keeping:
    return Keeping(pool, LocalEngine(), Resources(1), UNWATCHED)


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
    script = "import newtest.pool.dedup.joins as joins; joins.BLOCK = 170\n"
    (tmp_path / "sitecustomize.py").write_text(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        for after in (2, 6):
            killed_at_event(*words, cwd=tmp_path, after=after)
            assert list((at / "__newtest" / "layers").glob("*/*.parquet"))
        done = newtest(*words, cwd=tmp_path)
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
