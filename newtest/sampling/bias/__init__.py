"""The bias of matching noisy frequencies: estimate it, draw without it, judge sets that exist (docs/bias.md)."""

from __future__ import annotations

from newtest.sampling.bias.counts import VoteCounts
from newtest.sampling.bias.diagnostics import Diagnostics, Estimate, diagnose
from newtest.sampling.bias.explained import accuracy_slopes, points_explained
from newtest.sampling.bias.gap import AdjustedGap, ScoredSet, adjusted_gap, delete_d_jackknife
from newtest.sampling.bias.held_out import HeldOut, held_out
from newtest.sampling.bias.mixture import ClassMixtures, Mixture, fit, fit_classes
from newtest.sampling.bias.strategy import matched_mixture
from newtest.sampling.bias.weights import Solution, round_systematically, solve

__all__ = [
    "AdjustedGap",
    "ClassMixtures",
    "Diagnostics",
    "Estimate",
    "HeldOut",
    "Mixture",
    "ScoredSet",
    "Solution",
    "VoteCounts",
    "accuracy_slopes",
    "adjusted_gap",
    "delete_d_jackknife",
    "diagnose",
    "fit",
    "fit_classes",
    "held_out",
    "matched_mixture",
    "points_explained",
    "round_systematically",
    "solve",
]
