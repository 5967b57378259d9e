"""The bias of matching noisy frequencies: estimate it, draw without it, judge sets that exist (docs/bias.md)."""

from newtest.sampling.bias.diagnostics import Diagnostics, Estimate, diagnose
from newtest.sampling.bias.explained import accuracy_slopes, points_explained
from newtest.sampling.bias.held_out import HeldOut, held_out
from newtest.sampling.bias.strategy import matched_mixture

__all__ = [
    "Diagnostics",
    "Estimate",
    "HeldOut",
    "accuracy_slopes",
    "diagnose",
    "held_out",
    "matched_mixture",
    "points_explained",
]
