"""What a set cannot be trusted with: one list for the card and for Croissant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from newtest.releasing.facts import Facts

__all__ = ["known_biases", "known_limits"]


def known_limits(facts: Facts) -> list[str]:
    """Limits that follow from how the set was made, one sentence each or two."""
    found = []
    if facts.revision.simulated:
        found.append("Votes are simulated: frequencies mean nothing about people.")
    if facts.compared:
        ways = ", ".join(f"{metric} ({scope})" for metric, scope in facts.compared)
        found.append(
            f"Near-duplicates were looked for by {ways}; what these metrics cannot see may still be here."
        )
    else:
        found.append(
            "Near-duplicates were not looked for: images may repeat each other, or those of the original set."
        )
    found.append(
        "Nobody was asked: a label is the class that an image was collected for, and may be wrong."
        if not any(member.row.num_shown for member in facts.members)
        else "A label says that a share of people found at least one object of the class in the picture; other "
        "objects may be there too."
    )
    return found


def known_biases(facts: Facts) -> list[str]:
    """Ways in which the set differs from what it stands for."""
    found = [
        "The pictures show what their sources hold in these windows of dates and these languages, not the world."
    ]
    if facts.strategy == "matched-frequency":
        found.append(
            "Matching noisy frequencies makes a set harder than it looks (Engstrom et al. 2020) unless it is "
            "corrected: bias_correction in revision.json says whether it was."
        )
    return found
