"""The atlas: seconds for 1,500 models on 9 sets, and how often it raises a false alarm or misses a model.

    python benchmarks/atlas.py [--timm FOLDER] [--simulations 300]

Time: a folder of nine tables in timm's form, made here (or timm's own ``results`` with --timm), read, fitted, tested
and written as a page, each as its own figure, five rounds. Plain pandas reading the same tables stands beside it.
Alarms: models drawn on a line (nobody is off), and with one model ``d`` standard deviations of the scatter off.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from newtest.evaluation import AtlasConfig, build_atlas, read_boards
from newtest.evaluation.report.atlas_page import render_atlas
from newtest.evaluation.scoring.board import Board, board_rows

MODELS, SETS = 1500, 9


def tables(folder: Path) -> None:
    """Nine tables in timm's form: 1,250 models, 250 of them in two configurations."""
    rng = np.random.default_rng(0)
    names = [f"net{at % 1250}.tag{at % 7}_in1k" for at in range(MODELS)]
    skill = rng.uniform(0.3, 2.2, MODELS)
    for at in range(SETS):
        top1 = 100 * expit((1 - 0.05 * at) * skill - 0.2 * at + rng.normal(0, 0.02 + 0.02 * at, MODELS))
        frame = pd.DataFrame(
            {
                "model": names,
                "img_size": [224 if row < 1250 else 288 for row in range(MODELS)],
                "top1": np.round(top1, 3),
                "top1_err": np.round(100 - top1, 3),
                "top5": np.round(np.minimum(top1 + 10, 99.9), 3),
                "top5_err": 0.1,
                "param_count": 25.6,
                "crop_pct": 0.875,
                "interpolation": "bicubic",
            }
        )
        frame.to_csv(folder / ("results-imagenet.csv" if at == 0 else f"results-shift-{at}.csv"), index=False)


def times(folder: Path) -> None:
    rows = []
    for _ in range(5):
        start = time.perf_counter()
        for path in sorted(folder.glob("*.csv")):
            pd.read_csv(path)
        plain, cpu = time.perf_counter(), time.process_time()
        board = read_boards([folder])
        read = time.perf_counter()
        found = build_atlas(board)
        built = time.perf_counter()
        html = render_atlas(found)
        done = time.perf_counter()
        rows.append(
            (plain - start, read - plain, built - read, done - built, done - plain, time.process_time() - cpu)
        )
    best, worst = np.min(rows, axis=0), np.max(rows, axis=0)
    print(
        f"{len(found.models)} models and configurations, {len(found.accuracy.columns)} sets, {len(html) >> 10} KiB"
    )
    for name, low, high in zip(
        ("pandas reads", "read", "fit and test", "page", "together", "CPU, together"),
        best,
        worst,
        strict=True,
    ):
        print(f"{name:14s} {low:6.2f} to {high:6.2f} s")


def alarms(simulations: int) -> None:
    print("\nmodels  sets  off, sd  any false alarm  the model found  (Holm over the atlas, 5 %)")
    for models, sets, off in [
        (m, s, d) for m, s in ((20, 2), (85, 20), (300, 8)) for d in (0.0, 4.0, 6.0, 8.0)
    ]:
        false, hit = 0, 0
        for seed in range(simulations):
            rng = np.random.default_rng((seed, models, sets))
            x = rng.uniform(0, 2, models)
            wide = {"val": x} | {f"s{at}": 0.9 * x - 0.5 + rng.normal(0, 0.1, models) for at in range(sets)}
            wide["s0"][-1] += 0.1 * off
            frame = pd.DataFrame({name: 100 * expit(values) for name, values in wide.items()})
            frame.insert(0, "model", [f"m{at}" for at in range(models)])
            rows = frame.melt(id_vars="model", var_name="set", value_name="accuracy")
            found = build_atlas(Board(board_rows(rows, "t")), AtlasConfig(x=("val",)))
            off_all = np.stack([line.off(0.05) for line in found.lines])
            hit += bool(off_all[0, -1]) if off else 0
            off_all[0, -1] &= off == 0
            false += bool(off_all.any())
        print(f"{models:6d}  {sets:4d}  {off:7.0f}  {false / simulations:15.3f}  {hit / simulations:15.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timm", type=Path)
    parser.add_argument("--simulations", type=int, default=300)
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    if given.timm is not None:
        times(given.timm)
    with tempfile.TemporaryDirectory() as folder:
        tables(Path(folder))
        times(Path(folder))
    alarms(given.simulations)


if __name__ == "__main__":
    main()
