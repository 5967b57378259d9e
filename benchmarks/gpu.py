"""What one GPU gives: joins, k-means, embedding, ``evaluate``, and the tests marked ``gpu``, in under eight minutes.

    python benchmarks/gpu.py                 # on a machine with a CUDA device; writes benchmarks/results/gpu-….json
    python benchmarks/gpu.py --dry           # everything in small, on the CPU: shows that the script runs

Each part stands beside a bare baseline of the same run:

- **peak**: a product of two 8192 × 8192 matrices in float16. Joins and k-means are given as shares of it.
- **join**: ``newtest.neighbors.linked_above`` of 1 M rows of 512 numbers with themselves; of 12.8 M rows as many ranges
  of 1 M against 1 M as fit into the time, and what that makes of all 91 of them.
- **k-means**: 12 rounds, 400 clusters, 102,400 rows, by torch on the device and by NumPy.
- **embedding**: ``newtest embed-pool`` with ViT-B/32 and L/14 over made JPEGs, decoded on all cores, beside the bare
  forward pass on pixels that are on the device already. Weights are random, which costs the same as trained ones.
- **evaluate**: ``evaluate --model`` with a ViT-B/16 beside timm's own loader on the same weights and files.

No data and no weights are downloaded. A part that fails is named in the table, and the script ends with 1.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

WIDTH = 512
PAIRS = 12.8e6


@dataclass(frozen=True)
class Sizes:
    device: str
    precision: str
    matrix: int
    rows: int
    seconds: float
    """Time for the ranges of the large join."""
    sample: int
    clusters: int
    images: int
    shard: int
    files: int
    batch: int
    encoders: tuple[str, ...]
    timm_model: str


FULL = Sizes(
    "cuda", "bfloat16", 8192, 1_000_000, 60.0, 102_400, 400, 20_000, 2_500, 6_000, 256,
    ("ViT-B-32", "ViT-L-14"), "vit_base_patch16_224",
)  # fmt: skip
DRY = Sizes("cpu", "float32", 512, 4_000, 1.0, 2_560, 10, 48, 16, 24, 8, ("tiny",), "test_vit")


@dataclass(frozen=True)
class Found:
    """A row of the table: what was measured, its value and unit, and the baseline's with their ratio."""

    what: str
    value: float
    unit: str
    beside: str = ""
    baseline: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.baseline is None else self.value / self.baseline


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry", action="store_true", help="Run everything in small on the CPU.")
    parser.add_argument("--out", type=Path, help="The JSON to write.")
    parser.add_argument(
        "--only", help="Parts to run, with commas: peak,join,kmeans,embedding,evaluate,tests."
    )
    options = parser.parse_args()
    sizes = DRY if options.dry else FULL
    wanted = options.only.split(",") if options.only else list(PARTS)
    if sizes.device == "cuda" and not _torch().cuda.is_available():
        print("no CUDA device here; --dry runs everything in small on the CPU", file=sys.stderr)
        return 1
    print(f"{_machine(sizes)}\n\n| what | value | beside | value | ratio | note |\n|---|---|---|---|---|---|")
    found, failures = [], []
    for name in wanted:
        start = time.perf_counter()
        try:
            for row in PARTS[name](sizes):
                found.append(row)
                print(_line(row), flush=True)
        except Exception as error:  # the other parts are worth having
            failures.append(f"{name}: {type(error).__name__}: {error}")
            print(f"| {name} | failed | | | | {' '.join(str(error).split())[:160]} |", flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    told = {
        "machine": _machine(sizes), "dry": options.dry, "sizes": asdict(sizes), "date": datetime.now(UTC).isoformat(),
        "found": [{**asdict(row), "ratio": row.ratio} for row in found], "failures": failures,
    }  # fmt: skip
    out = options.out
    if out is None and not options.dry:
        card = _torch().cuda.get_device_name().replace(" ", "-").lower()
        out = ROOT / "benchmarks" / "results" / f"gpu-{card}-{datetime.now(UTC):%Y-%m-%d}.json"
    if out is not None:
        out.write_text(json.dumps(told, indent=1) + "\n")
        print(f"\nwrote {out}", file=sys.stderr)
    return 1 if failures else 0


def peak(sizes: Sizes) -> Iterator[Found]:
    """Multiplications with an addition per second, in 10^12."""
    yield Found("matrix product", _peak(sizes) / 1e12, "10^12/s", note=f"{sizes.matrix} x {sizes.matrix}")


def join(sizes: Sizes) -> Iterator[Found]:
    """The exact join, as a share of the matrix peak."""
    from newtest.neighbors import linked_above

    rows, top = _rows(sizes.rows, 0), _peak(sizes)
    linked_above(rows[:1000], rows, threshold=0.95, device=sizes.device, backend="torch")  # what it compiles
    seconds, pairs = _timed(
        sizes, lambda: linked_above(rows, threshold=0.95, device=sizes.device, backend="torch")
    )
    work = sizes.rows * (sizes.rows - 1) / 2 * WIDTH
    yield Found(
        f"join of {sizes.rows:,} x {WIDTH}", work / seconds / 1e12, "10^12/s", "matrix product", top / 1e12,
        f"{seconds:.2f} s, {len(pairs[0]):,} pairs",
    )  # fmt: skip
    done, spent = 0, 0.0
    while spent < sizes.seconds:
        other = _rows(sizes.rows, done + 1)
        spent += _timed(
            sizes,
            partial(linked_above, rows, other, threshold=0.95, device=sizes.device, backend="torch"),
        )[0]
        done += 1
    rate = done * float(sizes.rows) ** 2 * WIDTH / spent
    hours = PAIRS**2 / 2 * WIDTH / rate / 3600
    yield Found(
        f"join of {PAIRS:,.0f} x {WIDTH}, by {done} of its ranges", rate / 1e12, "10^12/s", "matrix product",
        top / 1e12, f"all of it would take {hours:.3g} hours",
    )  # fmt: skip


def kmeans(sizes: Sizes) -> Iterator[Found]:
    """Twelve rounds on the device, beside NumPy on this machine's cores."""
    from newtest.draws import generator
    from newtest.neighbors.kmeans import trained

    rows = _rows(sizes.sample, 0)
    trained(rows[:1000], 8, generator(0, "kmeans"), device=sizes.device, backend="torch")
    ways: dict[str, tuple[float, Any]] = {}
    for backend, device in (("torch", sizes.device), ("numpy", "cpu")):
        ways[backend] = _timed(
            sizes,
            partial(trained, rows, sizes.clusters, generator(0, "kmeans"), device=device, backend=backend),
        )
    same = np.array_equal(ways["torch"][1], ways["numpy"][1])
    yield Found(
        f"k-means of {sizes.sample:,} rows, {sizes.clusters} clusters", 1 / ways["torch"][0], "runs/s", "NumPy",
        1 / ways["numpy"][0], "the same centroids" if same else "OTHER CENTROIDS",
    )  # fmt: skip


def embedding(sizes: Sizes) -> Iterator[Found]:
    """Images per second of ``embed-pool`` beside the bare forward pass."""
    from benchmarks.pool_images import make_pool
    from newtest.clip.loading import encoder
    from newtest.engines import LocalEngine, Resources
    from newtest.pool.embedding import EmbedConfig, embed
    from newtest.pool.storage.passes import complete

    for name in sizes.encoders:
        with tempfile.TemporaryDirectory() as scratch:
            model = _encoder_file(name, Path(scratch))
            (Path(scratch) / "pool").mkdir()
            pool = make_pool(Path(scratch) / "pool", _jpegs(64), sizes.images, sizes.shard)
            made = encoder(model, precision=sizes.precision)
            batch = np.stack([made.prepare(image) for image in _pictures(sizes.batch)])
            made.look(batch)
            count = max(sizes.images // 4 // sizes.batch, 1)
            bare, _ = _timed(sizes, partial(_again, made.look, batch, count))
            config = EmbedConfig(model, sizes.precision, batch=sizes.batch)
            on_gpu = sizes.device == "cuda"
            resources = Resources(1, gpus=1.0 if on_gpu else 0.0)
            seconds, sums = _timed(
                sizes,
                lambda: complete(embed(pool, config, LocalEngine(), resources), len(pool.shards)),  # noqa: B023
            )
            yield Found(
                f"embed-pool, {name}, {sizes.precision}", sizes.images / seconds, "images/s",
                "forward pass with the images' transfer", count * sizes.batch / bare,
                f"captions, decoding and loading included; {sums['failed']} failed",
            )  # fmt: skip


def evaluate(sizes: Sizes) -> Iterator[Found]:
    """Images per second of ``evaluate --model`` beside timm's loader."""
    from safetensors.torch import save_file

    from newtest.clip.torch_runtime import library
    from newtest.evaluation.scoring.models import ModelConfig, run_model
    from newtest.evaluation.scoring.sets import find_set

    torch, timm = _torch(), library("timm", "timm", "clip")
    with tempfile.TemporaryDirectory() as scratch:
        photos, images = Path(scratch) / "photos", _jpegs(64)
        for number in range(sizes.files):
            folder = photos / f"n{number % 4:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.JPEG").write_bytes(images[number % len(images)])
        weights = Path(scratch) / "weights.safetensors"
        save_file(timm.create_model(sizes.timm_model).state_dict(), str(weights))
        found = find_set(str(photos), Path(), None)
        config = ModelConfig(sizes.batch, device=sizes.device, weights=weights)
        name = f"timm:{sizes.timm_model}"
        ours, (answers, broken) = _timed(sizes, lambda: run_model(name, found, config, Path(scratch)))

        def theirs() -> dict[str, int]:
            module = timm.create_model(sizes.timm_model, checkpoint_path=str(weights)).eval().to(sizes.device)
            data = timm.data.resolve_model_data_config(module)
            files = timm.data.create_dataset("", root=str(photos), split="")
            loader = timm.data.create_loader(
                files, data["input_size"], sizes.batch, interpolation=data["interpolation"], mean=data["mean"],
                std=data["std"], crop_pct=data["crop_pct"], num_workers=min(16, _cores()), use_prefetcher=False,
            )  # fmt: skip
            best: list[int] = []
            with torch.inference_mode():
                for some, _ in loader:
                    best += module(some.to(sizes.device)).topk(5).indices[:, 0].tolist()
            return dict(zip(files.filenames(absolute=True), best, strict=True))

        seconds, others = _timed(sizes, theirs)
        mine = dict(zip(map(str, found.images["path"]), answers.values[:, 0].tolist(), strict=True))
        same = sum(mine[file] == best for file, best in others.items())
        yield Found(
            f"evaluate, {sizes.timm_model}", sizes.files / ours, "images/s", "timm's loader", sizes.files / seconds,
            f"{same:,} of {sizes.files:,} answers the same, {len(broken)} unreadable",
        )  # fmt: skip


def tests(sizes: Sizes) -> Iterator[Found]:
    """The tests marked ``gpu``; on a machine without one they skip."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", "tests/neighbors"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode:
        raise RuntimeError(last)
    yield Found("tests marked gpu", 1.0, "run", note=last)


PARTS: dict[str, Callable[[Sizes], Iterator[Found]]] = {
    "peak": peak, "join": join, "kmeans": kmeans, "embedding": embedding, "evaluate": evaluate, "tests": tests,
}  # fmt: skip


def _peak(sizes: Sizes) -> float:
    torch = _torch()
    kind = torch.float16 if sizes.device == "cuda" else torch.float32
    a, b = (torch.randn(sizes.matrix, sizes.matrix, device=sizes.device, dtype=kind) for _ in range(2))
    a @ b
    repeats = 20 if sizes.device == "cuda" else 3
    seconds, _ = _timed(sizes, lambda: [a @ b for _ in range(repeats)])
    return float(repeats * float(sizes.matrix) ** 3 / seconds)


def _timed(sizes: Sizes, work: Callable[[], Any]) -> tuple[float, Any]:
    torch = _torch()
    wait = torch.cuda.synchronize if sizes.device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    found = work()
    wait()
    return time.perf_counter() - start, found


def _again(work: Callable[[Any], Any], given: Any, times: int) -> None:
    for _ in range(times):
        work(given)


def _rows(rows: int, seed: int) -> npt.NDArray[np.float16]:
    """Unit rows; a few are copies of others."""
    draw = np.random.default_rng(seed)
    made = np.empty((rows, WIDTH), np.float16)
    for start in range(0, rows, 1 << 16):
        some = draw.standard_normal((min(1 << 16, rows - start), WIDTH), dtype=np.float32)
        made[start : start + len(some)] = some / np.linalg.norm(some, axis=1, keepdims=True)
    made[1::1000] = made[::1000][: len(made[1::1000])]
    return made


def _pictures(count: int) -> list[Any]:
    """Smooth noise of 640 x 480, which compresses about as photos do."""
    from PIL import Image

    draw = np.random.default_rng(0)
    small = (Image.fromarray(draw.integers(0, 255, (60, 80, 3), dtype=np.uint8)) for _ in range(count))
    return [image.resize((640, 480), Image.Resampling.BICUBIC) for image in small]


def _jpegs(count: int) -> list[bytes]:
    found = []
    for image in _pictures(count):
        data = io.BytesIO()
        image.save(data, "JPEG", quality=90)
        found.append(data.getvalue())
    return found


def _encoder_file(name: str, folder: Path) -> str:
    """An encoder of open_clip with random weights in a file, as ``--model`` names it."""
    if name == "tiny":
        sys.path.append(str(ROOT / "tests" / "pool"))
        return str(importlib.import_module("pool_tiny_model").tiny_model(folder))
    from safetensors.torch import save_file

    from newtest.clip.torch_runtime import library

    open_clip = library("open_clip", "open_clip_torch", "clip")
    state = open_clip.create_model(name).state_dict()
    save_file(
        {key: tensor.contiguous() for key, tensor in state.items()}, str(folder / "weights.safetensors")
    )
    return f"{name}@{folder / 'weights.safetensors'}"


def _torch() -> Any:
    import torch

    return torch


def _cores() -> int:
    from newtest.engines.base import cores

    return cores()


def _machine(sizes: Sizes) -> str:
    torch = _torch()
    card = torch.cuda.get_device_name() if sizes.device == "cuda" else "no GPU"
    python = f"Python {platform.python_version()}"
    return f"{card}, {_cores()} cores, torch {torch.__version__}, {python}, {platform.platform()}"


def _line(row: Found) -> str:
    beside = "" if row.baseline is None else f"{row.baseline:.4g} {row.unit}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return f"| {row.what} | {row.value:.4g} {row.unit} | {row.beside} | {beside} | {ratio} | {row.note} |"


if __name__ == "__main__":
    raise SystemExit(main())
