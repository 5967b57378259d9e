"""search-pool beside balance-pool over the same captions and lemmas, in one run.

    python benchmarks/search_pool.py [--rows 1000000] [--repeat 3]

The captions are the 10,000 real ones of the shared data, each with a number appended, in shards of 50,000 rows with
uids. Both look for the lemmas of ImageNet's 1,000 classes, as whole words, on two workers: balance-pool counts and
draws with a cap of 20,000 (two passes), search-pool reads, chooses 200 per class, excludes captions that name several
classes, and writes its table. Neither asks an encoder: what comparing with definitions costs depends on the encoder
and on how many captions name a class. Every contender runs in a process of its own and they take turns; the clock
starts after the imports. Memory is the peak of the largest of a contender's processes. The machine may be shared: the
load stands beside the times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("NEWTEST_DATA", ROOT.parent / "shared" / "data"))
SHARD_ROWS, WORKERS = 50_000, 2


def make_pool(folder: Path, rows: int) -> None:
    """Tables of uid, url and text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from newtest.pool.storage.uids import UID, to_hex

    texts = pq.read_table(DATA / "pool" / "urls_captions_10000.parquet")["TEXT"].to_pylist()
    for number in range(-(-rows // SHARD_ROWS)):
        draw = np.random.default_rng(number)
        size = min(SHARD_ROWS, rows - number * SHARD_ROWS)
        first = number * SHARD_ROWS
        table = {
            "uid": to_hex(draw.integers(0, 2**64, (size, 2), np.uint64).view(UID)[:, 0]),
            "url": [f"https://images.example/{first + row}.jpg" for row in range(size)],
            "text": [f"{texts[(first + row) % len(texts)] or ''} {first + row}" for row in range(size)],
        }
        pq.write_table(pa.table(table), folder / f"{number:08d}.parquet")


def contender(name: str, pool: Path, scratch: Path) -> None:
    """Run one and print its seconds and what it found."""
    from newtest.engines import engine
    from newtest.pool.balance import ANY, Balancing, balance
    from newtest.pool.search import SearchConfig, search, write_found
    from newtest.pool.search.mentions import normal
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool
    from newtest.records import Class

    described = json.loads((DATA / "imagenetv2" / "metadata" / "class_info.json").read_text())
    classes = [Class(row["wnid"], tuple(row["synset"]), row["gloss"]) for row in described]
    opened, local = open_pool(pool, layers=scratch / "layers"), engine("local")
    started = time.monotonic()
    if name == "balance-pool":
        queries = sorted({normal(lemma) for cls in classes for lemma in cls.lemmas})
        balanced = balance(opened, Balancing({ANY: queries}, 20_000, seed=0), local, WORKERS)
        subsets.write(balanced.subset, scratch / "balanced.npy")
        found = len(balanced.subset)
    else:
        config = SearchConfig(200, exclude_others=True)
        result = search(opened, classes, config, engine=local, workers=WORKERS)
        found = len(write_found(result, opened, scratch / "found.parquet").hits)
    seconds = time.monotonic() - started
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"seconds": seconds, "found": found, "mib": [peak // 1024 for peak in peaks]}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--contender", nargs=3, metavar=("NAME", "POOL", "SCRATCH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contender(options.contender[0], *map(Path, options.contender[1:]))
        return
    seconds: dict[str, list[float]] = {"balance-pool": [], "search-pool": []}
    found: dict[str, int] = {}
    mib: dict[str, list[int]] = {name: [0, 0] for name in seconds}
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder) / "pool"
        pool.mkdir()
        make_pool(pool, options.rows)
        print(f"made the pool, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
        for turn in range(options.repeat):
            for name in seconds if turn % 2 == 0 else reversed(list(seconds)):
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    command = [sys.executable, __file__, "--contender", name, str(pool), scratch]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                told = json.loads(done.stdout)
                print(
                    name, done.stdout.strip(), f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True
                )
                seconds[name].append(told["seconds"])
                found[name] = told["found"]
                mib[name] = [max(pair) for pair in zip(mib[name], told["mib"], strict=True)]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{options.rows:,} captions, 1,000 classes, {os.cpu_count()} cores, {platform.machine()}, load {load}, "
        f"median of {options.repeat}\n"
    )
    print("| command | seconds (range) | rows/s | ratio | found | MiB: main, largest worker |")
    print("|---|---|---|---|---|---|")
    base = options.rows / median(seconds["balance-pool"])
    for name, times in seconds.items():
        rate = options.rows / median(times)
        spread = f"{median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
        peaks = f"{mib[name][0]:,}, {mib[name][1]:,}"
        print(f"| {name} | {spread} | {rate:,.0f} | {rate / base:.2f} | {found[name]:,} | {peaks} |")


if __name__ == "__main__":
    main()
