"""What each page shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from newtest.catalog import duplicates, review, revisions
from newtest.catalog.classes import class_of
from newtest.duplicates import flags
from newtest.errors import UsageError
from newtest.review.actions import REASONS
from newtest.review.handing_out import HandingOut
from newtest.review.pending import pair_queue, revision_progress
from newtest.study import Study

__all__ = ["SORTS", "class_view", "overview_view", "pairs_view"]

SORTS = ("frequency", "date", "agreement")
PAIRS_AT_ONCE = 20


def overview_view(study: Study, revision: str | None) -> dict[str, Any]:
    """Every class, or those of the revision with who looked them over; and how many pairs wait."""
    table = review.classes(study.catalog)
    waiting = len(pair_queue(study))
    rows = _records(table)
    if revision is not None:
        known = {row["wnid"]: row for row in rows}
        blank = {"name": "", "candidates": 0, "blocked": 0}
        rows = [
            {**known.get(p.wnid, {"wnid": p.wnid, **blank}), "members": p.members, "reviewer": p.reviewer}
            for p in revision_progress(study, revision)
        ]
        rows.sort(key=lambda row: (row["reviewer"] is not None, row["wnid"]))
    return {"rows": rows, "revision": revision, "waiting": waiting}


def class_view(
    study: Study, wnid: str, sort: str, revision: str | None, agreement: Mapping[str, float]
) -> dict[str, Any]:
    """A class's candidates (or the revision's members) in order, and its reference images.

    Frequency: highest first; date: newest first; agreement: lowest first, for there the doubtful ones are. Raises
    UsageError for an unknown class or order.
    """
    found = class_of(study.catalog, wnid)
    if found is None or sort not in SORTS:
        raise UsageError(f"there is no class {wnid} here, or no order {sort}")
    images = review.class_images(study.catalog, wnid)
    images["frequency"] = images["num_selected"] / images["num_shown"].where(images["num_shown"] > 0)
    images["agreement"] = images["image_id"].map(dict(agreement)).astype(float)
    marks = flags(study).set_index("image_id")["reason"]
    images["mark"] = images["image_id"].map(marks).fillna("")
    shown = images[~images["reference"]]
    if revision is not None:
        members = revisions.members_of(study.catalog, revision)
        shown = shown[shown["image_id"].isin(members.loc[members["wnid"] == wnid, "image_id"])]
    column, ascending = {
        "frequency": ("frequency", False),
        "date": ("taken_on", False),
        "agreement": ("agreement", True),
    }[sort]
    shown = shown.sort_values([column, "image_id"], ascending=[ascending, True], na_position="last")
    return {
        "wnid": wnid,
        "name": found.name,
        "gloss": found.gloss,
        "tiles": _tiles(shown),
        "reference": _tiles(images[images["reference"]]),
        "sort": sort,
        "sorts": [s for s in SORTS if agreement or s != "agreement"],
        "reasons": REASONS,
        "revision": revision,
        "following": _following(study, wnid, revision),
    }


def _following(study: Study, wnid: str, revision: str | None) -> str | None:
    """The class to look at after this one, by wnid and from the start again: of a revision, one not looked over yet."""
    if revision is None:
        return review.class_after(study.catalog, wnid)
    others = [
        one.wnid for one in revision_progress(study, revision) if one.reviewer is None and one.wnid != wnid
    ]
    return min(others, key=lambda one: (one < wnid, one), default=None)


def pairs_view(study: Study, reviewer: str, handing_out: HandingOut) -> dict[str, Any]:
    """The reviewer's next pairs for the page's script: both sides' pictures, distances; and how many wait in all."""
    queue = pair_queue(study)
    pairs = [
        {
            "sides": [_side(study, image_id) for image_id in pair],
            "distances": duplicates.distances_of(study.catalog, *pair),
        }
        for pair in handing_out.take(reviewer, queue, PAIRS_AT_ONCE)
    ]
    return {"pairs": pairs, "left": len(queue)}


def _side(study: Study, image_id: str) -> dict[str, Any]:
    return {
        "image": image_id,
        "sha256": duplicates.sha256_of(study.catalog, image_id),
        "reference": duplicates.is_reference(study.catalog, image_id),
    }


def _tiles(images: pd.DataFrame) -> list[dict[str, Any]]:
    return _records(images.astype(object).where(images.notna(), None))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]
