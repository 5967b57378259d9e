"""What a grid of designs would come to, and which of them is the cheapest that is good enough.

Errors of classes are nearly independent, so a study of many classes is simulated with ``MOST_CLASSES`` of them: the
mean of the error is kept, its variance is divided as the number of classes grows. Points are of true selection
frequency where nothing else is stated, original less drawn: positive where the drawn set is harder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import UsageError
from newtest.planner.chain import Outcome, simulate
from newtest.planner.pilot import Pilot
from newtest.planner.settings import Design, PlannerConfig
from newtest.planner.spending import Spending, spending
from newtest.planner.world import World
from newtest.progress import UNWATCHED, Progress

__all__ = ["MOST_CLASSES", "Forecast", "Outlook", "cheapest", "foretell"]

Floats = npt.NDArray[np.float64]

MOST_CLASSES = 25
Z = 1.959964
EDGE = 0.5
"""The share of bias in the error from which on a forecast hangs on few of the pilot's images."""
CERTAIN = 2.0
"""Standard errors by which an uneven design must beat the even one of equal cost."""


@dataclass(frozen=True)
class Outlook:
    """A design's forecast. ``error`` is the expected (root mean square) error of the drawn set's difficulty in points,
    ``error_noise`` the standard error that it has from the number of simulations; ``bias`` the mean error, ``low`` and
    ``high`` bound 95 % of errors. ``gap_low`` and ``gap_high`` bound 95 % of the gaps in accuracy (points) that
    an evaluated model would show where there is no true gap. ``filled`` is the share of classes that can be filled.
    """

    design: Design
    error: float
    error_noise: float
    bias: float
    low: float
    high: float
    gap_low: float
    gap_high: float
    filled: float
    hits: int
    votes: int
    hours: float
    dollars: Decimal


@dataclass(frozen=True)
class Forecast:
    """All even designs, the uneven ones that beat them, and those that did not with the reason.

    ``best`` is the cheapest design within ``within`` points; None where none is, or nothing was asked.
    """

    outlooks: tuple[Outlook, ...]
    refused: tuple[tuple[Outlook, str], ...]
    best: Outlook | None
    within: float | None
    classes: int
    originals: int
    warnings: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """One row per design that is offered, the numbers of ``Outlook``; ``votes_per_image`` is 10 or 3:20."""
        rows = [
            {"candidates": o.design.candidates, "votes_per_image": o.design.text, **_numbers(o)}
            for o in self.outlooks
        ]
        return pd.DataFrame(rows)


def foretell(
    pilot: Pilot,
    designs: Iterable[Design],
    config: PlannerConfig | None = None,
    *,
    within: float | None = None,
    progress: Progress = UNWATCHED,
) -> Forecast:
    """Simulate every design and choose. The same pilot, designs and configuration give the same forecast.

    Raises UsageError: no design, fewer candidates than images to draw, too few originals to match.
    """
    config = config or PlannerConfig()
    wanted = sorted(set(designs), key=lambda d: (d.candidates, d.votes, d.most or 0))
    classes, originals = config.classes or pilot.classes, config.originals or pilot.original_images
    _check(wanted, config, originals, within)
    found = _Simulated(World.of(pilot), config, classes, originals, progress)
    progress.advance("simulations", 0, config.simulations * len(wanted))
    even = [found.outlook(design) for design in wanted if design.most is None]
    offered, refused = [], []
    for design in wanted:
        if design.most is not None:
            outlook, reason = found.judged(design)
            if reason:
                refused.append((outlook, reason))
            else:
                offered.append(outlook)
    every = tuple(sorted([*even, *offered], key=lambda o: o.design.candidates))
    best = None if within is None else cheapest(every, within, config.min_filled)
    warnings = (*pilot.warnings, *_edge(every))
    return Forecast(every, tuple(refused), best, within, classes, originals, warnings)


def cheapest(outlooks: Sequence[Outlook], within: float, min_filled: float) -> Outlook | None:
    """The cheapest design whose expected error is at most ``within`` points and that can fill the classes; of equally
    dear ones that with fewer votes, then with the smaller error."""
    good = [o for o in outlooks if o.error <= within and o.filled >= min_filled]
    return min(good, key=lambda o: (o.dollars, o.votes, o.error), default=None)


class _Simulated:
    """The simulations of designs, each made once."""

    def __init__(
        self, world: World, config: PlannerConfig, classes: int, originals: int, progress: Progress
    ) -> None:
        self.world, self.config, self.classes, self.originals = world, config, classes, originals
        self.progress = progress
        self.made: dict[Design, list[Outcome]] = {}

    def outcomes(self, design: Design) -> list[Outcome]:
        """The outcomes of all simulations of a design."""
        if design not in self.made:
            simulated = min(self.classes, MOST_CLASSES)
            self.made[design] = []
            for number in range(self.config.simulations):
                args = (design, self.config, simulated, self.originals, number)
                self.made[design].append(simulate(self.world, *args))
                self.progress.advance("simulations")
        return self.made[design]

    def errors(self, design: Design) -> tuple[float, Floats]:
        """The mean error, and the errors as those of a study of all classes would scatter."""
        return _scaled([o.error for o in self.outcomes(design)], self.classes)

    def outlook(self, design: Design) -> Outlook:
        """Everything about a design."""
        done = self.outcomes(design)
        bias, errors = self.errors(design)
        gap_mean, gaps = _scaled([o.gap for o in done], self.classes)
        squares = errors**2
        error, spread, gap_spread = np.sqrt(squares.mean()), errors.std(ddof=1), gaps.std(ddof=1)
        noise = squares.std(ddof=1) / np.sqrt(len(squares)) / (2 * error) if error else 0.0
        cost = self.cost(design)
        return Outlook(
            design=design,
            error=100 * float(error),
            error_noise=100 * float(noise),
            bias=100 * bias,
            low=100 * float(bias - Z * spread),
            high=100 * float(bias + Z * spread),
            gap_low=100 * float(gap_mean - Z * gap_spread),
            gap_high=100 * float(gap_mean + Z * gap_spread),
            filled=float(np.mean([o.filled for o in done])),
            hits=cost.hits,
            votes=cost.votes,
            hours=cost.hours,
            dollars=cost.dollars,
        )

    def cost(self, design: Design) -> Spending:
        """Its cost; of an uneven design with as many second rounds as the simulations had."""
        again = float(np.mean([o.again for o in self.outcomes(design)])) if design.most else 0.0
        return spending(design, self.config, self.classes, self.originals, again)

    def judged(self, design: Design) -> tuple[Outlook, str]:
        """An uneven design, and why it is not offered ("" where it is)."""
        outlook = self.outlook(design)
        rival = self.rival(design, outlook.dollars)
        ours, theirs = self.errors(design)[1] ** 2, self.errors(rival)[1] ** 2
        apart = ours - theirs
        noise = float(apart.std(ddof=1) / np.sqrt(len(apart)))
        if float(apart.mean()) < -CERTAIN * noise:
            return outlook, ""
        other = self.outlook(rival)
        return outlook, (
            f"{design.text} votes with {design.candidates} candidates (error {outlook.error:.2f} for "
            f"${outlook.dollars:,}) are not shown to beat {rival.text} for all (error {other.error:.2f} for "
            f"${other.dollars:,})"
        )

    def rival(self, design: Design, dollars: Decimal) -> Design:
        """The even design of the same candidates with the most votes that costs no more than ``dollars``."""
        assert design.most is not None
        affordable = [
            even
            for even in (Design(design.candidates, votes) for votes in range(1, design.most + 1))
            if spending(even, self.config, self.classes, self.originals, 0.0).dollars <= dollars
        ]
        return affordable[-1] if affordable else Design(design.candidates, design.votes)


def _scaled(values: Sequence[float], classes: int) -> tuple[float, Floats]:
    known = np.array([value for value in values if not math.isnan(value)])
    if len(known) < 2:
        raise UsageError(
            "no set could be drawn in the simulations: ask for more `candidates`, or fewer `per_class`"
        )
    mean = float(known.mean())
    return mean, mean + (known - mean) * math.sqrt(min(classes, MOST_CLASSES) / classes)


def _edge(outlooks: Sequence[Outlook]) -> list[str]:
    """A sentence where designs are at the edge of what the pool can give: there single pilots predict differently."""
    biased = [o for o in outlooks if abs(o.bias) > max(EDGE * o.error, CERTAIN * o.error_noise)]
    if not biased:
        return []
    named = ", ".join(f"{o.design.candidates} candidates with {o.design.text} votes" for o in biased[:3])
    more = f" and {len(biased) - 3} more" if len(biased) > 3 else ""
    return [
        f"bias is half of the error or more for {named}{more} per image: the pool hardly has what the original has, "
        "or votes are few, and another pilot may predict an error half or twice as large"
    ]


def _check(designs: Sequence[Design], config: PlannerConfig, originals: int, within: float | None) -> None:
    if not designs:
        raise UsageError("there is no design to simulate: name `candidates` and `votes`")
    if designs[0].candidates < config.per_class:
        raise UsageError(
            f"{designs[0].candidates} candidates per class cannot give {config.per_class} images (`per_class`)"
        )
    if originals < config.min_reference_images:
        raise UsageError(
            f"a class of {originals} originals cannot be matched: {config.min_reference_images} are needed; lower "
            "`min_reference_images`, or add originals"
        )
    if within is not None and not within > 0:
        raise UsageError(f"`within` is a number of points above 0, got {within}")


def _numbers(outlook: Outlook) -> dict[str, object]:
    return {name: value for name, value in outlook.__dict__.items() if name != "design"}
