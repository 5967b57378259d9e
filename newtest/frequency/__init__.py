"""True selection frequencies behind counts of votes: what sampling and evaluation share."""

from newtest.frequency.counts import VoteCounts
from newtest.frequency.gap import AdjustedGap, ScoredSet, adjusted_gap, delete_d_jackknife
from newtest.frequency.mixture import ClassMixtures, Mixture, fit, fit_classes
from newtest.frequency.weights import Solution, round_systematically, solve

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
    "round_systematically",
    "solve",
]
