"""All pairs above .9 of N x 512 rows: newtest.neighbors next to FAISS's flat index, on the same cores in one run.

    python benchmarks/neighbors.py [--rows 100000] [--repeat 3] [--grow 10000,20000,50000,100000,200000,400000]
    python benchmarks/neighbors.py --device cuda --rows 50000 --grow 100000,300000,1000000

Every run is a process of its own, so that its peak memory is its own. FAISS searches as FACTS.md does: range_search
of every row at the threshold. Times leave out the making of the rows and the import of the library, on a GPU also its
start (one small search), and nothing else: newtest reads the rows from the file within its time. CPU seconds stand
beside wall seconds, because a busy machine stretches only the latter. With a GPU (``--device cuda``) it prints the
shares of two measured float16 peaks: of square matrices, and of tiles 512 deep as this search has them. On two free
cores the defaults take about ten minutes, most of them FAISS's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

THRESHOLD, WIDTH = 0.9, 512

WORKER = """
import hashlib, json, resource, sys, time
import numpy as np
path, method, device, threshold = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
if method == "faiss":
    import faiss
    x = np.load(path)
    start, cpu = time.perf_counter(), time.process_time()
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    pairs = []
    for begin in range(0, len(x), 8192):
        ends, _, found = index.range_search(x[begin:begin + 8192], threshold)
        i = np.repeat(np.arange(len(ends) - 1), np.diff(ends.astype(np.int64))) + begin
        pairs.append(np.stack([i, found], axis=1)[i < found])
    pairs = np.concatenate(pairs)
else:
    from newtest.neighbors import pairs_above
    if method == "torch":
        import torch
        if device == "cuda":
            pairs_above(np.load(path, mmap_mode="r")[:5000], threshold=threshold, device=device)
            torch.cuda.reset_peak_memory_stats()
    start, cpu = time.perf_counter(), time.process_time()
    i, j, _ = pairs_above(path, threshold=threshold, backend=method, device=device)
    pairs = np.stack([i, j], axis=1)
wall, cpu = time.perf_counter() - start, time.process_time() - cpu
pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
gpu = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0
print(json.dumps({"gpu_mib": gpu, "wall": wall, "cpu": cpu, "pairs": len(pairs),
                  "hash": hashlib.sha256(pairs.tobytes()).hexdigest(),
                  "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

PEAK = """
import json, time, torch
peaks = []
for m, n, k in ((8192, 8192, 8192), (32768, 32768, 512)):
    a = torch.randn(m, k, device="cuda", dtype=torch.float16)
    b = torch.randn(n, k, device="cuda", dtype=torch.float16)
    out = torch.empty(m, n, device="cuda", dtype=torch.float16)
    for _ in range(5): torch.mm(a, b.T, out=out)
    torch.cuda.synchronize(); start = time.perf_counter()
    for _ in range(30): torch.mm(a, b.T, out=out)
    torch.cuda.synchronize(); peaks.append(30 * 2 * m * n * k / (time.perf_counter() - start))
print(json.dumps(peaks))
"""


def make_rows(path: Path, count: int) -> None:
    """Random unit rows; one in 250 is a noisy copy of an earlier one, at cosine about .93."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, WIDTH))
    for start in range(0, count, 10_000):
        part = rng.standard_normal((min(10_000, count - start), WIDTH), dtype=np.float32)
        copies = len(part) // 250
        part[-copies:] = part[:copies] + 0.4 * part[-copies:]
        rows[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    rows.flush()


def measure(path: Path, method: str, device: str) -> dict[str, float]:
    command = [
        sys.executable,
        "-c",
        WORKER,
        str(path),
        method,
        device if method == "torch" else "cpu",
        str(THRESHOLD),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--grow", default="10000,20000,50000,100000,200000,400000")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        make_rows(path, options.rows)
        runs: dict[str, list[dict[str, float]]] = {"faiss": [], "numpy": [], "torch": []}
        for _ in range(options.repeat):  # in turn, so that a busy spell hits all of them
            for method, list_ in runs.items():
                list_.append(measure(path, method, options.device))
        same = len({run["hash"] for list_ in runs.values() for run in list_}) == 1
        print(
            f"{options.rows} x {WIDTH} float32, pairs above {THRESHOLD}: {runs['torch'][0]['pairs']} pairs, ",
            end="",
        )
        print("the same from all" if same else "NOT THE SAME")
        print("\n| method | wall s | CPU s | times FAISS (wall) | times FAISS (CPU) | peak MiB |")
        print("|---|---|---|---|---|---|")
        for method, list_ in runs.items():
            wall = [faiss["wall"] / run["wall"] for faiss, run in zip(runs["faiss"], list_, strict=True)]
            cpu = [faiss["cpu"] / run["cpu"] for faiss, run in zip(runs["faiss"], list_, strict=True)]
            print(
                f"| {method} | {spread([r['wall'] for r in list_])} | {spread([r['cpu'] for r in list_])} | "
                f"{spread(wall)} | {spread(cpu)} | {max(r['mib'] for r in list_):.0f} |",
                flush=True,
            )
        print("\n| rows | wall s | CPU s | CPU ns a pair compared | peak MiB |\n|---|---|---|---|---|")
        for count in map(int, filter(None, options.grow.split(","))):
            make_rows(path, count)
            run = measure(path, "torch", options.device)
            each = run["cpu"] / (count * (count - 1) / 2) * 1e9
            print(
                f"| {count} | {run['wall']:.2f} | {run['cpu']:.2f} | {each:.2f} | {run['mib']:.0f} |",
                flush=True,
            )
            if options.device == "cuda":
                print_shares(count, run)


def print_shares(count: int, run: dict[str, float]) -> None:
    """The useful operations of one search (each pair once), as shares of what the GPU was measured to do."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    square, deep = json.loads(done.stdout)
    rate = count * (count - 1) * WIDTH / run["wall"]
    print(
        f"{rate / 1e12:.0f} TFLOP/s: {rate / square:.2f} of the square peak ({square / 1e12:.0f}), "
        f"{rate / deep:.2f} of the peak of tiles 512 deep ({deep / 1e12:.0f}); {run['gpu_mib']:.0f} MiB on the GPU",
        flush=True,
    )


if __name__ == "__main__":
    main()
