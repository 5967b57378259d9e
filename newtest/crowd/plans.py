"""What a plan is: HITs, and what they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from newtest.crowd.hits import Hit, PlanConfig

__all__ = ["HitPlan"]


@dataclass(frozen=True)
class HitPlan:
    """HITs, and what they leave. ``examples`` holds the images that each class's page shows as examples."""

    config: PlanConfig
    hits: Sequence[Hit]
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left: int = 0
    """Images that lack votes and are in no HIT, because of a limit on HITs."""
    warnings: Sequence[str] = ()
    without_bytes: int = 0
    """Images that lack votes and that nobody can be shown, because their bytes are not here."""
