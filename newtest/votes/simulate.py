"""Simulated votes: for trying a study out, and for tests. They are stored as simulated and said to be so
everywhere.

The model: an image has a probability p that a perfect annotator sees the class in it. Worker w reports what
they saw with an error of their own: P(select) = p * sensitivity_w + (1 - p) * (1 - specificity_w).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from newtest.catalog import votes as catalog_votes
from newtest.catalog.vote_stage import staged_votes
from newtest.catalog.votes import Batch
from newtest.config import fingerprint
from newtest.digests import frame_digest
from newtest.draws import generator
from newtest.errors import UsageError, VotesError
from newtest.reading.parquet import read_parquet
from newtest.reading.separated import it_has
from newtest.spreadsheets import read_sheet
from newtest.study import Study, now

__all__ = ["Simulation", "SimulationReport", "read_difficulty", "simulate_votes"]


@dataclass(frozen=True)
class Simulation:
    """A model of annotators. Beta shapes are (a, b); raises UsageError for values that are not probabilities."""

    seed: int = 0
    votes_per_image: int = 10
    workers: int = 50
    candidates: tuple[float, float] = (2.0, 2.0)
    """Beta distribution of p over candidates without a known difficulty (FACTS: a pool harder than the
    original).
    """
    reference: tuple[float, float] = (4.0, 1.5)
    """The same for images of the original test sets."""
    sensitivity: tuple[float, float] = (0.9, 1.0)
    """Range from which each worker's sensitivity is drawn, uniformly."""
    specificity: tuple[float, float] = (0.9, 1.0)

    def __post_init__(self) -> None:
        if not 1 <= self.votes_per_image <= self.workers:
            raise UsageError(
                f"`votes_per_image` must lie between 1 and the number of workers ({self.workers}), "
                f"got {self.votes_per_image}"
            )
        if min(*self.candidates, *self.reference) <= 0:
            raise UsageError("the shapes of a Beta distribution are positive")
        for low, high in (self.sensitivity, self.specificity):
            if not 0 <= low <= high <= 1:
                raise UsageError(f"sensitivity and specificity are ranges within [0, 1], got {low}..{high}")


@dataclass(frozen=True)
class SimulationReport:
    """``voted`` pairs had votes already and got none; ``simulated`` pairs got ``votes`` votes."""

    batch_id: str
    simulated: int
    voted: int
    votes: int


def simulate_votes(
    study: Study, simulation: Simulation | None = None, difficulty: pd.DataFrame | None = None
) -> SimulationReport:
    """Simulate votes for every candidate and reference image that has none.

    ``difficulty`` (image_id, probability, optionally wnid) gives p for some or all images; others are drawn.
    A pair's votes depend on the seed and the pair alone, so running again after more images were collected
    adds to the same simulation. Raises VotesError for a difficulty table that cannot be.
    """
    simulation = simulation or Simulation()
    known = _probabilities(difficulty)
    batch_id = fingerprint("simulated", simulation, "" if difficulty is None else frame_digest(difficulty))
    workers = _Workers.of(study, simulation)
    with study.exclusive("votes"):
        pairs = catalog_votes.pairs_of_study(study.catalog)
        silent = pairs[~pairs["voted"]]
        rows = _votes(silent, simulation, known, workers)
        with staged_votes(study.catalog, rows):
            votes = catalog_votes.store_votes(
                study.catalog, Batch(batch_id, "simulated", _description(simulation), now())
            )
    return SimulationReport(batch_id, len(silent), len(pairs) - len(silent), votes)


@dataclass(frozen=True)
class _Workers:
    """Hashed ids, and each worker's sensitivity and specificity, shape (workers,)."""

    ids: list[str]
    sensitivity: np.ndarray[tuple[int], np.dtype[np.float64]]
    specificity: np.ndarray[tuple[int], np.dtype[np.float64]]

    @classmethod
    def of(cls, study: Study, simulation: Simulation) -> _Workers:
        random = generator(simulation.seed, "simulated workers")
        ids = [study.worker_key(f"simulated:{index}") for index in range(simulation.workers)]
        sensitivity = random.uniform(*simulation.sensitivity, size=simulation.workers)
        return cls(ids, sensitivity, random.uniform(*simulation.specificity, size=simulation.workers))


def _votes(
    pairs: pd.DataFrame, simulation: Simulation, known: dict[tuple[str, str | None], float], workers: _Workers
) -> Iterator[tuple[object, ...]]:
    row = 0
    columns = (pairs["image_id"], pairs["wnid"], pairs["is_reference"])
    for image_id, wnid, is_reference in zip(*columns, strict=True):
        random = generator(simulation.seed, "simulated votes", image_id, wnid)
        drawn = float(random.beta(*(simulation.reference if is_reference else simulation.candidates)))
        p = known.get((image_id, wnid), known.get((image_id, None), drawn))
        chosen = random.choice(simulation.workers, simulation.votes_per_image, replace=False)
        yes = p * workers.sensitivity[chosen] + (1 - p) * (1 - workers.specificity[chosen])
        selected = random.random(len(chosen)) < yes
        for worker, vote in zip(chosen.tolist(), selected.tolist(), strict=True):
            yield row, image_id, wnid, workers.ids[worker], int(vote), None, None, None
            row += 1


def _probabilities(difficulty: pd.DataFrame | None) -> dict[tuple[str, str | None], float]:
    if difficulty is None:
        return {}
    for column in ("image_id", "probability"):
        if column not in difficulty.columns:
            raise VotesError(
                f"difficulty: column {column!r} is missing; needed are image_id and probability; "
                f"{it_has(difficulty.columns)}"
            )
    p = pd.to_numeric(difficulty["probability"], errors="coerce")
    if (wrong := np.flatnonzero(~p.between(0, 1))).size:
        value = difficulty["probability"].iloc[int(wrong[0])]
        raise VotesError(
            f"difficulty, row {int(wrong[0]) + 1}: probability is {value}, a number in [0, 1] is required"
        )
    wnids: list[str | None] = [None] * len(difficulty)  # no class: the probability holds for every one
    if "wnid" in difficulty.columns:
        wnids = [
            None if wnid is None or wnid != wnid or wnid == "" else str(wnid) for wnid in difficulty["wnid"]
        ]
    pairs = zip(difficulty["image_id"].astype(str), wnids, strict=True)
    return dict(zip(pairs, p.astype(float), strict=True))


def read_difficulty(path: Path) -> pd.DataFrame:
    """A difficulty table from CSV or Parquet. Raises VotesError for a file of another form."""
    try:
        return read_parquet(path) if path.suffix == ".parquet" else read_sheet(path)
    except (OSError, ValueError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise VotesError(f"{path}: not a CSV or Parquet file that can be read: {error}") from error


def _description(simulation: Simulation) -> str:
    crowd = f"{simulation.votes_per_image} of {simulation.workers} simulated workers"
    return f"SIMULATED: {crowd} an image, seed {simulation.seed}"
