"""Second labels in a release: the accepted ones in the manifest, all that people were asked in a table of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newtest.catalog.second_labels import has_proposals
from newtest.crowd.second_labels import SecondLabelRule, labels_of_images, second_label_votes
from newtest.releasing.members import Member
from newtest.study import Study

__all__ = ["SecondLabels", "second_labels_of"]


@dataclass(frozen=True)
class SecondLabels:
    """``of_images``: image -> accepted labels, and proposed classes that lack votes; ``table``: the CSV of all pairs
    that were proposed for members; ``says``: a sentence for the card."""

    of_images: dict[str, tuple[list[str], int]]
    table: str
    says: str


def second_labels_of(study: Study, members: Sequence[Member], *, filtered: bool) -> SecondLabels | None:
    """What a release says of second labels; None where none were proposed for its members."""
    if not has_proposals(study.catalog):
        return None
    rule = SecondLabelRule()
    votes = second_label_votes(study, rule, filtered=filtered)
    votes = votes[votes["image_id"].isin({member.row.image_id for member in members})]
    if votes.empty:
        return None
    of_images = labels_of_images(votes, rule)
    several = sum(bool(labels) for labels, _ in of_images.values())
    asked = int((votes["num_shown"] >= rule.votes).sum())
    says = (
        f"{several} images show further classes (`second_labels`), of {len(votes)} pairs of image and class that were "
        f"proposed and {asked} that {rule.votes} or more people answered; a class counts if at least "
        f"{rule.share:.0%} of them selected the image"
    )
    table = votes.assign(accepted=votes["accepted"].astype(int)).to_csv(
        index=False, lineterminator="\n", float_format="%.6g"
    )
    return SecondLabels(of_images, table, says)
