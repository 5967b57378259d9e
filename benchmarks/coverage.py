"""How often the printed intervals of ``newtest report line`` and ``gap`` hold what they are to hold: .95 is wanted.

Simulated models: a true x on the logit scale, a true y on a line with scatter, then k of n images right on both sets.
The truths: of slope and intercept the line itself (over models) or the line through these models' true accuracies
(over images); of R2 that of endlessly many models measured with as many images (over models), or of these models'
true accuracies (over images); of rho the distance of a model's true accuracy from the true line, for models that
were fitted, for models that were not, and for models exactly on it; of the gap and the accuracy the true ones.
Prints Markdown.

    python benchmarks/coverage.py [--simulations 500] > benchmarks/results/coverage-MACHINE.md
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from newtest.draws import generator
from newtest.evaluation.analysis.gap import model_gaps
from newtest.evaluation.analysis.line import LineConfig, fit_line
from newtest.evaluation.scoring.results import as_results
from newtest.intervals import clopper_pearson

SLOPE, INTERCEPT = 0.92, -0.5
SHAPES = ("normal", "even", "testbed")
OTHERS = 2
"""Models that are shown but not fitted: one off the line by half a unit, one exactly on it."""


def true_x(random: np.random.Generator, shape: str, size: int) -> np.ndarray:
    """Logits of accuracy: normal, evenly spread, or leaning to the high end as the testbed's models do.

    Drawn again where the models span so little that a line would be refused.
    """
    while True:
        if shape == "normal":
            x = random.normal(0.8, 0.45, size)
        else:
            x = 0.1 + 1.7 * (random.random(size) if shape == "even" else random.beta(3, 1.2, size))
        if np.ptp(x[:-OTHERS]) > 0.6:
            return x


def simulate(
    random: np.random.Generator, shape: str, models: int, images: int, scatter: float, *, seed: int
) -> dict[str, float]:
    """Whether each interval of one simulated table holds its truth; of rho, in what share of the fitted models."""
    x = true_x(random, shape, models + OTHERS)
    off = random.normal(0, scatter, models + OTHERS)
    off[-2:] = 0.5, 0.0
    y = SLOPE * x + INTERCEPT + off
    names = [f"m{at:03d}" for at in range(len(x))]
    counts = [random.binomial(images, expit(values)) for values in (x, y)]
    parts = [
        pd.DataFrame({"model": names, "set": name, "k": k, "n": images})
        for name, k in zip("xy", counts, strict=True)
    ]
    results = as_results(pd.concat(parts))
    table = results.table
    line = fit_line(results, LineConfig(("x",), "y", exclude=tuple(names[-2:]), seed=seed))
    held: dict[str, float] = {}
    r2 = measured_r2(shape, images, scatter)
    for name, truth in (("slope", SLOPE), ("intercept", INTERCEPT), ("r2", r2)):
        held[f"{name} over models"] = inside(line.over_models[name], truth)
    slope, intercept = np.polyfit(x[:-2], y[:-2], 1)
    these = {"slope": slope, "intercept": intercept, "r2": np.corrcoef(x[:-2], y[:-2])[0, 1] ** 2}
    for name, truth in these.items():
        held[f"{name} over images"] = inside((line.over_images or {})[name], truth)
    found = line.models.set_index("model").loc[names]
    rho = 100 * (expit(y) - expit(SLOPE * x + INTERCEPT))
    right = (found["rho_lo"].to_numpy() <= rho) & (rho <= found["rho_hi"].to_numpy())
    held["rho, fitted"] = float(right[:models].mean())
    held |= {"rho, far off": right[-2], "rho, on the line": right[-1]}
    ends = model_gaps(table, "x", "y").set_index("model")[["lo", "hi"]].to_numpy()[0]
    held["gap of a model"] = inside((ends[0], ends[1]), 100 * float(expit(x[0]) - expit(y[0])))
    low, high = clopper_pearson(counts[1][:1], np.array([images]))
    held["accuracy"] = inside((low[0], high[0]), float(expit(y[0])))
    return held


def inside(interval: tuple[float, float], truth: float) -> bool:
    return bool(interval[0] <= truth <= interval[1])


_R2: dict[tuple[str, int, float], float] = {}


def measured_r2(shape: str, images: int, scatter: float) -> float:
    """R2 of 400,000 models whose accuracies are measured with so many images."""
    key = (shape, images, scatter)
    if key not in _R2:
        random = generator(0, "coverage", "r2", *map(str, key))
        x = true_x(random, shape, 400_000)
        y = SLOPE * x + INTERCEPT + random.normal(0, scatter, len(x))
        measured = [logit(random.binomial(images, expit(values)) / images) for values in (x, y)]
        _R2[key] = float(np.corrcoef(*measured)[0, 1] ** 2)
    return _R2[key]


def main() -> None:
    """A row a number of models and images, a column an interval."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--models", type=int, nargs="*", default=[8, 15, 30, 85])
    parser.add_argument("--images", type=int, nargs="*", default=[2_000, 10_000, 50_000])
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), help="taken in turn")
    parser.add_argument("--scatter", type=float, default=0.08)
    arguments = parser.parse_args()
    head: list[str] = []
    for models in arguments.models:
        for images in arguments.images:
            random = generator(0, "coverage", str(models), str(images))
            table = defaultdict(list)
            for seed in range(arguments.simulations):
                shape = arguments.shapes[seed % len(arguments.shapes)]
                held = simulate(random, shape, models, images, arguments.scatter, seed=seed)
                for name, value in held.items():
                    table[name].append(value)
            if not head:
                head = list(table)
                print("| models | images | " + " | ".join(head) + " |")
                print("|" + "---|" * (2 + len(head)))
            cells = [f"{np.mean(table[name]):.3f}".removeprefix("0") for name in head]
            print(f"| {models} | {images} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
