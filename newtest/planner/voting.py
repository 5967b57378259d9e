"""Simulated people vote: on every image equally often, or more often where the first of them disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from newtest.planner.settings import Design

__all__ = ["Crowd", "cast"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Crowd:
    """So many ``people``, each with a leniency of their own (standard deviation ``leniency`` in logits)."""

    people: int = 40
    leniency: float = 0.0


def cast(
    random: np.random.Generator, true: Floats, design: Design, crowd: Crowd, per_hit: int
) -> tuple[Ints, Ints]:
    """num_selected and num_shown, (K, I), of K classes' images with true frequencies ``true`` (K, I).

    Images of a class are dealt into HITs of ``per_hit``; the people of a HIT, drawn from the crowd, judge all of its
    images. A crowd that is smaller than a HIT needs is made as large as that.
    """
    lenient = random.normal(0.0, crowd.leniency, max(crowd.people, design.most or design.votes))
    selected = _votes(random, true, design.votes, lenient, per_hit)
    shown = np.full(true.shape, design.votes, np.int64)
    if design.most is not None:
        again = (selected > 0) & (selected < design.votes)
        extra = _votes(random, true, design.most - design.votes, lenient, per_hit)
        selected, shown = np.where(again, selected + extra, selected), np.where(again, design.most, shown)
    return selected, shown


def _votes(random: np.random.Generator, true: Floats, people: int, lenient: Floats, per_hit: int) -> Ints:
    if not lenient.any():
        return random.binomial(people, true).astype(np.int64)
    classes, images = true.shape
    hits = -(-images // per_hit)
    hit = np.argsort(random.random(true.shape), axis=1) // per_hit
    panels = np.argsort(random.random((classes, hits, len(lenient))), axis=2)[:, :, :people]
    ease = logit(np.clip(true, 1e-4, 1 - 1e-4))
    yes = np.zeros(true.shape, np.int64)
    for seat in range(people):
        own = np.take_along_axis(lenient[panels[:, :, seat]], hit, axis=1)
        yes += random.random(true.shape) < expit(ease + own)
    return yes
