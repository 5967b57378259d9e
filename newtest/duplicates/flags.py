"""What sampling needs to know of each candidate: near-duplicate? looked over?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from newtest.catalog import duplicates as rows
from newtest.catalog import pair_searches
from newtest.duplicates.components import removals, same_photo_pairs
from newtest.duplicates.metrics import DSSIM, DSSIM_CLOSE
from newtest.study import Study

__all__ = ["flags", "unreviewed_pairs"]


def flags(study: Study, *, thresholds: Mapping[str, float] | None = None) -> pd.DataFrame:
    """One row per candidate image: image_id, near_duplicate, unreviewed, reason (None where both are False).

    *near_duplicate*: the image's component (edges: pairs judged duplicate, and records of one photo) touches a
    reference set, or another of its images stays; the rule is in ``newtest.duplicates.components``.

    *unreviewed*: the image has a close pair that nobody has judged, or ``newtest dedup`` has run and has not compared
    the image with everything yet by every metric that the study compares by (``newtest.catalog.pair_searches``).
    ``thresholds`` (metric -> distance) says how close is close; a metric that is not named counts at every distance
    that was kept. A study on which dedup never ran has no unreviewed images.

    Sorted by image_id; only reads. The rule is ImageNetV2's: an image may be sampled only when the distance of its
    nearest unreviewed neighbour exceeds the threshold in every metric (Recht et al. 2019).
    """
    images = rows.image_facts(study.catalog)
    verdicts = rows.latest_verdicts(study.catalog)
    edges = pd.concat([verdicts.loc[verdicts["duplicate"], ["image_a", "image_b"]], same_photo_pairs(images)])
    # Votes matter only where an image has duplicates: counting all of them takes longer than everything else here.
    votes = rows.votes_cast(study.catalog, sorted({*edges["image_a"], *edges["image_b"]}))
    images["num_shown"] = images["image_id"].map(votes).fillna(0)
    removed = removals(images, edges).to_dict()
    waiting = _waiting(study, verdicts, thresholds or {})
    missed = _not_compared(study, images)
    ids = images.loc[images["candidate"], "image_id"].tolist()
    return pd.DataFrame(
        {
            "image_id": pd.Series(ids, dtype=object),
            "near_duplicate": [image_id in removed for image_id in ids],
            "unreviewed": [image_id in waiting or image_id in missed for image_id in ids],
            "reason": pd.Series(
                [removed.get(i) or waiting.get(i) or missed.get(i) for i in ids], dtype=object
            ),
        }
    )


def unreviewed_pairs(study: Study, *, thresholds: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Close pairs without a verdict: image_a, image_b, metric, distance, one row per pair and metric."""
    pairs, verdicts = rows.close_pairs(study.catalog), rows.latest_verdicts(study.catalog)
    return _open(pairs, verdicts, thresholds or {})


def _open(pairs: pd.DataFrame, verdicts: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    # Proposed pairs keep their DSSIM whatever it is: it alone makes a pair close only where it is small.
    limits = pairs["metric"].map({DSSIM: DSSIM_CLOSE, **thresholds}).fillna(float("inf")).astype(float)
    judged = pd.MultiIndex.from_frame(verdicts[["image_a", "image_b"]])
    seen = pd.MultiIndex.from_frame(pairs[["image_a", "image_b"]]).isin(judged)
    return pairs[(pairs["distance"] <= limits) & ~seen].reset_index(drop=True)


def _waiting(study: Study, verdicts: pd.DataFrame, thresholds: Mapping[str, float]) -> dict[str, str]:
    table = _open(rows.close_pairs(study.catalog), verdicts, thresholds)
    found: dict[str, str] = {}
    for a, b in zip(table["image_a"], table["image_b"], strict=True):
        found.setdefault(a, f"close to {b}, and nobody has judged the pair")
        found.setdefault(b, f"close to {a}, and nobody has judged the pair")
    return found


def _not_compared(study: Study, images: pd.DataFrame) -> dict[str, str]:
    """Candidates that a metric which the study compares by has not yet compared with a set."""
    searches = pair_searches.chosen(study.catalog).values()
    # DSSIM covers nothing: it is measured where others propose.
    metrics = sorted({search.metric for search in searches} - {DSSIM})
    if not metrics:
        return {}
    has_bytes = images.set_index("image_id")["has_bytes"]
    found: dict[str, str] = {}
    for metric in metrics:
        for scope in rows.scopes(study.catalog):
            if rows.is_empty(study.catalog, scope):
                continue
            for image_id in rows.never_compared(study.catalog, metric, scope):
                lack = (
                    f"not yet compared with {scope} by {metric}"
                    if has_bytes[image_id]
                    else "no bytes to compare"
                )
                found.setdefault(image_id, lack)
    return found
