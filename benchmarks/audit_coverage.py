"""How often the upper bound of ``newtest audit-pool --answers`` over all rows holds: at least .95 is wanted.

Simulated pools: strata of these sizes and shares, samples of each without replacement. Beside it the mean bound and,
for scale, the bound that one sample without strata would give (Clopper and Pearson at the expected count).
Prints Markdown.

    python benchmarks/audit_coverage.py [--simulations 20000] > benchmarks/results/audit-coverage-MACHINE.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from newtest.draws import generator
from newtest.intervals import clopper_pearson, stratified_upper

LEVEL = 0.95
SIZES = {
    "5 equal": [20_000] * 5,
    "10 rising": [1_000 * at for at in range(1, 11)],
    "4 of 100 to 100,000": [100, 1_000, 10_000, 100_000],
    "3 small": [60, 80, 100],
    "50 equal": [2_000] * 50,
}
SHARES: dict[str, Callable[[int], np.ndarray]] = {
    "none": lambda count: np.zeros(count),
    "0.2 % each": lambda count: np.full(count, 0.002),
    "1 % each": lambda count: np.full(count, 0.01),
    "5 % each": lambda count: np.full(count, 0.05),
    "half": lambda count: np.full(count, 0.5),
    "only the last, 5 %": lambda count: np.where(np.arange(count) == count - 1, 0.05, 0.0),
    "only the first, 30 %": lambda count: np.where(np.arange(count) == 0, 0.3, 0.0),
    "from 0 to 20 %": lambda count: np.linspace(0, 0.2, count),
}


def drawn_of(sizes: list[int], how: str) -> np.ndarray:
    """300 items, or 100 of small pools: in proportion, or of each stratum alike."""
    rows = np.array(sizes)
    total = min(300, rows.sum() // 2)
    wanted = total * rows / rows.sum() if how == "in proportion" else np.full(len(rows), total / len(rows))
    return np.clip(np.round(wanted), 1, rows).astype(int)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=20_000)
    simulations = parser.parse_args().simulations
    print(f"{simulations:,} draws per row; one-sided, {LEVEL:.0%}\n")
    print("| strata | items | share of yes | truth | holds | mean bound | one sample |")
    print("|---|---|---|---:|---:|---:|---:|")
    lowest = 1.0
    for name, sizes in SIZES.items():
        for how in ("in proportion", "alike"):
            for what, shares in SHARES.items():
                rows, drawn = np.array(sizes), drawn_of(sizes, how)
                having = np.round(rows * shares(len(sizes))).astype(int)
                truth = having.sum() / rows.sum()
                random = generator(0, "audit-coverage", name, how, what)
                found = random.hypergeometric(having, rows - having, drawn, size=(simulations, len(rows)))
                cases, counts = np.unique(found, axis=0, return_counts=True)
                bounds = np.array([stratified_upper(each, drawn, rows, level=LEVEL) for each in cases])
                holds = float((counts * (bounds >= truth - 1e-12)).sum() / simulations)
                mean = float((counts * bounds).sum() / simulations)
                plain = clopper_pearson(round(truth * drawn.sum()), drawn.sum(), level=2 * LEVEL - 1)[1]
                lowest = min(lowest, holds)
                print(f"| {name} | {how} | {what} | {truth:.4f} | {holds:.4f} | {mean:.4f} | {plain:.4f} |")
    print(f"\nThe lowest: {lowest:.4f}")


if __name__ == "__main__":
    main()
