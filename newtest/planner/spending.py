"""What a design costs: HITs as ``newtest annotate plan`` makes them, with the fees of the market."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from newtest.crowd.costs import CostConfig, cents, hit_cost
from newtest.crowd.hits import PlanConfig
from newtest.planner.settings import Design, PlannerConfig

__all__ = ["Spending", "spending"]


@dataclass(frozen=True)
class Spending:
    """HITs, votes (controls included), hours of work and dollars (fees included) of a whole study."""

    hits: int
    votes: int
    hours: float
    dollars: Decimal


def spending(design: Design, config: PlannerConfig, classes: int, originals: int, again: float) -> Spending:
    """The cost of ``classes`` classes, from the first vote on. ``again``: images per class that get the second round.

    As the planner of HITs does it, originals that positive controls are needed from get their votes as such.
    """
    lacking = design.candidates + originals
    controls = min(originals, config.hits.positive * math.ceil(lacking / config.hits.candidates))
    rounds = [(math.ceil((lacking - controls) / config.hits.candidates), design.votes)]
    if design.most is not None:
        rounds.append((math.ceil(again / config.hits.candidates), design.most - design.votes))
    return _sum([(per_class * classes, people) for per_class, people in rounds], config.hits, config.costs)


def _sum(rounds: list[tuple[int, int]], shape: PlanConfig, costs: CostConfig) -> Spending:
    votes = sum(hits * shape.images * people for hits, people in rounds)
    each = [(hits, hit_cost(people, costs)) for hits, people in rounds]
    reward = sum((hits * paid for hits, (paid, _) in each), Decimal(0))
    fees = sum((hits * fee for hits, (_, fee) in each), Decimal(0))
    hours = votes * costs.seconds_per_image / 3600
    return Spending(sum(hits for hits, _ in rounds), votes, hours, cents(reward) + cents(fees))
