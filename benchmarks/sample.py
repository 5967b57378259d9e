"""Selection frequencies and a matched-frequency sample: seconds and memory, and how they grow.

A study with 200 candidates and 50 originals a class and 10 votes an image is written to SQLite as an import would
leave it. Then, in a fresh process a run, the work of the commands is timed: votes from the catalog to frequencies
with intervals (A); the votes once more, a matched-frequency sample, stored as a revision (B); the pure function alone
(C). The peer is a plain pandas script of the published rule that starts from the same frequencies in memory (D).
"CPU" is what the machine spent on A and B; the wall clock also counts whoever shares the cores.

    python benchmarks/sample.py                       100, 1,000 and 4,000 classes
    python benchmarks/sample.py --counts 1000 21841   votes stored as counts, which need far less disk
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

CANDIDATES, ORIGINALS, VOTES, PER_CLASS = 200, 50, 10, 10
EDGES = (0.2, 0.4, 0.6, 0.8)


def build(root: Path, classes: int, *, as_counts: bool) -> None:
    """A study of simulated votes, written with the indices that a real one has."""
    from newtest.catalog import transaction
    from newtest.study import Study

    with Study(root, create=True) as study, transaction(study.catalog) as catalog:
        catalog.execute("DROP INDEX votes_worker")
        catalog.execute("INSERT INTO references_ VALUES ('original', 'benchmark', '', '')")
        catalog.execute("INSERT INTO vote_batches VALUES ('benchmark', 'imported', 'benchmark', '')")
        catalog.executemany(
            "INSERT INTO classes VALUES (?, '[]', '', '[]', '')", ((wnid,) for wnid in names(classes))
        )
        for kind, each, shape in (("c", CANDIDATES, (2, 2)), ("r", ORIGINALS, (4, 1.5))):
            pairs = sorted(
                (hashlib.sha1(f"{kind}{i}".encode()).hexdigest(), i // each) for i in range(classes * each)
            )
            rows = [(image, f"n{index:08d}") for image, index in pairs]
            source = "benchmark" if kind == "c" else "reference:original"
            catalog.executemany(
                "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)",
                ((i, source, i) for i, _ in rows),
            )
            if kind == "c":
                catalog.executemany("INSERT INTO candidates VALUES (?, ?)", rows)
            else:
                catalog.executemany("INSERT INTO reference_members VALUES ('original', ?, ?)", rows)
            if as_counts:
                rng = np.random.default_rng(0)
                selected = rng.binomial(VOTES, rng.beta(shape[0], shape[1], size=len(rows))).tolist()
                counts = ((*pair, k, VOTES) for pair, k in zip(rows, selected, strict=True))
                catalog.executemany("INSERT INTO vote_counts VALUES (?, ?, ?, ?, 'benchmark')", counts)
            else:
                single = "INSERT INTO votes VALUES (?, ?, ?, ?, NULL, NULL, NULL, 'benchmark')"
                catalog.executemany(single, votes(rows, shape))
        catalog.execute("CREATE INDEX votes_worker ON votes (worker)")


def names(classes: int) -> list[str]:
    return [f"n{index:08d}" for index in range(classes)]


def votes(rows: list[tuple[str, str]], shape: tuple[float, float]) -> Iterator[tuple[str, str, str, int]]:
    rng = np.random.default_rng(0)
    workers = [hashlib.sha256(f"{worker}".encode()).hexdigest()[:32] for worker in range(VOTES)]
    selected = rng.random((len(rows), VOTES)) < rng.beta(*shape, size=(len(rows), 1))
    for (image, wnid), row in zip(rows, selected, strict=True):
        for worker, vote in zip(workers, row.tolist(), strict=True):
            yield image, wnid, worker, int(vote)


def measure(root: Path) -> dict[str, float]:
    """One run in this process: seconds of A, B, C, D, and the peak of memory in MiB."""
    from newtest.sampling import Origin, SamplingConfig, sample, sample_study
    from newtest.sampling.revision import gather
    from newtest.study import Study
    from newtest.votes import frequencies

    config = SamplingConfig(fill_upward=True, allow_incomplete=True, seed=time.time_ns())
    with Study(root) as study:
        began, cpu = time.perf_counter(), time.process_time()
        table = frequencies(study)
        read = time.perf_counter()
        drawn = sample_study(study, config, origin=Origin(without_bytes=True))
        stored, cpu = time.perf_counter(), time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        inputs = gather(study, config, Origin())
    before = time.perf_counter()
    pure = sample(inputs.candidates, inputs.reference, config)
    after = time.perf_counter()
    assert pure.members.equals(drawn.members)
    assert inputs.reference is not None
    peer = plain_pandas(inputs.candidates, inputs.reference)
    end = time.perf_counter()
    # Without filling, the two draw equal histograms.
    unfilled = sample(inputs.candidates, inputs.reference, SamplingConfig(allow_incomplete=True))
    assert len(table) == len(inputs.candidates) + len(inputs.reference)
    assert len(peer) == len(unfilled.members)
    return {
        "A": read - began,
        "B": stored - read,
        "C": after - before,
        "D": end - after,
        "CPU": cpu,
        "MiB": peak,
    }


def plain_pandas(candidates: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """The published rule as one would write it in a notebook: groups of groups, a rounding loop a class."""
    candidates, reference = (
        frame[frame["num_shown"] >= 10].assign(
            bin=lambda frame: np.digitize(np.round(frame["num_selected"] / frame["num_shown"], 9), EDGES)
        )
        for frame in (candidates, reference)
    )
    pools = dict(list(candidates.groupby(["wnid", "bin"])))
    parts = []
    for wnid, originals in reference.groupby("wnid"):
        counts = np.bincount(originals["bin"], minlength=5)
        exact = counts * PER_CLASS / counts.sum()
        target = np.floor(exact).astype(int)
        for bin_ in sorted(range(5), key=lambda b: (-(counts[b] * PER_CLASS % counts.sum()), -b))[
            : PER_CLASS - int(target.sum())
        ]:
            target[bin_] += 1
        for bin_ in np.flatnonzero(target).tolist():
            if (pool := pools.get((wnid, bin_))) is not None:
                parts.append(pool.sample(min(target[bin_], len(pool)), random_state=0))
    return pd.concat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("classes", type=int, nargs="*", default=[100, 1_000, 4_000])
    parser.add_argument("--counts", action="store_true", help="store votes as counts")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    print(f"seconds: median of {options.repeat} runs (lowest to highest)\n")
    print(
        "| classes | votes | A frequencies | B sample, store | A + B | CPU | peak MiB | C pure | D pandas | D / C |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for classes in options.classes:
        with tempfile.TemporaryDirectory() as folder:
            build(Path(folder), classes, as_counts=options.counts)
            command = [sys.executable, __file__, "--measure", folder]
            runs = [
                json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                for _ in range(options.repeat)
            ]
        for run in runs:
            run["A + B"], run["D / C"] = run["A"] + run["B"], run["D"] / run["C"]
        columns = ("A", "B", "A + B", "CPU", "MiB", "C", "D", "D / C")
        cells = [spread([run[column] for run in runs], whole=column == "MiB") for column in columns]
        total = classes * (CANDIDATES + ORIGINALS) * VOTES
        print(f"| {classes:,} | {total:,} | {' | '.join(cells)} |", flush=True)


def spread(values: list[float], *, whole: bool) -> str:
    form = "{:.0f}" if whole else "{:.2f}"
    low, high = (form.format(value) for value in (min(values), max(values)))
    return f"{form.format(statistics.median(values))} ({low} to {high})"


if __name__ == "__main__":
    main()
