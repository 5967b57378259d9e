"""All pairs and top k equal the plain product, whatever the engine, the tile, the rows' lengths and ties."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import UsageError
from newtest.neighbors import pairs_above, top_k
from newtest.neighbors.numpy_engine import HeadTile, NumpyEngine
from newtest.neighbors.rows import Rows
from newtest.neighbors.torch_engine import TorchEngine

BACKENDS = ["numpy", "torch", "faiss"]


def rows(seed: int, count: int, width: int, *, copies: float = 0.3) -> np.ndarray:
    """Unit rows, some of them noisy or exact copies of others, so that similarities of all sizes occur."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, width)).astype(np.float32)
    for place in np.flatnonzero(rng.random(count) < copies):
        values[place] = values[rng.integers(count)] + rng.choice([0, 0.2, 0.45, 0.7]) * values[place]
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def plain(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The reference: float64 sums of each pair's own products."""
    return np.stack([(row.astype(np.float64) * b.astype(np.float64)).sum(axis=1) for row in a])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threshold", [0.5, 0.9, 1.0])
def test_pairs_within_one_set(backend: str, threshold: float) -> None:
    a = rows(0, 700, 48)
    products = plain(a, a)
    expected = np.argwhere(np.triu(products >= threshold, k=1))
    i, j, values = pairs_above(a, threshold=threshold, backend=backend)
    assert np.array_equal(np.stack([i, j], axis=1), expected)
    assert np.array_equal(values, products[i, j].astype(np.float32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_pairs_between_two_sets_of_any_length(backend: str) -> None:
    a, b = rows(1, 300, 33) * 40, np.concatenate([rows(1, 200, 33), np.zeros((2, 33), np.float32)]) * 1e-3
    products = plain(a, b)
    i, j, values = pairs_above(a, b, threshold=0.03, backend=backend)
    assert len(i) > 50
    assert np.array_equal(np.stack([i, j], axis=1), np.argwhere(products >= 0.03))
    assert np.array_equal(values, products[i, j].astype(np.float32))


@settings(deadline=None, max_examples=15)
@given(tile=st.tuples(st.integers(1, 90), st.integers(1, 90)), backend=st.sampled_from(["numpy", "torch"]))
def test_the_tile_never_shows(tile: tuple[int, int], backend: str) -> None:
    a, b = rows(2, 80, 16), rows(3, 70, 16)
    for x, y in zip(
        pairs_above(a, threshold=0.3), pairs_above(a, threshold=0.3, backend=backend, tile=tile), strict=True
    ):
        assert np.array_equal(x, y)
    for x, y in zip(top_k(a, b, 7), top_k(a, b, 7, backend=backend, tile=tile), strict=True):
        assert np.array_equal(x, y)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 1000),
    alike=st.sampled_from([0.0, 0.5, 0.95]),
    length=st.sampled_from([1e-3, 1.0, 300.0]),
    tile=st.integers(20, 200),
)
def test_looking_at_some_columns_first_loses_no_pair(
    seed: int, alike: float, length: float, tile: int
) -> None:
    """Rows wide enough for it, from all different to nearly all alike (where whole tiles are multiplied)."""
    a = rows(seed, 150, 160)
    a = alike * a[:1] + (1 - alike) * a * np.linspace(
        0.01, 2, 160, dtype=np.float32
    )  # columns differ in spread
    a = (length * a / np.linalg.norm(a, axis=1, keepdims=True)).astype(np.float32)
    products = plain(a, a)
    threshold = 0.9 * length**2
    i, j, values = pairs_above(a, threshold=threshold, backend="numpy", tile=(tile, tile))
    assert np.array_equal(np.stack([i, j], axis=1), np.argwhere(np.triu(products >= threshold, k=1)))
    assert np.array_equal(values, products[i, j].astype(np.float32))


def test_heads_rule_out_strangers_and_are_given_up_where_all_are_alike() -> None:
    strangers, alike = rows(8, 500, 256, copies=0), np.ones((500, 256), np.float32) / 16
    for values, crowded in ((strangers, False), (alike, True)):
        held = Rows.open(values)
        engine = NumpyEngine.for_pairs(held, held)
        tile = engine.load(held.block(0, 500), held)
        assert isinstance(tile, HeadTile) and tile.head.shape == (500, 64)
        for _ in range(20):
            i, j = engine.above(tile, tile, np.full(500, 0.9))
        assert (len(i) == 250_000) if crowded else np.array_equal(i, j)
        assert engine.gave_up is crowded


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_top_k_with_ties_goes_by_index(backend: str) -> None:
    base = np.repeat(rows(4, 40, 24, copies=0), 3, axis=0)  # every row three times
    queries = rows(5, 30, 24, copies=0)
    products = plain(queries, base)
    order = np.argsort(-products, axis=1, kind="stable")[:, :10]
    indices, values = top_k(queries, base, 10, backend=backend, tile=(16, 32))
    assert np.array_equal(indices, order)
    assert np.array_equal(values, np.take_along_axis(products, order, axis=1).astype(np.float32))


def precisions() -> list[str]:
    import torch

    named = {
        "float32": True,
        "bfloat16": torch.cpu._is_avx512_bf16_supported(),
        "int8": torch.cpu._is_vnni_supported(),
    }
    return [name for name, there in named.items() if there]


@pytest.mark.parametrize("precision", precisions())
def test_every_precision_keeps_its_promise(precision: str) -> None:
    """The margin, measured on the tiles, covers the worst error of any pair."""
    import torch

    a = Rows.open(rows(6, 400, 64) * 3)
    roundoff = 2.0**-14 + (2.0**-8 if precision == "bfloat16" else 0)
    engine = TorchEngine(torch, "cpu", getattr(torch, precision), roundoff, (400, 400), 0)
    tile = engine.load(a.block(0, 400), a)
    margin = 2 * tile.error * (a.longest + tile.error) + roundoff * (a.longest + tile.error) ** 2
    true = plain(a.values, a.values)
    for limit in (2.0, 5.0, 8.0):
        i, j = engine.above(tile, tile, np.full(400, limit - margin))
        proposed = np.zeros((400, 400), bool)
        proposed[i, j] = True
        assert proposed[true >= limit].all()
        assert not proposed[true < limit - 2.1 * margin].any()


def test_files_are_mapped_and_give_the_same(tmp_path: Path) -> None:
    a = rows(7, 300, 20)
    np.save(tmp_path / "a.npy", a.astype(np.float16))
    expected = pairs_above(a.astype(np.float16), threshold=0.8)
    for x, y in zip(expected, pairs_above(tmp_path / "a.npy", threshold=0.8, tile=(50, 50)), strict=True):
        assert np.array_equal(x, y)
    assert isinstance(Rows.open(tmp_path / "a.npy").values, np.memmap)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_that_cannot_be_written_needs_no_copy_of_its_own(backend: str, tmp_path: Path) -> None:
    """torch warns of arrays that it could write to and must not; warnings are errors here."""
    a = rows(9, 300, 20)
    np.save(tmp_path / "a.npy", a)
    expected = pairs_above(a, threshold=0.8)
    for x, y in zip(expected, pairs_above(tmp_path / "a.npy", threshold=0.8, backend=backend), strict=True):
        assert np.array_equal(x, y)


@pytest.mark.parametrize("threshold", [-1.0, 0.2, 0.9])
def test_crowded_tiles_are_looked_through_in_parts(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newtest.neighbors.torch_engine.SEARCHED", 1000)
    a = rows(10, 200, 24)
    expected = np.argwhere(np.triu(plain(a, a) >= threshold, k=1))
    for tile in (
        (64, 64),
        (64, 128),
        (100, 70),
    ):  # rows that are among the first columns loaded, and that are not
        i, j, _ = pairs_above(a, threshold=threshold, backend="torch", tile=tile)
        assert np.array_equal(np.stack([i, j], axis=1), expected)


def test_lengths_and_numbers_too_large_to_square() -> None:
    values = np.array([[3e18, 0], [0, -4e18], [1, 1]], np.float32)
    held = Rows.open(values)
    assert held.longest == pytest.approx(4e18) and held.largest == pytest.approx(4e18)
    with pytest.raises(UsageError, match="finite"):
        Rows.open(np.array([[1, np.inf]], np.float32))


def test_memory_is_bounded_whatever_n_is(tmp_path: Path) -> None:
    """A 256 MB file, whose dense products would take 40 GB, is searched in little more than the tiles."""
    rng = np.random.default_rng(0)
    file = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.float32, shape=(100_000, 16))
    file[:] = rng.standard_normal(file.shape, dtype=np.float32)
    file[:] /= np.linalg.norm(file, axis=1, keepdims=True)
    del file
    script = (
        "import json, resource, sys; from newtest.neighbors import top_k; import numpy as np\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "top_k(np.load(sys.argv[1], mmap_mode='r')[:3000], sys.argv[1], 5, backend='numpy')\n"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.npy")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) < 400 * 1024  # kilobytes; 3,000 x 100,000 products alone would be 1.2 GB


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: pairs_above(a[0], threshold=0.5), "must be a"),
        (lambda a: pairs_above(a.astype(int), threshold=0.5), "floats"),
        (lambda a: pairs_above(a, a[:, :3], threshold=0.5), "one width"),
        (lambda a: pairs_above(a * np.nan, threshold=0.5), "finite"),
        (lambda a: pairs_above(a, threshold=0.5, device="tpu"), "device must be"),
        (lambda a: pairs_above(a, threshold=0.5, backend="annoy"), "backend must be"),
        (lambda a: pairs_above(a, threshold=0.5, backend="numpy", device="cuda"), "no CUDA"),
        (lambda a: pairs_above(a, threshold=0.5, tile=(0, 4)), "tile"),
        (lambda a: top_k(a, a, 0), "k must be"),
        (lambda a: top_k(a, a, 6), "k must be"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(rows(0, 5, 8))


def test_no_rows_give_no_pairs() -> None:
    empty = np.empty((0, 8), np.float32)
    assert all(len(part) == 0 for part in pairs_above(empty, threshold=0.5))
    assert all(len(part) == 0 for part in pairs_above(rows(0, 4, 8), empty, threshold=0.5))
    assert NumpyEngine(8).roundoff < 1e-5


@pytest.mark.gpu
@pytest.mark.parametrize("threshold", [0.1, 0.8])
@pytest.mark.parametrize("tile", [None, (999, 1001), (512, 2048)])
def test_a_gpu_gives_the_same_pairs(threshold: float, tile: tuple[int, int] | None, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    a, b = rows(8, 5000, 256), rows(9, 700, 256) * 40
    np.save(tmp_path / "a.npy", a)
    settings_before = torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    for source, other, limit in ((tmp_path / "a.npy", None, threshold), (a, b, 40 * threshold)):
        expected = pairs_above(source, other, threshold=limit, backend="numpy")
        found = pairs_above(source, other, threshold=limit, device="cuda", tile=tile)
        for x, y in zip(expected, found, strict=True):
            assert np.array_equal(x, y)
    for x, y in zip(top_k(b, a, 9, backend="numpy"), top_k(b, a, 9, device="cuda", tile=tile), strict=True):
        assert np.array_equal(x, y)
    assert torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction == settings_before
