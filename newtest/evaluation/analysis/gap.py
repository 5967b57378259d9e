"""The gap between the accuracies on the original and on the new set, and what it can be made of.

observed gap = adaptivity gap + distribution gap + generalization gap (Recht et al. 2019). Only the sum is observed.
The generalization gap (the luck of drawing this new set from its own distribution) is bounded by the binomial interval
of the new accuracy. The adaptivity gap (the models fitted the original test set through years of reuse) is not
bounded by data of this kind: that no ranks change is an argument against it. The distribution gap is the rest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, rankdata

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.results import pick
from newtest.intervals import clopper_pearson

__all__ = ["Gap", "decompose", "model_gaps"]


@dataclass(frozen=True)
class Gap:
    """Means over models, in points; positive where the new set is harder."""

    original: str
    new: str
    models: int
    mean: float | None
    """Mean over models of (accuracy on the original - accuracy on the new set)."""
    smallest: float | None
    largest: float | None
    generalization_bound: float | None
    """Largest distance from a model's new accuracy to an end of its 95 % interval; None without counts."""
    rank_tau: float | None
    """Kendall's tau-b of the two accuracies over models; None for fewer than two different ones."""
    rank_changes: int
    """Models whose rank differs."""
    largest_rank_change: int

    @property
    def rest(self) -> tuple[float, float] | None:
        """What adaptivity and distribution gap come to together, given the bound on the third part."""
        if self.mean is None or self.generalization_bound is None:
            return None
        return self.mean - self.generalization_bound, self.mean + self.generalization_bound

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "adaptivity_and_distribution": self.rest and list(self.rest)}


def model_gaps(table: pd.DataFrame, original: str, new: str) -> pd.DataFrame:
    """A row per model that has both: model, original, new, gap, lo, hi (percent and points).

    The interval is Newcombe's (1998, method 10) for two independent proportions, from Clopper-Pearson limits: original
    and new set hold different images, so nothing is paired. Missing where counts are.
    """
    one, two = (pick(table, name).set_index("model") for name in (original, new))
    models = sorted(set(one.index) & set(two.index))
    one, two = one.loc[models], two.loc[models]
    found = pd.DataFrame(
        {"model": models, "original": one["accuracy"].to_numpy(), "new": two["accuracy"].to_numpy()}
    )
    found["gap"] = found["original"] - found["new"]
    found["lo"] = found["hi"] = np.nan
    counted = ((one["n"].fillna(0) > 0) & (two["n"].fillna(0) > 0)).to_numpy(dtype=bool)
    if counted.any():
        ends = [
            clopper_pearson(part.loc[counted, "k"].astype(int), part.loc[counted, "n"].astype(int))
            for part in (one, two)
        ]
        (low1, high1), (low2, high2) = ends
        a, b = found.loc[counted, "original"] / 100, found.loc[counted, "new"] / 100
        gap = a - b
        found.loc[counted, "lo"] = 100 * (gap - np.sqrt((a - low1) ** 2 + (high2 - b) ** 2))
        found.loc[counted, "hi"] = 100 * (gap + np.sqrt((high1 - a) ** 2 + (b - low2) ** 2))
    return found.dropna(subset=["gap"]).reset_index(drop=True)


def decompose(table: pd.DataFrame, original: str, new: str) -> Gap:
    """Observed gap over the models that have both sets; raises EvaluationError when a set is unknown."""
    if original == new:
        raise EvaluationError(f"original and new set are both {original!r}")
    gaps = model_gaps(table, original, new)
    if gaps.empty:
        return Gap(original, new, 0, None, None, None, None, None, 0, 0)
    rows = pick(table, new).set_index("model").loc[gaps["model"]]
    counted = rows[rows["n"].fillna(0) > 0]
    bound = None
    if len(counted):
        low, high = clopper_pearson(counted["k"].astype(int), counted["n"].astype(int))
        share = counted["accuracy"].to_numpy(dtype=np.float64) / 100
        bound = float(100 * np.maximum(share - low, high - share).max())
    tau = float(kendalltau(gaps["original"], gaps["new"]).statistic) if len(gaps) > 1 else np.nan
    moved = np.abs(rankdata(-gaps["original"], "min") - rankdata(-gaps["new"], "min")).astype(int)
    return Gap(
        original,
        new,
        len(gaps),
        float(gaps["gap"].mean()),
        float(gaps["gap"].min()),
        float(gaps["gap"].max()),
        bound,
        None if np.isnan(tau) else tau,
        int((moved > 0).sum()),
        int(moved.max()),
    )
