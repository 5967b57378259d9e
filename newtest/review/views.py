"""What each page shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from newtest.catalog import duplicates, review, revisions
from newtest.catalog.classes import class_of
from newtest.duplicates import flags, unreviewed_pairs
from newtest.errors import UsageError
from newtest.review.actions import REASONS
from newtest.review.queue import pair_queue, revision_progress
from newtest.study import Study

__all__ = ["SORTS", "class_view", "overview_view", "pairs_view"]

SORTS = ("frequency", "date", "agreement")
PAIRS_AT_ONCE = 40


def overview_view(study: Study, revision: str | None) -> dict[str, Any]:
    """Every class, or those of the revision with who looked them over; and how many pairs wait."""
    table = review.classes(study.catalog)
    waiting = len(unreviewed_pairs(study)[["image_a", "image_b"]].drop_duplicates())
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
    }


def pairs_view(study: Study) -> dict[str, Any]:
    """The next pairs for the page's script: pictures, distances, facts of both sides; and how many are left."""
    queue = pair_queue(study, PAIRS_AT_ONCE)
    facts = duplicates.image_facts(study.catalog).set_index("image_id")
    pairs = []
    for a, b, distances in queue.itertuples(index=False):
        sides = [
            {
                "image": image_id,
                "sha256": duplicates.sha256_of(study.catalog, image_id),
                "reference": bool(facts.loc[image_id, "reference"]),
            }
            for image_id in (a, b)
        ]
        pairs.append(
            {"sides": sides, "distances": {metric: round(value, 4) for metric, value in distances.items()}}
        )
    left = len(unreviewed_pairs(study)[["image_a", "image_b"]].drop_duplicates())
    return {"pairs": pairs, "left": left}


def _tiles(images: pd.DataFrame) -> list[dict[str, Any]]:
    return _records(images.astype(object).where(images.notna(), None))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]
