"""Which images of a group of duplicates may stay: components of the graph of duplicate and same-photo pairs.

The rule is ImageNetV2's (Recht et al. 2019): a component that touches a reference set is left out whole, of any other
exactly one image stays. Which one stays is ours to say: the first by (not blocked, in an earlier revision, most votes,
most pixels, smallest image_id). Votes count by how many were cast, never by what they say, so the rule cannot make a
set easier or harder.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["components", "photo_key", "removals", "same_photo_pairs"]

_FLICKR_PAGE = re.compile(r"flickr\.com/photos/[^/]+/(\d+)")
_FLICKR_FILE = re.compile(r"static\.?flickr\.com/(?:[^/]+/)*(\d+)_")


def components(nodes: pd.Index[str], pairs: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The component number of each node (in the order of ``nodes``); ``pairs`` has image_a and image_b.

    Pairs with an end that is not a node are left out.
    """
    a, b = nodes.get_indexer(pd.Index(pairs["image_a"])), nodes.get_indexer(pd.Index(pairs["image_b"]))
    known = (a >= 0) & (b >= 0)
    edges = coo_array(
        (np.ones(known.sum(), dtype=np.int8), (a[known], b[known])), shape=(len(nodes), len(nodes))
    )
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def photo_key(url: object, page_url: object) -> str | None:
    """What two records of one photo share: the Flickr photo number in either address, else the file's address."""
    for address in (page_url, url):
        if isinstance(address, str) and (
            found := _FLICKR_PAGE.search(address) or _FLICKR_FILE.search(address)
        ):
            return f"flickr:{found[1]}"
    return url if isinstance(url, str) else None


def same_photo_pairs(images: pd.DataFrame) -> pd.DataFrame:
    """Pairs of images (image_id, url, page_url) that are records of one photo: each with the first of its photo."""
    addresses = zip(images["url"].tolist(), images["page_url"].tolist(), strict=True)
    keys = [photo_key(url, page) for url, page in addresses]
    table = (
        pd.DataFrame({"image_b": images["image_id"].to_numpy(), "key": keys})
        .dropna()
        .sort_values(["key", "image_b"])
    )
    table["image_a"] = table.groupby("key")["image_b"].transform("first")
    return table.loc[table["image_a"] != table["image_b"], ["image_a", "image_b"]].reset_index(drop=True)


def removals(images: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series[str]:
    """image_id -> why it must go, for every candidate that the components exclude.

    ``images`` has image_id, candidate, reference, blocked, sampled, num_shown, pixels; ``pairs`` image_a, image_b.
    """
    # An image alone in its component stays, unless it is itself in a reference set: most need no component at all.
    linked = images["image_id"].isin(pd.concat([pairs["image_a"], pairs["image_b"]]))
    images = images[linked | (images["candidate"] & images["reference"])]
    table = images.assign(component=components(pd.Index(images["image_id"]), pairs))
    touches = table.groupby("component")["reference"].transform("any")
    itself = table["candidate"] & table["reference"]
    member = pd.Series("is itself in a reference set", index=table.loc[itself, "image_id"], dtype=object)
    ranked = table[table["candidate"] & ~touches].sort_values(
        ["component", "blocked", "sampled", "num_shown", "pixels", "image_id"],
        ascending=[True, True, False, False, False, True],
    )
    kept = ranked.groupby("component")["image_id"].transform("first")
    gone = ranked[ranked["image_id"] != kept]
    inside = pd.Series(
        "duplicate of " + kept[gone.index].to_numpy(dtype=object), index=gone["image_id"], dtype=object
    )
    original = table.loc[table["reference"]].groupby("component")["image_id"].min()
    outside = table[table["candidate"] & touches & ~table["reference"]]
    near = (
        "duplicate of "
        + original.reindex(outside["component"]).to_numpy(dtype=object)
        + ", which is in a reference set"
    )
    against = pd.Series(near, index=outside["image_id"], dtype=object)
    reasons: pd.Series[str] = pd.concat([member, inside, against]).sort_index()
    return reasons
