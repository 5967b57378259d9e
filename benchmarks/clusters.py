"""Images in groups: do 95 % intervals with ``--cluster`` hold the truth, and what do those without it hold?

    python benchmarks/clusters.py [--simulations N] [--accuracies]

Groups of images share a difficulty u that all models feel: P(right) = expit(ability + tau u + sigma v), v of the image.
Groups have equal sizes, or sizes from 1 to 40. Rows: the accuracy of a model, the paired difference of two, the gap of
two sets, the ranks of twelve models, and slope, intercept and rho of a line through twenty models (over images).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from newtest.evaluation.analysis.clusters import clustered, codes_of, differences, gaps
from newtest.evaluation.analysis.compare import pairs
from newtest.evaluation.analysis.gap import model_gaps
from newtest.evaluation.analysis.line import LineConfig, fit_line
from newtest.evaluation.analysis.ranks import rank_intervals
from newtest.evaluation.scoring.results import as_results
from newtest.intervals import clopper_pearson

Floats = npt.NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def accuracy(ability: Floats, tau: float, sigma: float) -> Floats:
    """The true accuracies in percent, (models,)."""
    spread = np.hypot(tau, sigma)
    return np.asarray(100 * expit(ability[:, None] + spread * NODES) @ (WEIGHTS / WEIGHTS.sum()))


def drawn(
    random: np.random.Generator, ability: Floats, groups: int, tau: float, sigma: float, *, equal: bool
) -> tuple[pd.DataFrame, pd.Series]:
    """Correctness of models on images in groups, and the group of each image."""
    sizes = np.full(groups, 10) if equal else random.integers(1, 41, groups)
    column = np.repeat(np.arange(groups), sizes)
    shared = tau * random.standard_normal(groups)[column] + sigma * random.standard_normal(len(column))
    right = random.random((len(ability), len(column))) < expit(ability[:, None] + shared)
    names = [f"m{at:02d}" for at in range(len(ability))]
    return pd.DataFrame(right, index=names), pd.Series(column.astype(str), name="group")


def held(low: object, high: object, true: object) -> Floats:
    """1 where an interval holds the truth."""
    one, two, value = (np.asarray(part, dtype=np.float64) for part in (low, high, true))
    return ((one <= value) & (value <= two)).astype(np.float64)


def one_set(
    random: np.random.Generator, groups: int, tau: float, *, equal: bool
) -> dict[str, tuple[float, float]]:
    """Shares of intervals that hold the truth, with clusters and without."""
    ability = logit(np.linspace(0.55, 0.8, 12))
    ability[5] = ability[6]  # two that are equal
    true = accuracy(ability, tau, 1.0)
    correct, column = drawn(random, ability, groups, tau, 1.0, equal=equal)
    found = clustered(correct, column)
    low, high = clopper_pearson(found["k"], found["n"])
    names = list(correct.index)
    rows = pairs(correct, resamples=100)
    wide = differences(correct, column, rows)
    at = dict(zip(names, true, strict=True))
    between = [at[a] - at[b] for a, b in zip(rows["better"], rows["worse"], strict=True)]
    best = np.array([1 + (true > value + 1e-9).sum() for value in true])
    last = np.array([(true >= value - 1e-9).sum() for value in true])

    def ranked(table: pd.DataFrame) -> float:
        places = rank_intervals(correct, table).set_index("model").loc[names]
        return float(((places["rank_lo"] <= best) & (places["rank_hi"] >= last)).mean())

    other = accuracy(ability - 0.3, tau, 1.0)
    second, its_column = drawn(random, ability - 0.3, groups, tau, 1.0, equal=equal)
    table = _table({"old": correct, "new": second})
    rows_of_gaps = model_gaps(table, "old", "new")
    grouped = gaps(rows_of_gaps, (correct, column), (second, its_column))
    return {
        "accuracy": (
            float(held(found["lo"], found["hi"], true).mean()),
            float(held(100 * low, 100 * high, true).mean()),
        ),
        "difference": (
            float(held(wide["lo"], wide["hi"], between).mean()),
            float(held(rows["lo"], rows["hi"], between).mean()),
        ),
        "gap": (
            float(held(grouped["lo"], grouped["hi"], true - other).mean()),
            float(held(rows_of_gaps["lo"], rows_of_gaps["hi"], true - other).mean()),
        ),
        "rank": (ranked(wide), ranked(rows)),
    }


def accuracies_and_gaps(
    random: np.random.Generator, groups: int, tau: float, *, equal: bool
) -> dict[str, tuple[float, float]]:
    """As ``one_set``, without differences and ranks."""
    ability = logit(np.linspace(0.55, 0.8, 12))
    true, other = accuracy(ability, tau, 1.0), accuracy(ability - 0.3, tau, 1.0)
    sets = [drawn(random, at, groups, tau, 1.0, equal=equal) for at in (ability, ability - 0.3)]
    found = clustered(*sets[0])
    low, high = clopper_pearson(found["k"], found["n"])
    rows = model_gaps(_table({"old": sets[0][0], "new": sets[1][0]}), "old", "new")
    grouped = gaps(rows, *sets)
    return {
        "accuracy": (
            float(held(found["lo"], found["hi"], true).mean()),
            float(held(100 * low, 100 * high, true).mean()),
        ),
        "gap": (
            float(held(grouped["lo"], grouped["hi"], true - other).mean()),
            float(held(rows["lo"], rows["hi"], true - other).mean()),
        ),
    }


def one_line(
    random: np.random.Generator, groups: int, tau: float, *, equal: bool
) -> dict[str, tuple[float, float]]:
    """Slope, intercept (over images) and rho of a line whose models lie on it but for their noise."""
    ability = logit(np.linspace(0.4, 0.8, 20))
    sets = [drawn(random, ability - shift, groups, tau, 1.0, equal=equal) for shift in (0.0, 0.4)]
    truths = [accuracy(ability - shift, tau, 1.0) for shift in (0.0, 0.4)]
    slope, intercept = np.polyfit(logit(truths[0] / 100), logit(truths[1] / 100), 1)
    table = _table({"x": sets[0][0], "y": sets[1][0]})
    options = LineConfig(("x",), "y", "logit", resamples=100)
    off = truths[1] - 100 * expit(intercept + slope * logit(truths[0] / 100))
    shares = []
    for clusters in ([codes_of(column) for _, column in sets], None):
        line = fit_line(as_results(table), options, [correct for correct, _ in sets], clusters)
        assert line.over_images is not None
        row = line.models.set_index("model").loc[list(sets[0][0].index)]
        shares.append(
            [
                float(held(*line.over_images["slope"], slope)),
                float(held(*line.over_images["intercept"], intercept)),
                float(held(row["rho_lo"], row["rho_hi"], off).mean()),
            ]
        )
    return {name: (shares[0][at], shares[1][at]) for at, name in enumerate(("slope", "intercept", "rho"))}


def _table(sets: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = [
        {
            "model": model,
            "set": name,
            "k": int(k),
            "n": correct.shape[1],
            "accuracy": 100 * k / correct.shape[1],
        }
        for name, correct in sets.items()
        for model, k in correct.sum(axis=1).items()
    ]
    return pd.DataFrame(rows).assign(group="", base="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--accuracies", action="store_true", help="accuracies and gaps alone, which are fast")
    options = parser.parse_args()
    kinds = (accuracies_and_gaps,) if options.accuracies else (one_set, one_line)
    print("groups  sizes  tau   figure       with clusters  without", flush=True)
    for groups, equal, tau in (
        (20, True, 1.0),
        (20, False, 1.0),
        (60, True, 0.0),
        (60, True, 1.0),
        (60, False, 1.0),
        (200, False, 2.0),
    ):
        for make in kinds:
            run: Callable[..., dict[str, tuple[float, float]]] = make
            random = np.random.default_rng([groups, int(equal), int(10 * tau)])
            found = [run(random, groups, tau, equal=equal) for _ in range(options.simulations)]
            for name in found[0]:
                both = np.mean([one[name] for one in found], axis=0)
                sizes = "10" if equal else "1-40"
                print(
                    f"{groups:6d}  {sizes:5s}  {tau:.1f}   {name:11s}  {both[0]:13.3f}  {both[1]:7.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
