"""What a sample is asked to be: one frozen dataclass, stored with every revision."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

from newtest.errors import SamplingError

__all__ = ["NEEDS_REFERENCE", "NEEDS_VOTES", "SamplingConfig", "StrategyName"]

StrategyName = Literal["matched-frequency", "threshold", "top-images", "random", "matched-keywords", "all"]

BiasCorrection = Literal["none", "mixture"]

NEEDS_VOTES: frozenset[str] = frozenset({"matched-frequency", "threshold", "top-images"})
"""Strategies that look at frequencies: an image nobody voted on can never be drawn by them."""

NEEDS_REFERENCE: frozenset[str] = frozenset({"matched-frequency", "matched-keywords"})
"""Strategies that imitate the original set."""


@dataclass(frozen=True)
class SamplingConfig:
    """How to draw a test set. The defaults are ImageNetV2's MatchedFrequency (Recht et al. 2019).

    Raises SamplingError for values that contradict each other.
    """

    strategy: StrategyName = "matched-frequency"
    per_class: int = 10
    """Images per class; ``all`` ignores it."""
    seed: int = 0
    min_votes: int = 10
    """Fewer votes than this and a candidate is excluded (``few_assignments``)."""
    bins: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    """Inner edges of the frequency histogram, read as decimals: 6 of 10 votes lie exactly on the edge 0.6."""
    threshold: float = 0.7
    """Smallest frequency that ``threshold`` accepts."""
    class_thresholds: tuple[tuple[str, float], ...] = ()
    """(wnid, threshold) pairs for classes with a threshold of their own."""
    fill_upward: bool = False
    """Fill what a bin lacks from the next higher bin that has images left."""
    min_reference_votes: int | None = None
    """Reference images with fewer votes do not count in the histogram; None means ``min_votes``."""
    min_reference_images: int = 20
    """A class whose reference has fewer images with enough votes has no histogram to match."""
    bias_correction: BiasCorrection = "none"
    """``none`` is the published rule; ``mixture`` corrects for the noise of few votes (Engstrom et al. 2020).
    """
    allow_incomplete: bool = False
    """Draw what is there where a class cannot be filled, instead of raising SamplingError."""

    def __post_init__(self) -> None:
        for what, value, kind in (
            ("strategy", self.strategy, StrategyName),
            ("bias correction", self.bias_correction, BiasCorrection),
        ):
            if value not in get_args(kind):
                raise SamplingError(f"there is no {what} {value!r}; known are {', '.join(get_args(kind))}")
        if self.per_class < 1:
            raise SamplingError(f"`per_class` must be at least 1, got {self.per_class}")
        least = 1 if self.strategy in NEEDS_VOTES else 0
        if self.min_votes < least:
            raise SamplingError(
                f"`min_votes` must be at least {least} for {self.strategy}, got {self.min_votes}"
            )
        if self.reference_votes < 1 and self.strategy == "matched-frequency":
            raise SamplingError(f"`min_reference_votes` must be at least 1, got {self.min_reference_votes}")
        if self.min_reference_images < 1:
            raise SamplingError(f"`min_reference_images` must be at least 1, got {self.min_reference_images}")
        edges = (0.0, *self.bins, 1.0)
        if not all(low < high for low, high in itertools.pairwise(edges)):
            raise SamplingError(
                f"`bins` must rise strictly between 0 and 1, got {', '.join(map(str, self.bins))}"
            )
        own = [wnid for wnid, _ in self.class_thresholds]
        if again := sorted({wnid for wnid in own if own.count(wnid) > 1}):
            raise SamplingError(f"the class {again[0]!r} is given two thresholds of its own; keep one")
        for wnid, threshold in (("`threshold`", self.threshold), *self.class_thresholds):
            if not 0 <= threshold <= 1:
                raise SamplingError(f"{wnid}: a threshold lies between 0 and 1, got {threshold}")
        if self.bias_correction != "none" and self.strategy != "matched-frequency":
            raise SamplingError(f"`bias_correction` belongs to matched-frequency, not to {self.strategy}")

    @property
    def reference_votes(self) -> int:
        """Votes that a reference image needs to count in a histogram."""
        return self.min_votes if self.min_reference_votes is None else self.min_reference_votes

    @property
    def unread(self) -> tuple[str, ...]:
        """The settings that a draw by this strategy does not look at, whatever they are."""
        matched = self.strategy == "matched-frequency"
        return (
            *(("per_class",) if self.strategy == "all" else ()),
            *(("threshold", "class_thresholds") if self.strategy != "threshold" else ()),
            *(("bins", "fill_upward") if not matched or self.bias_correction != "none" else ()),
            *(("min_reference_images",) if not matched else ()),
        )
