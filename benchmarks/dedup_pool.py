"""dedup-pool's exact join of embeddings next to FAISS's flat index, its growth, and SemDeDup's recall, in one run.

    python benchmarks/dedup_pool.py [--rows 100000] [--repeat 3] [--grow 10000,50000,200000,400000] [--semantic 100000]

A pool is Parquet tables with DataComp's ``.npz`` of float16 vectors (512 numbers) beside them. Its rows are made: about
two hundred images a topic, at cosines near .5 to each other, and every twenty-fifth row a copy of another: half of the
copies at cosines from .90 to .94, half from .96 to .99. Both contenders start from the files and end with the uids that
stay: newtest as the command does it (its import of torch counted), the peer by ``IndexFlatIP.range_search`` of all
rows, SciPy's components and the same keep rule. Every run is a process of its own; clocks start after the other
imports. CPU seconds stand beside wall seconds, because a shared machine stretches only the latter. SemDeDup's recall is
given twice: as dedup-pool states it, from a sample, and against all exact pairs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

WIDTH, THRESHOLD, SHARD, TOPIC, SCORE = 512, 0.95, 10_000, 200, "clip_l14_similarity_score"


def make_pool(folder: Path, rows: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from newtest.clip.encoder import unit_rows
    from newtest.pool.storage.uids import UID, to_hex

    draw = np.random.default_rng(0)
    topics = draw.standard_normal((max(rows // TOPIC, 1), WIDTH), dtype=np.float32)
    for number in range(-(-rows // SHARD)):
        size = min(SHARD, rows - number * SHARD)
        own = draw.standard_normal((size, WIDTH), dtype=np.float32)
        vectors = unit_rows(topics[draw.integers(0, len(topics), size)] + own)
        copies = size // 25
        cosine = np.where(
            np.arange(copies) % 2, draw.uniform(0.90, 0.94, copies), draw.uniform(0.96, 0.99, copies)
        )
        original, away = vectors[:copies], own[-copies:]
        away = unit_rows(away - (away * original).sum(1, keepdims=True) * original)
        vectors[-copies:] = cosine[:, None] * original + np.sqrt(1 - cosine[:, None] ** 2) * away
        table = {
            "uid": to_hex(draw.integers(0, 2**64, (size, 2), np.uint64).view(UID)[:, 0]),
            SCORE: draw.normal(0.2, 0.06, size).astype(np.float32),
        }
        pq.write_table(pa.table(table), folder / f"{number:08d}.parquet")
        np.savez(folder / f"{number:08d}.npz", l14_img=vectors.astype(np.float16))


def ours(folder: Path, method: str) -> dict[str, Any]:
    """The command's library call."""
    from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
    from newtest.pool.storage.pool import open_pool

    start, cpu = time.perf_counter(), time.process_time()
    found = dedup(open_pool(str(folder)), DedupConfig(method, threshold=THRESHOLD))  # type: ignore[arg-type]
    used = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    told = found.subset.manifest["dedup"]
    return used | {"pairs": len(found.pairs), "kept": found.subset.uids, **told}


def faiss(folder: Path) -> dict[str, Any]:
    """A short script, as one would write it: all vectors in memory, the index asked 8,192 rows at a time."""
    import faiss
    import numpy as np
    import pyarrow.parquet as pq
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from newtest.pool.storage.uids import from_arrow

    start, cpu = time.perf_counter(), time.process_time()
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    uids = np.concatenate([from_arrow(table["uid"].combine_chunks(), "") for table in tables])
    scores = np.concatenate([table[SCORE].to_numpy() for table in tables])
    rows = np.concatenate(
        [np.load(path)["l14_img"].astype(np.float32) for path in sorted(folder.glob("*.npz"))]
    )
    faiss.normalize_L2(rows)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(rows)
    left, right = [], []
    for begin in range(0, len(rows), 8192):
        ends, _, found = index.range_search(rows[begin : begin + 8192], THRESHOLD)
        i = np.repeat(np.arange(len(ends) - 1), np.diff(ends.astype(np.int64))) + begin
        left.append(i[i < found])
        right.append(found[i < found])
    i, j = np.concatenate(left), np.concatenate(right)
    graph = coo_array((np.ones(len(i), np.int8), (i, j)), shape=(len(rows), len(rows)))
    _, groups = connected_components(graph, directed=False)
    best_first = np.lexsort((uids["f1"], uids["f0"], -scores.astype(np.float64), groups))
    kept = np.sort(uids[best_first[np.unique(groups[best_first], return_index=True)[1]]])
    used = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    return used | {"pairs": len(i), "kept": kept}


def worker(contender: str, folder: str) -> None:
    result = faiss(Path(folder)) if contender == "faiss" else ours(Path(folder), contender)
    kept = result.pop("kept")
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            result | {"kept": len(kept), "hash": hashlib.sha256(kept.tobytes()).hexdigest(), "mib": mib}
        )
    )


def measure(contender: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", contender, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    return dict(json.loads(done.stdout))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def compare(rows: int, repeat: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        make_pool(Path(scratch), rows)
        runs: dict[str, list[dict[str, Any]]] = {"exact": [], "faiss": []}
        for _ in range(repeat):  # in turn, so that a busy spell hits both
            for name, of_one in runs.items():
                of_one.append(measure(name, Path(scratch)))
    same = len({(run["hash"], run["pairs"]) for of_one in runs.values() for run in of_one}) == 1
    print(
        f"{rows} rows x {WIDTH}, pairs of at least {THRESHOLD}: {runs['exact'][0]['pairs']} pairs, ", end=""
    )
    print(f"{runs['exact'][0]['kept']} rows stay, " + ("the same from both\n" if same else "NOT THE SAME\n"))
    print(
        "| contender | wall s | CPU s | times FAISS (wall) | times FAISS (CPU) | peak MiB |\n|---|---|---|---|---|---|"
    )
    for name, of_one in runs.items():
        ratios = {
            key: [peer[key] / run[key] for peer, run in zip(runs["faiss"], of_one, strict=True)]
            for key in ("wall", "cpu")
        }
        print(
            f"| {name} | {spread([r['wall'] for r in of_one])} | {spread([r['cpu'] for r in of_one])} | "
            f"{spread(ratios['wall'])} | {spread(ratios['cpu'])} | {max(r['mib'] for r in of_one):.0f} |",
            flush=True,
        )


def grow(sizes: list[int]) -> None:
    print(
        "\n| rows, exact | wall s | CPU s | CPU ns a pair compared | peak MiB | pairs |\n|---|---|---|---|---|---|"
    )
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            make_pool(Path(scratch), rows)
            run = measure("exact", Path(scratch))
        each = run["cpu"] / (rows * (rows - 1) / 2) * 1e9
        print(
            f"| {rows} | {run['wall']:.1f} | {run['cpu']:.1f} | {each:.2f} | {run['mib']:.0f} | {run['pairs']} |",
            flush=True,
        )


def semantic(sizes: list[int]) -> None:
    print(
        "\n| rows, SemDeDup | clusters | wall s | CPU s | exact CPU s | peak MiB | pairs | stated recall (of pairs) | "
        "recall against all pairs |\n|---|---|---|---|---|---|---|---|---|"
    )
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            make_pool(Path(scratch), rows)
            exact, run = measure("exact", Path(scratch)), measure("semantic", Path(scratch))
        stated = "none" if run["recall"] is None else f"{run['recall']:.3f}"
        print(
            f"| {rows} | {run['clusters']} | {run['wall']:.1f} | {run['cpu']:.1f} | {exact['cpu']:.1f} | "
            f"{run['mib']:.0f} | {run['pairs']} | {stated} ({run['recall_pairs']}) | "
            f"{run['pairs'] / exact['pairs']:.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--grow", default="10000,50000,200000,400000")
    parser.add_argument("--semantic", default="10000,50000,100000,200000")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    compare(options.rows, options.repeat)
    grow([int(size) for size in options.grow.split(",") if size])
    semantic([int(size) for size in options.semantic.split(",") if size])


if __name__ == "__main__":
    main()
