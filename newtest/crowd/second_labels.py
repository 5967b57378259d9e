"""Second labels in a study: proposals are kept, people answer in the usual HITs, and enough of them make a label.

A class that an image may show beside its own is asked about like any other: the image comes into a HIT of that class
(``newtest.crowd.planning``) among its candidates and controls, and nobody can tell it from them. The answers are votes
on (image, class). They are not votes on a candidate: no revision is drawn by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from newtest.catalog import classes, second_labels, transaction
from newtest.catalog.votes import totals
from newtest.errors import ConfigError
from newtest.intervals import clopper_pearson
from newtest.study import Study, now

__all__ = ["SecondLabelRule", "Stored", "labels_of_images", "second_label_votes", "store_proposals"]


@dataclass(frozen=True)
class SecondLabelRule:
    """When a proposed class is a label: at least ``share`` of at least ``votes`` people selected the image."""

    share: float = 0.5
    votes: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.votes < 1:
            raise ConfigError(
                "a second label needs a share of people above 0 and at most 1, and at least one vote"
            )


@dataclass(frozen=True)
class Stored:
    """What became of proposals: pairs of image and class."""

    proposed: int
    new: int
    unknown_classes: int
    """Of classes that the study does not have: nobody can be asked about them."""
    first_unknown: str | None = None


def store_proposals(study: Study, proposals: pd.DataFrame) -> Stored:
    """Keep proposals (image_id, wnid, source). A pair that is there already stays as it is."""
    known = set(classes.wnids(study.catalog))
    pairs = proposals.drop_duplicates(["image_id", "wnid"])
    strange = pairs.loc[~pairs["wnid"].isin(known), "wnid"]
    rows: Iterable[tuple[str, str, str]] = (
        proposals.loc[proposals["wnid"].isin(known), ["image_id", "wnid", "source"]]
        .drop_duplicates()
        .sort_values(["image_id", "wnid", "source"])
        .itertuples(index=False, name=None)
    )
    with study.exclusive("annotate-plan"), transaction(study.catalog):
        new = second_labels.store_proposals(study.catalog, rows, at=now())
    return Stored(len(pairs), new, len(strange), None if strange.empty else str(strange.iloc[0]))


def second_label_votes(
    study: Study, rule: SecondLabelRule | None = None, *, filtered: bool = True
) -> pd.DataFrame:
    """All proposed pairs: image_id, wnid, sources, num_selected, num_shown (0 where nobody was asked), lo and hi (the
    95 % interval of the frequency, missing there), and ``accepted`` by the rule; sorted by (image_id, wnid).

    ``filtered`` leaves out the votes of excluded workers. Simulated votes count where there are no others.
    """
    rule = rule or SecondLabelRule()
    found = second_labels.proposals(study.catalog)
    counts = totals(study.catalog, filtered=filtered)[["image_id", "wnid", "num_selected", "num_shown"]]
    found = found.merge(counts, on=["image_id", "wnid"], how="left")
    for name in ("num_selected", "num_shown"):
        found[name] = found[name].fillna(0).astype("int64")
    asked = found["num_shown"] > 0
    found["lo"] = found["hi"] = float("nan")
    if asked.any():
        low, high = clopper_pearson(found.loc[asked, "num_selected"], found.loc[asked, "num_shown"])
        found.loc[asked, "lo"], found.loc[asked, "hi"] = low, high
    enough = found["num_shown"] >= rule.votes
    found["accepted"] = enough & (found["num_selected"] >= rule.share * found["num_shown"])
    return found


def labels_of_images(
    votes: pd.DataFrame, rule: SecondLabelRule | None = None
) -> dict[str, tuple[list[str], int]]:
    """Image -> its accepted second labels, by wnid, and how many proposed classes lack votes; images that nobody
    proposed anything for are not there. ``votes`` is what ``second_label_votes`` gives.
    """
    rule = rule or SecondLabelRule()
    found: dict[str, tuple[list[str], int]] = {}
    rows = zip(
        votes["image_id"], votes["wnid"], votes["accepted"], votes["num_shown"] < rule.votes, strict=True
    )
    for image, wnid, accepted, lacking in rows:
        labels, open_ = found.get(image, ([], 0))
        found[image] = ([*labels, wnid] if accepted else labels, open_ + int(lacking))
    return found
