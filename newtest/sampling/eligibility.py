"""Who may be drawn: one function decides, and every exclusion has a reason.

The reasons are asked in ImageNetV2's order: blocked, few_assignments, below_threshold, near_duplicate,
unreviewed. One of ours comes second: no_bytes, for an image that no release could hold.
The first that holds is *the* reason; all that hold are kept beside it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from newtest.sampling.config import SamplingConfig
from newtest.sampling.histogram import at_least
from newtest.sampling.pairs import Pairs

__all__ = ["REASONS", "exclusions", "reasons"]

REASONS = ("blocked", "no_bytes", "few_assignments", "below_threshold", "near_duplicate", "unreviewed")
"""The order in which an exclusion is explained."""


def reasons(candidates: Pairs, config: SamplingConfig) -> npt.NDArray[np.bool_]:
    """Which reasons speak against each candidate: shape (N, 6), columns as ``REASONS``. No True in a row:
    eligible.

    A candidate is near_duplicate when it is marked so (its component touches the original set, or a person
    said so), or when another image of its component stays. Exactly one of the component's images that nothing
    else speaks against stays: a reviewed one before an unreviewed one, a member of the parent before others,
    then the smallest (image_id, wnid), which says nothing about how hard the image is. One photo that serves
    two classes is a component of its own.
    """
    blocked = candidates.blocked
    few = candidates.num_shown < config.min_votes
    below = _below_threshold(candidates, config)
    contenders = np.flatnonzero(~(blocked | candidates.no_bytes | few | below | candidates.near_duplicate))
    near_duplicate = candidates.near_duplicate.copy()
    near_duplicate[_not_first_of_component(candidates, contenders)] = True
    return np.column_stack([blocked, candidates.no_bytes, few, below, near_duplicate, candidates.unreviewed])


def exclusions(candidates: Pairs, against: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """The excluded as a DataFrame (image_id, wnid, reason, all_reasons), sorted by (wnid, image_id).

    ``reason`` is the first of ``REASONS`` that holds, ``all_reasons`` all of them with commas between.
    """
    rows = np.flatnonzero(against.any(axis=1))
    masks = against[rows] @ (1 << np.arange(len(REASONS)))
    joined = np.array(
        [
            ",".join(reason for bit, reason in enumerate(REASONS) if mask >> bit & 1)
            for mask in range(1 << len(REASONS))
        ],
        dtype=object,
    )
    return pd.DataFrame(
        {
            "image_id": candidates.image_id[rows],
            "wnid": candidates.wnid[rows],
            "reason": np.array(REASONS, dtype=object)[against[rows].argmax(axis=1)],
            "all_reasons": joined[masks],
        }
    )


def _below_threshold(candidates: Pairs, config: SamplingConfig) -> npt.NDArray[np.bool_]:
    if config.strategy != "threshold":
        return np.zeros(len(candidates), dtype=bool)
    enough = at_least(candidates.num_selected, candidates.num_shown, config.threshold)
    places = {wnid: index for index, wnid in enumerate(candidates.wnids)}
    for wnid, threshold in config.class_thresholds:
        if wnid in places:
            rows = candidates.class_index == places[wnid]
            enough[rows] = at_least(candidates.num_selected[rows], candidates.num_shown[rows], threshold)
    return ~enough


def _components(candidates: Pairs) -> npt.NDArray[np.int64]:
    """The component of each row, shape (N,): rows of one photo belong together, and so do rows of one named component.

    One row may name the photo's component while another, for a second class, does not: the photo links them.
    """
    photos = pd.factorize(candidates.image_id)[0].astype(np.int64)
    known = np.flatnonzero([name is not None for name in candidates.component])
    if not known.size:
        return photos
    num_photos = int(photos.max()) + 1
    named = num_photos + pd.factorize(candidates.component[known])[0]
    size = int(named.max()) + 1
    links = coo_array((np.ones(known.size, dtype=np.int8), (photos[known], named)), shape=(size, size))
    codes: npt.NDArray[np.int64] = connected_components(links, directed=False)[1][photos].astype(np.int64)
    return codes


def _not_first_of_component(candidates: Pairs, contenders: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The contenders that give way to another image of their component."""
    codes = _components(candidates)[contenders]
    shared = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if not shared.size:
        return contenders[:0]
    rows = contenders[shared]
    order = np.lexsort(
        (
            candidates.class_index[rows],
            pd.factorize(candidates.image_id[rows], sort=True)[0],
            ~candidates.in_parent[rows],
            candidates.unreviewed[rows],
            codes[shared],
        )
    )
    ordered = codes[shared][order]
    later = np.concatenate([[False], ordered[1:] == ordered[:-1]])
    losers: npt.NDArray[np.int64] = rows[order[later]]
    return losers
