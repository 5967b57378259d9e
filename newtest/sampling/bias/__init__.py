"""The bias of matching noisy frequencies: estimate it, draw without it, judge sets that exist (docs/bias.md)."""

from __future__ import annotations

from newtest.sampling.bias.counts import VoteCounts
from newtest.sampling.bias.gap import AdjustedGap, ScoredSet, adjusted_gap, delete_d_jackknife
from newtest.sampling.bias.mixture import ClassMixtures, Mixture, fit, fit_classes
from newtest.sampling.bias.strategy import matched_mixture
from newtest.sampling.bias.weights import Solution, round_systematically, solve

__all__ = [
    "AdjustedGap",
    "ClassMixtures",
    "Mixture",
    "ScoredSet",
    "Solution",
    "VoteCounts",
    "adjusted_gap",
    "delete_d_jackknife",
    "fit",
    "fit_classes",
    "matched_mixture",
    "round_systematically",
    "solve",
]
