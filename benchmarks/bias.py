"""False gaps of matched-frequency sampling, with the published rule and with the mixture correction.

Nothing differs between the simulated original and the drawn set but the frequencies: P(correct | s) = .15 + .8 s at
every true frequency s, so a gap in accuracy (points, original less drawn) is false. Each row: mean over seeds and its
standard error, and how often the diagnosis of the corrected draw warns. Prints Markdown.

    python benchmarks/bias.py [--seeds 10] > benchmarks/results/bias-MACHINE.md
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from newtest.draws import generator
from newtest.sampling import SamplingConfig, prepare
from newtest.sampling.diagnosis import diagnose_draft

SLOPE = 80.0
"""Points of accuracy from s = 0 to s = 1."""


@dataclass(frozen=True)
class Scenario:
    """Sizes are images a class; ``votes`` are drawn uniformly, both ends included."""

    name: str
    original: tuple[float, float]
    pool: tuple[float, float]
    votes: tuple[int, int]
    classes: int = 1
    originals: int = 10_000
    candidates: int = 100_000
    per_class: int = 5_000
    logistic: bool = False
    """False: s ~ Beta(original), Beta(pool). True: logit s ~ N(class level + mean, sd), class levels N(0, 0.5)."""


def small_classes(name: str, votes: tuple[int, int], *, pool: float = 2.0) -> Scenario:
    """Most originals near 1 (median .95), the pool harder (median .88, or .77 with 1.2); 10 of 200 a class."""
    return Scenario(name, (3.0, 1.5), (pool, 1.5), votes, 100, 50, 200, 10, logistic=True)


CLOSED = [Scenario(f"closed form, {n} votes", (4, 1.5), (2, 2), (n, n)) for n in (10, 20, 40)]
CLOSED.append(Scenario("closed form, 5 to 40 votes", (4, 1.5), (2, 2), (5, 40)))
SKEWED = [small_classes(f"skewed, 100 classes, {n} votes", (n, n)) for n in (5, 10, 20, 40)]
SKEWED.append(small_classes("skewed, 100 classes, 5 to 40 votes", (5, 40)))
SKEWED += [small_classes(f"much harder pool, {n} votes", (n, n), pool=1.2) for n in (5, 10, 20)]
SKEWED.append(small_classes("much harder pool, 5 to 40 votes", (5, 40), pool=1.2))
HARD = [
    small_classes("few votes: skewed, 2 votes", (2, 2)),
    small_classes("few votes: skewed, 3 votes", (3, 3)),
    Scenario("few votes: closed form, 3 votes", (4, 1.5), (2, 2), (3, 3)),
    Scenario(
        "few images: one class, 50 originals, 200 candidates", (4, 1.5), (2, 2), (10, 10), 1, 50, 200, 10
    ),
    Scenario("scarce pool: 6,000 candidates for 5,000", (4, 1.5), (2, 2), (20, 20), candidates=6_000),
    Scenario("disjoint supports: Beta(40, 2) from Beta(2, 6)", (40, 2), (2, 6), (20, 20)),
]


def population(scenario: Scenario, seed: int, which: str) -> pd.DataFrame:
    """A frame for ``prepare`` with a column ``true`` that it does not see."""
    each = scenario.originals if which == "original" else scenario.candidates
    a, b = scenario.original if which == "original" else scenario.pool
    owner = np.repeat(np.arange(scenario.classes), each)
    random = generator(seed, scenario.name, which)
    if scenario.logistic:
        level = generator(seed, scenario.name, "classes").normal(0, 0.5, scenario.classes)
        true = 1 / (1 + np.exp(-(level[owner] + a + b * random.normal(size=len(owner)))))
    else:
        true = random.beta(a, b, size=len(owner))
    shown = random.integers(scenario.votes[0], scenario.votes[1] + 1, size=len(owner))
    frame = {"num_selected": random.binomial(shown, true), "num_shown": shown, "true": true}
    ids = [f"{which}{index:07d}" for index in range(len(owner))]
    return pd.DataFrame({"image_id": ids, "wnid": [f"n{index:08d}" for index in owner], **frame})


def run(scenario: Scenario, seed: int) -> tuple[dict[str, float], list[str]]:
    """False gaps by rule, and what the diagnosis of the corrected draw warns of."""
    original, pool = (population(scenario, seed, which) for which in ("original", "pool"))
    config = SamplingConfig(
        per_class=scenario.per_class, min_votes=1, min_reference_images=1, seed=seed, allow_incomplete=True
    )
    exact = (
        tuple(np.arange(1, scenario.votes[1]) / scenario.votes[1])
        if len(set(scenario.votes)) == 1
        else config.bins
    )
    rules = {
        "every k": dataclasses.replace(config, bins=tuple(float(f"{edge:.6f}") for edge in exact)),
        "five bins": config,
        "mixture": dataclasses.replace(config, bias_correction="mixture"),
    }
    gaps, warnings = {}, []
    for rule, chosen in rules.items():
        draft = prepare(pool.drop(columns="true"), original.drop(columns="true"), chosen)
        drawn = pool["true"].to_numpy()[pool["image_id"].isin(draft.draw().members["image_id"])]
        gaps[rule] = SLOPE * (original["true"].mean() - drawn.mean())
        if rule == "mixture" and (found := diagnose_draft(draft)) is not None:
            warnings = [warning.split(":")[0].split(" by ")[0] for warning in found.warnings]
            gaps["estimated"] = SLOPE * found.mismatch.value
    return gaps, warnings


def row(scenario: Scenario, seeds: int) -> str:
    """One line of the table."""
    results = [run(scenario, seed) for seed in range(seeds)]
    table = pd.DataFrame([gaps for gaps, _ in results])
    warned = Counter(warning for _, warnings in results for warning in dict.fromkeys(warnings))
    cells = []
    for column in ("every k", "five bins", "mixture", "estimated"):
        same = column == "every k" and len(set(scenario.votes)) > 1
        error = table[column].std(ddof=1) / np.sqrt(seeds)
        cells.append("" if same else f"{table[column].mean():+.2f} ± {error:.2f}")
    worst = f"{table['mixture'].abs().max():.2f}"
    said = "; ".join(f"{warning} ({count}/{seeds})" for warning, count in sorted(warned.items()))
    return f"| {scenario.name} | {' | '.join(cells)} | {worst} | {said} |"


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=[""], help="rows whose names hold one of these")
    arguments = parser.parse_args()
    seeds = arguments.seeds
    print(f"False gaps in points of accuracy, mean over {seeds} seeds ± standard error; the true gap is 0.\n")
    print(
        "| scenario | every k | five bins (published) | mixture | its own estimate | worst seed, mixture | warnings |"
    )
    print("|---|---|---|---|---|---|---|")
    for scenario in (*CLOSED, *SKEWED, *HARD):
        if any(part in scenario.name for part in arguments.only):
            print(row(scenario, seeds), flush=True)
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}; figures of accuracy, not time."
    )


if __name__ == "__main__":
    main()
