"""Memory of the driver and of its workers, by join and by the rows of the pool.

    python benchmarks/joins_memory.py [--rows 100000,500000,1000000,2000000] [--joins exact,reference,hash,clusters]

Each run is a process of its own, with two local workers. Peaks are the kernel's (``VmHWM``); that of the workers is
the largest, looked at 50 times per second (``RUSAGE_CHILDREN`` would count what a child was before it started Python).
The pool's rows are made: 32 numbers in ``.npz`` files beside Parquet of 50,000 rows, or hashes in a layer; one row in
fifty is a copy of another. A tile of the joins by pairs (exact, hash) is as large as the pool allows, but only so many
rows as ``--known`` have a vector or a hash, drawn from all: a join of all pairs of 2 M rows takes long, and what a
driver holds for a row does not depend on it. 0 is all.

The last column is what k-means trains on: 256 rows per cluster, of which there is one per 1,000 rows. The driver holds
that sample besides. Bytes per row are those of the largest pool above the smallest one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

WIDTH, SHARD, COPIES, SET = 32, 50_000, 50, 10_000
PAIRWISE = ("exact", "hash")


def make_pool(folder: Path, rows: int, join: str, known: int) -> None:
    """Shards of uids and vectors, or of hashes where the join is by these."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from newtest.clip.encoder import unit_rows
    from newtest.hashes import FRAMINGS, WORDS
    from newtest.pool.dedup.hash_layer import HASHES
    from newtest.pool.storage.pool import open_pool
    from newtest.pool.storage.uids import UID, to_hex

    draw = np.random.default_rng(0)
    share = known / rows if join in PAIRWISE and 0 < known < rows else 1.0
    for number, start in enumerate(range(0, rows, SHARD)):
        size = min(SHARD, rows - start)
        uids = to_hex(draw.integers(0, 2**64, (size, 2), np.uint64).view(UID)[:, 0])
        columns = {"uid": uids, "clip_l14_similarity_score": draw.random(size, np.float32)}
        if join == "hash":  # the hashes are there already, and no image is read
            columns["image"] = pa.array([b""] * size, pa.binary())
        pq.write_table(pa.table(columns), folder / f"{number:08d}.parquet")
        if join != "hash":
            vectors = unit_rows(draw.standard_normal((size, WIDTH), dtype=np.float32)).astype(np.float16)
            vectors[: size // COPIES] = vectors[size // 2 : size // 2 + size // COPIES]
            vectors[draw.random(size) >= share] = np.nan
            np.savez(folder / f"{number:08d}.npz", l14_img=vectors)
    if join == "hash":
        pool = open_pool(str(folder))
        for shard in pool.shards:
            size, width = pool.rows(shard), len(FRAMINGS) * WORDS
            words = draw.integers(0, 2**63, (size, width), np.uint64)
            words[:, WORDS - 1 :: WORDS] &= np.uint64(0xFFFF)
            words[: size // COPIES] = words[size // 2 : size // 2 + size // COPIES]
            lists = pa.FixedSizeListArray.from_arrays(
                pa.array(words.reshape(-1)), width, mask=pa.array(draw.random(size) >= share)
            )
            with pool.layers.writing(HASHES.file(pool, shard)) as path:
                pq.write_table(pa.table({"perceptual": lists.cast(pa.list_(pa.uint64(), width))}), path)
    if join == "reference":
        np.save(folder.parent / "set.npy", unit_rows(draw.standard_normal((SET, WIDTH), dtype=np.float32)))


def peak(process: str) -> int:
    """The most bytes that a process had in memory so far."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 if "VmHWM:" in status else 0


def watch_children(found: dict[str, int]) -> None:
    """Their peaks, by process."""
    mine = Path(f"/proc/{os.getpid()}/task")
    while True:
        for thread in mine.iterdir():
            with suppress(OSError):
                for child in (thread / "children").read_text(encoding="ascii").split():
                    with suppress(OSError):
                        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():  # it started Python
                            found[child] = max(peak(child), found.get(child, 0))
        time.sleep(0.02)


def worker(folder: Path, join: str) -> dict[str, Any]:
    """The library call of the command, in this process, with two workers."""
    from newtest.engines import LocalEngine
    from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
    from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
    from newtest.pool.storage.pool import open_pool
    from newtest.progress import UNWATCHED

    watched: dict[str, int] = {}
    threading.Thread(target=watch_children, args=[watched], daemon=True).start()
    start, pool = time.perf_counter(), open_pool(str(folder))
    if join == "reference":
        against = [str(folder.parent / "set.npy")]
        clean = decontaminate(
            pool, against, DecontaminateConfig("exact", threshold=0.95), UNWATCHED, LocalEngine(), 2
        )
        pairs, stay = len(clean.pairs), len(clean.subset)
    else:
        method: Any = {"exact": "exact", "hash": "hash", "clusters": "semantic"}[join]
        found = dedup(pool, DedupConfig(method, threshold=0.95), UNWATCHED, LocalEngine(), 2)
        pairs, stay = len(found.pairs), len(found.subset)
    seconds = time.perf_counter() - start
    return {
        "driver": peak("self"),
        "worker": max(watched.values(), default=0),
        "pairs": pairs, "stay": stay, "seconds": seconds,
    }  # fmt: skip


def measure(join: str, rows: int, known: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="joins-memory-") as scratch:
        folder = Path(scratch) / "pool"
        folder.mkdir()
        made = [str(folder), join, str(rows), str(known)]
        for part in ("make", "run"):  # what made the pool must not be the run's child, nor its memory
            done = subprocess.run(
                [sys.executable, __file__, f"--{part}", *made],
                stdout=subprocess.PIPE, text=True, check=True, env=os.environ,
            )  # fmt: skip
        return dict(json.loads(done.stdout))


def _sample(join: str, rows: int) -> str:
    """As float16 and as float32, and 48 bytes per row for its labels and bounds."""
    return f"{256 * (rows // 1000) * (6 * WIDTH + 48) / 2**20:.0f}" if join == "clusters" else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="100000,500000,1000000,2000000")
    parser.add_argument("--joins", default="exact,reference,hash,clusters")
    parser.add_argument("--known", type=int, default=200_000)
    for part in ("--make", "--run"):
        parser.add_argument(part, nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        folder, join, rows, known = options.make
        make_pool(Path(folder), int(rows), join, int(known))
        return
    if options.run:
        print(json.dumps(worker(Path(options.run[0]), options.run[1])))
        return
    print("| join | rows | driver MiB | driver bytes per row | worker MiB | pairs | s | sample MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for join in options.joins.split(","):
        first: tuple[int, int] | None = None
        for rows in map(int, options.rows.split(",")):
            found = measure(join, rows, options.known)
            first = first or (rows, found["driver"])
            each = f"{(found['driver'] - first[1]) / (rows - first[0]):.1f}" if rows > first[0] else ""
            print(
                f"| {join} | {rows} | {found['driver'] / 2**20:.0f} | {each} | {found['worker'] / 2**20:.0f} | "
                f"{found['pairs']} | {found['seconds']:.0f} | {_sample(join, rows)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
