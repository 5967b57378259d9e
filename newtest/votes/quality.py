"""How good a worker is, told from controls: images whose answer is known.

A worker has two parameters: *sensitivity*, the chance to select an image of the class, and *specificity*, the
chance to leave one of another class alone. With uniform priors their posteriors are Beta(1 + right, 1 +
wrong). A worker is flagged only when the posterior is clear, and on at least ten controls: a doubt is not a
ground to leave a person out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betainc, betaincinv

__all__ = ["ControlCounts", "QualityRule", "WorkerQuality", "assess", "assess_accuracy", "control_counts"]


@dataclass(frozen=True)
class ControlCounts:
    """How often a worker selected (of how many shown) positive and negative controls."""

    positives_selected: int
    positives: int
    negatives_selected: int
    negatives: int

    @property
    def total(self) -> int:
        return self.positives + self.negatives


@dataclass(frozen=True)
class QualityRule:
    """When a worker is flagged: P(quality < ``floor``) >= ``certainty``, on at least ``min_controls``
    controls.

    Quality is the mean of sensitivity and specificity, so that one who always or never ticks has 0.5, as has
    one who ticks at random, whatever the share of positive controls.
    """

    floor: float = 0.75
    certainty: float = 0.95
    min_controls: int = 10


@dataclass(frozen=True)
class WorkerQuality:
    """Posterior means with 95 % intervals, and the flag. ``doubt`` is P(quality < floor)."""

    sensitivity: float
    sensitivity_interval: tuple[float, float]
    specificity: float
    specificity_interval: tuple[float, float]
    quality: float
    doubt: float
    flagged: bool
    reason: str


def assess(counts: ControlCounts, rule: QualityRule | None = None) -> WorkerQuality:
    """A worker's sensitivity and specificity from controls, and whether the posterior is clear enough to
    flag."""
    rule = rule or QualityRule()
    sensitivity = (1 + counts.positives_selected, 1 + counts.positives - counts.positives_selected)
    specificity = (1 + counts.negatives - counts.negatives_selected, 1 + counts.negatives_selected)
    means = [a / (a + b) for a, b in (sensitivity, specificity)]
    doubt = _mean_below(sensitivity, specificity, rule.floor)
    flagged = counts.total >= rule.min_controls and doubt >= rule.certainty
    reason = (
        f"controls: selected {counts.positives_selected} of {counts.positives} positive and "
        f"{counts.negatives_selected} of {counts.negatives} negative; P(quality < {rule.floor:g}) = {doubt:.3f}"
    )
    return WorkerQuality(
        means[0],
        _interval(sensitivity),
        means[1],
        _interval(specificity),
        sum(means) / 2,
        doubt,
        flagged,
        reason,
    )


def assess_accuracy(
    right: int, total: int, *, floor: float, certainty: float = 0.95, min_controls: int = 10
) -> bool:
    """Whether a worker is flagged by plain accuracy on questions of several answers: P(accuracy < floor) is
    clear."""
    return total >= min_controls and float(betainc(1 + right, 1 + total - right, floor)) >= certainty


def control_counts(votes: pd.DataFrame) -> pd.DataFrame:
    """Counts on controls, one row per worker (index), columns as in ControlCounts.

    ``votes`` has the columns worker, selected (0 or 1) and control ("positive", "negative" or missing).
    """
    controls = votes[votes["control"].isin(["positive", "negative"])]
    kind = controls["control"].to_numpy()
    selected = controls["selected"].to_numpy(dtype=int)
    table = pd.DataFrame(
        {
            "worker": controls["worker"].to_numpy(),
            "positives_selected": (kind == "positive") * selected,
            "positives": (kind == "positive").astype(int),
            "negatives_selected": (kind == "negative") * selected,
            "negatives": (kind == "negative").astype(int),
        }
    )
    return table.groupby("worker", sort=True).sum()


def _interval(beta: tuple[int, int]) -> tuple[float, float]:
    return float(betaincinv(*beta, 0.025)), float(betaincinv(*beta, 0.975))


def _mean_below(first: tuple[int, int], second: tuple[int, int], bound: float) -> float:
    """P((S + T) / 2 < bound) for independent Betas: the mean of T's distribution function over S's
    quantiles."""
    s = betaincinv(*first, (np.arange(1_000) + 0.5) / 1_000)
    return float(np.mean(betainc(*second, np.clip(2 * bound - s, 0.0, 1.0))))
