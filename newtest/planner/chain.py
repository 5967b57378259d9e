"""One study from end to end, simulated: collect, vote, draw with the real rule, evaluate a model on both sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.draws import generator
from newtest.planner.settings import Design, PlannerConfig
from newtest.planner.voting import cast
from newtest.planner.world import Truth, World
from newtest.sampling.config import SamplingConfig
from newtest.sampling.draw import draw
from newtest.sampling.pairs import Pairs
from newtest.sampling.sample import strategy_of

__all__ = ["Outcome", "as_pairs", "simulate"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """What one simulated study came to. ``error`` is the mean true frequency of the originals less that of the drawn
    set, ``gap`` the accuracy of a model on the originals less that on the drawn set: both are 0 for a perfect
    replica, and in shares, not points. ``filled`` is the share of classes that got all their images; ``votes`` is per
    image, ``again`` the images per class on which people disagreed and more were asked.
    """

    error: float
    gap: float
    filled: float
    votes: float
    again: float


def simulate(
    world: World, design: Design, config: PlannerConfig, classes: int, originals: int, number: int
) -> Outcome:
    """Simulation ``number`` of a design: the same classes and images for all designs with as many candidates."""
    size = (classes, design.candidates, originals)
    truth = world.truth(generator(config.seed, "planner", "truth", str(number), str(size)), *size)
    random = generator(config.seed, "planner", "votes", str(number), str(size), design.text)
    every = np.concatenate([truth.candidates, truth.originals], axis=1)
    selected, shown = cast(random, every, design, world.crowd, config.hits.candidates)
    cut = design.candidates
    pool = as_pairs(selected[:, :cut], shown[:, :cut], "c").where(truth.usable.ravel())
    reference = as_pairs(selected[:, cut:], shown[:, cut:], "o")
    rule = SamplingConfig(
        per_class=config.per_class,
        min_votes=design.votes,
        min_reference_images=config.min_reference_images,
        bias_correction=config.bias_correction,
        allow_incomplete=True,
        seed=number,
    )
    plan = strategy_of(rule)(pool, reference, rule)
    rows = draw(plan, rule)
    return _evaluated(
        truth,
        rows,
        config,
        random,
        1 - len(plan.problems) / classes,
        float(shown.mean()),
        float((shown > design.votes).sum(axis=1).mean()),
    )


def _evaluated(
    truth: Truth,
    rows: Ints,
    config: PlannerConfig,
    random: np.random.Generator,
    filled: float,
    votes: float,
    again: float,
) -> Outcome:
    if not len(rows):
        return Outcome(np.nan, np.nan, filled, votes, again)
    drawn = truth.candidates.ravel()[np.flatnonzero(truth.usable.ravel())[rows]]
    owner = np.repeat(np.arange(len(truth.usable)), truth.usable.sum(axis=1))[rows]
    share = np.bincount(owner, minlength=len(truth.usable)) / len(rows)
    easy = float(share @ truth.originals.mean(axis=1))
    right = [random.random(s.shape) < config.base + config.slope * s for s in (truth.originals, drawn)]
    gap = float(share @ right[0].mean(axis=1) - right[1].mean())
    return Outcome(easy - float(drawn.mean()), gap, filled, votes, again)


def as_pairs(selected: Ints, shown: Ints, letter: str) -> Pairs:
    """Counts (K, I) of K classes as pairs in their order."""
    classes, images = selected.shape
    size = classes * images
    no, nothing = np.zeros(size, bool), np.full(size, None, object)
    return Pairs(
        wnids=np.array([f"k{at:07d}" for at in range(classes)], object),
        class_index=np.repeat(np.arange(classes), images),
        image_id=np.array([f"{letter}{at:09d}" for at in range(size)], object),
        num_selected=selected.ravel(),
        num_shown=shown.ravel(),
        blocked=no,
        no_bytes=no,
        near_duplicate=no,
        unreviewed=no,
        in_parent=no,
        search_key=nothing,
        component=nothing,
    )
