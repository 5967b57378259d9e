"""The k-means of clusters next to FAISS's, in one run: equal rows, rounds and number of clusters, two cores.

    python benchmarks/kmeans.py [--rows 50000] [--clusters 20,100,400] [--repeat 3]

Rows are made (``benchmarks/dedup_pool.py``): topics, 512 numbers, float16. Both train on all rows for 12 rounds. FAISS
gets float32 and is spherical as ours is. Inertia is the sum of squared distances of the rows to their nearest
centroid, by the same code for both. CPU seconds stand beside wall seconds, because a shared machine stretches only the
latter. A second table counts the pairs at .95 that one and two clusters per row find.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from newtest.clip.encoder import unit_rows
from newtest.draws import generator
from newtest.neighbors import pairs_above
from newtest.neighbors.kmeans import ROUNDS, nearest, trained

WIDTH, TOPIC = 512, 200


def made(rows: int) -> npt.NDArray[np.float16]:
    draw = np.random.default_rng(0)
    topics = draw.standard_normal((max(rows // TOPIC, 1), WIDTH), dtype=np.float32)
    own = draw.standard_normal((rows, WIDTH), dtype=np.float32)
    return unit_rows(topics[draw.integers(0, len(topics), rows)] + own).astype(np.float16)


def inertia(rows: npt.NDArray[np.float16], centroids: npt.NDArray[np.float32]) -> float:
    labels = nearest(rows, centroids)[:, 0]
    parts = np.array_split(np.arange(len(rows)), -(-len(rows) // 4096))
    return sum(
        float(((rows[part].astype(np.float64) - centroids[labels[part]]) ** 2).sum()) for part in parts
    )


def timed(make: Callable[[], npt.NDArray[np.float32]]) -> tuple[float, float, npt.NDArray[np.float32]]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = make()
    return time.perf_counter() - wall, time.process_time() - cpu, found


def compare(rows: npt.NDArray[np.float16], clusters: int, repeat: int) -> None:
    import faiss

    wide = rows.astype(np.float32)

    def theirs(seed: int) -> npt.NDArray[np.float32]:
        index = faiss.Kmeans(
            WIDTH, clusters, niter=ROUNDS, spherical=True, seed=seed, max_points_per_centroid=len(rows)
        )
        index.train(wide)
        return np.asarray(index.centroids, np.float32)

    ways: dict[str, Callable[[int], npt.NDArray[np.float32]]] = {
        "faiss": theirs,
        "numpy": lambda seed: trained(rows, clusters, generator(seed, "kmeans"), backend="numpy"),
        "torch": lambda seed: trained(rows, clusters, generator(seed, "kmeans"), backend="torch"),
    }
    runs: dict[str, list[tuple[float, float, npt.NDArray[np.float32]]]] = {name: [] for name in ways}
    for seed in range(repeat):  # in turn, so that a busy spell hits all
        for name, make in ways.items():
            runs[name].append(timed(partial(make, seed)))
    for name, of_one in runs.items():
        wall, cpu = statistics.median(run[0] for run in of_one), statistics.median(run[1] for run in of_one)
        far = statistics.mean(inertia(rows, run[2]) for run in of_one)
        print(f"| {len(rows)} | {clusters} | {name} | {wall:.2f} | {cpu:.2f} | {far:.0f} |", flush=True)


def probes(rows: npt.NDArray[np.float16], clusters: int) -> None:
    """Copies at a cosine of .951 to .99 of half the rows, which stand for pairs that clusters may part."""
    draw = np.random.default_rng(1)
    away = unit_rows(draw.standard_normal(rows.shape, dtype=np.float32))
    share = draw.uniform(0.15, 0.30, (len(rows), 1)).astype(np.float32)
    both = np.concatenate([rows, unit_rows(rows.astype(np.float32) + share * away).astype(np.float16)])
    i, j, _ = pairs_above(both, threshold=0.95)
    centroids = trained(both, clusters, generator(0, "kmeans"))
    labels = nearest(both, centroids, 2)
    one = float((labels[i, 0] == labels[j, 0]).mean())
    two = float((labels[i][:, :, None] == labels[j][:, None, :]).any(axis=(1, 2)).mean())
    print(
        f"| {len(both)} | {clusters} | {len(i)} | {one:.4f} | {two:.4f} | {(two - one) / max(1 - one, 1e-12):.2f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--clusters", default="20,100,400")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rows = made(options.rows)
    sizes = [int(size) for size in options.clusters.split(",")]
    print("| rows | clusters | who | wall s | CPU s | inertia |\n|---|---|---|---|---|---|")
    for size in sizes:
        compare(rows[: 256 * size], size, options.repeat)
    print(
        "\n| rows | clusters | pairs | found by one | by two | of what one misses |\n|---|---|---|---|---|---|"
    )
    for size in sizes:
        probes(rows[:20_000], size)


if __name__ == "__main__":
    main()
