"""What may be designed (candidates per class, votes per image), and what holds for all designs of a grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from newtest.crowd.costs import CostConfig
from newtest.crowd.hits import PlanConfig
from newtest.errors import UsageError
from newtest.sampling.config import BiasCorrection

__all__ = ["Design", "PlannerConfig", "designs_of"]

MOST_CANDIDATES, MOST_VOTES = 10_000, 1_000


@dataclass(frozen=True, order=True)
class Design:
    """``candidates`` per class that are collected, ``votes`` per image; an original gets as many as a candidate.

    ``most`` makes the design uneven: images on which the first ``votes`` people disagree get ``most`` in all.
    Raises UsageError for numbers that cannot be.
    """

    candidates: int
    votes: int
    most: int | None = None

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.votes < 1:
            raise UsageError(
                f"a design needs at least 1 of `candidates` and `votes`, got {self.candidates} and {self.votes}"
            )
        if self.candidates > MOST_CANDIDATES or max(self.votes, self.most or 0) > MOST_VOTES:
            raise UsageError(
                f"a design has at most {MOST_CANDIDATES:,} `candidates` per class and {MOST_VOTES:,} `votes` per image"
            )
        if self.most is not None and not 2 <= self.votes < self.most:
            raise UsageError(
                f"an uneven design is first votes (at least 2) and more in all, got {self.votes}:{self.most}"
            )

    @property
    def text(self) -> str:
        """The votes per image as they are written on the command line: ``10``, or ``3:20`` where uneven."""
        return f"{self.votes}" if self.most is None else f"{self.votes}:{self.most}"


@dataclass(frozen=True)
class PlannerConfig:
    """What the designs have in common. Raises UsageError for values that cannot be.

    ``classes`` and ``originals`` (per class) None: as many as the pilot's study has. ``slope`` is points of accuracy
    per point of selection frequency of the model that is evaluated, ``base`` its accuracy at frequency 0; the
    defaults are the closed form of Engstrom et al. 2020 as docs/bias.md has it.
    """

    classes: int | None = None
    originals: int | None = None
    per_class: int = 10
    bias_correction: BiasCorrection = "mixture"
    min_reference_images: int = 20
    simulations: int = 60
    seed: int = 0
    min_filled: float = 0.95
    """The least share of classes that a design must be able to fill to be named."""
    slope: float = 0.8
    base: float = 0.15
    hits: PlanConfig = field(default_factory=PlanConfig)
    """The shape of a HIT: images and controls."""
    costs: CostConfig = field(default_factory=CostConfig)

    def __post_init__(self) -> None:
        for name, least in (
            ("classes", 1), ("originals", 1), ("per_class", 1), ("min_reference_images", 1), ("simulations", 10),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"`{name}` must be at least {least}, got {value}")
        if not 0 <= self.base <= self.base + self.slope <= 1 + 1e-9:
            raise UsageError(
                f"accuracy must lie between 0 and 1 at every frequency, got `base` {self.base} and `slope` {self.slope}"
            )
        if not 0 <= self.min_filled <= 1:
            raise UsageError(f"`min_filled` is a share between 0 and 1, got {self.min_filled}")


def designs_of(candidates: Sequence[int], votes: Sequence[int | str]) -> list[Design]:
    """Every combination; votes per image are whole numbers, or ``3:20`` for 3 first and 20 where people disagree.

    Raises UsageError for other text.
    """
    each: list[tuple[int, int | None]] = []
    for text in votes:
        found = re.fullmatch(r"\s*([0-9]{1,4})(?::([0-9]{1,4}))?\s*", str(text))
        if found is None:
            raise UsageError(f"`votes` are numbers such as 10, or 3:20 where uneven, got {text!r}")
        each.append((int(found[1]), int(found[2]) if found[2] else None))
    return [Design(number, first, most) for number in candidates for first, most in each]
