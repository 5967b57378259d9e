"""Votes: importing and simulating them, selection frequencies, worker quality, Dawid-Skene."""

from __future__ import annotations

from newtest.votes.frequencies import frequencies
from newtest.votes.importing import ImportConfig, ImportReport, import_votes
from newtest.votes.simulate import Simulation, SimulationReport, simulate_votes

__all__ = [
    "ImportConfig",
    "ImportReport",
    "Simulation",
    "SimulationReport",
    "frequencies",
    "import_votes",
    "simulate_votes",
]
