from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import PoolError
from newtest.pool.storage import subset as subsets
from newtest.pool.storage import uids as ids
from newtest.pool.storage.subset import Subset
from newtest.pool.storage.uids import UID

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30)


def of(pairs: list[tuple[int, int]]) -> Subset:
    return Subset.of(np.array(pairs, UID))


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_order_is_the_order_of_pairs(pairs: list[tuple[int, int]]) -> None:
    assert of(pairs).uids.tolist() == sorted(pairs)


@pytest.mark.parametrize("shared_bits", [8, 24, 40, 56, 64])
def test_order_holds_for_many_ids_of_one_first_byte_whatever_else_they_share(shared_bits: int) -> None:
    draw = np.random.default_rng(shared_bits)
    words = draw.integers(0, 2**64, (40_000, 2), np.uint64)
    words[:, 0] >>= np.uint64(shared_bits - 1)
    words[:, 0] >>= np.uint64(1)
    words[:100] = words[-100:]  # copies
    parts = [part.view(UID)[:, 0] for part in np.array_split(words, 3)]
    assert ids.ordered(parts).tolist() == sorted(map(tuple, words.tolist()))
    assert ids.ordered_in_passes(lambda: iter(parts)).tobytes() == ids.ordered(parts).tobytes()


def test_ids_in_passes_are_held_once_and_must_not_change() -> None:
    draw = np.random.default_rng(0)
    parts = [draw.integers(0, 2**64, (5000, 2), np.uint64).view(UID)[:, 0] for _ in range(40)]
    tracemalloc.start()
    found = ids.ordered_in_passes(lambda: iter(parts))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 24 * len(found) == 24 * 200_000
    for other in (parts[1:], [*parts, parts[0]], [parts[0], *parts[:39]]):
        passes = iter([parts, other])
        with pytest.raises(PoolError, match="changed while they were read"):
            ids.ordered_in_passes(lambda again=passes: iter(next(again)))


@settings(deadline=None, max_examples=60)
@given(PAIRS, PAIRS)
def test_algebra_is_that_of_multisets(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = of(left), of(right)
    both = set(left) | set(right)
    assert subsets.union(a, b).uids.tolist() == sorted(
        uid for uid in both for _ in range(max(left.count(uid), right.count(uid)))
    )
    assert subsets.intersection(a, b).uids.tolist() == sorted(
        uid for uid in both for _ in range(min(left.count(uid), right.count(uid)))
    )
    assert subsets.difference(a, b).uids.tolist() == sorted(uid for uid in left if uid not in right)
    assert a.copies(np.array(sorted(both), UID)).tolist() == [left.count(uid) for uid in sorted(both)]


def test_hex_and_words_agree_with_the_definition() -> None:
    text = "00112233445566778899aabbccddeeff"
    import pyarrow as pa

    column = pa.array(["f" * 32, text, "0" * 32]).slice(1)
    uids = ids.from_arrow(column)
    assert uids.tolist() == [(int(text[:16], 16), int(text[16:], 16)), (0, 0)]
    assert ids.to_hex(uids).to_pylist() == [text, "0" * 32]


@pytest.mark.parametrize("value", ["abc", "g" * 32, None])
def test_a_malformed_uid_is_refused(value: str | None) -> None:
    import pyarrow as pa

    with pytest.raises(PoolError, match="uid"):
        ids.from_arrow(pa.array([value], pa.string()), "shard 7")


def test_file_is_datacomps_and_comes_back(tmp_path: Path) -> None:
    subset = Subset(of([(2, 1), (1, 9), (2, 1)]).uids, {"rules": ["x"]})
    path = tmp_path / "subset.npy"
    subsets.write(subset, path)
    theirs = np.load(path)
    assert theirs.dtype == np.dtype("u8,u8")
    assert theirs.tolist() == [(1, 9), (2, 1), (2, 1)]
    again = subsets.read(path)
    assert again.uids.tolist() == subset.uids.tolist()
    assert again.manifest["rows"] == 3
    assert again.manifest["distinct"] == 2
    first = path.read_bytes(), (tmp_path / "subset.json").read_bytes()
    subsets.write(again, path)
    assert (path.read_bytes(), (tmp_path / "subset.json").read_bytes()) == first


def test_files_that_are_no_subsets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.npy"
    path.write_bytes(b"no")
    with pytest.raises(PoolError, match="can be read"):
        subsets.read(path)
    np.save(path, np.arange(3))
    with pytest.raises(PoolError, match="u8,u8"):
        subsets.read(path)
    np.save(path, np.array([(2, 1), (1, 1)], UID))
    with pytest.raises(PoolError, match="not sorted"):
        subsets.read(path)
    np.save(path, np.array([(1, 1)], UID))
    (tmp_path / "s.json").write_text(json.dumps([1]))
    with pytest.raises(PoolError, match="not a JSON object"):
        subsets.read(path)
