"""What ``newtest annotate plan`` prints of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from newtest.crowd.costs import Cost
    from newtest.crowd.planning import HitPlan


def nothing_new(ask: str) -> str:
    """The last sentence of a plan that made no HIT."""
    if ask == "pairs":
        return "no HIT is new: no close pair waits for people; newtest dedup finds pairs"
    return "no HIT is new: what can be shown has its votes or is in a HIT; --votes asks for more"


def plan_rows(plan: HitPlan, cost: Cost, pace: float) -> list[tuple[str, str]]:
    """Name and value of each line of the table; ``pace`` is seconds per image."""
    if plan.config.ask == "pairs":
        asked = "pairs to be judged", sum(pair.control is None for hit in plan.hits for pair in hit.pairs)
    else:
        asked = "images to be voted on", sum(len(hit.of("candidate")) for hit in plan.hits)
    return [
        ("HITs", f"{cost.hits:,}"),
        (asked[0], f"{asked[1]:,}"),
        ("assignments", f"{cost.assignments:,}"),
        ("votes, controls included", f"{cost.votes:,}"),
        (f"hours of work at {pace:g} s an image", f"{cost.hours:,.1f}"),
        ("a worker earns per hour", f"${cost.hourly}"),
        ("reward", f"${cost.reward:,}"),
        ("fees", f"${cost.fees:,}"),
        ("TOTAL", f"${cost.total:,}"),
    ]
