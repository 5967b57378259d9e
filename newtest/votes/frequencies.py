"""Selection frequencies: of the people who were shown an image, how many said that it shows the class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from newtest.catalog.second_labels import second_alone
from newtest.catalog.votes import totals
from newtest.intervals import clopper_pearson
from newtest.study import Study

__all__ = ["frequencies", "with_intervals"]


def frequencies(study: Study, *, filtered: bool = False) -> pd.DataFrame:
    """The pairs somebody voted on: image_id, wnid, num_selected, num_shown, frequency, lo, hi.

    Counts pool all HITs of a pair. lo and hi are the Clopper-Pearson 95 % interval. Where a part of the votes
    is simulated a boolean column ``simulated`` says which, and where people were asked about second labels a boolean
    column ``second_label`` says which pairs are such and no candidates. ``filtered`` leaves out the workers that were
    excluded. Sorted by (image_id, wnid).
    """
    counts = totals(study.catalog, filtered=filtered)
    if second := second_alone(study.catalog):
        pairs = zip(counts["image_id"], counts["wnid"], strict=True)
        counts["second_label"] = [pair in second for pair in pairs]
    return with_intervals(counts if counts["simulated"].any() else counts.drop(columns="simulated"))


def with_intervals(counts: pd.DataFrame) -> pd.DataFrame:
    """Add frequency and its 95 % interval lo, hi behind image_id, wnid and the counts; other columns come
    last.
    """
    selected, shown = counts["num_selected"].to_numpy(), counts["num_shown"].to_numpy()
    # Few (k, n) are distinct, however many images there are.
    base = shown.max(initial=0) + 1
    codes, place = np.unique(selected * base + shown, return_inverse=True)
    lo, hi = (bound[place] for bound in clopper_pearson(codes // base, codes % base))
    frequency = counts["num_selected"] / counts["num_shown"]
    columns = ["image_id", "wnid", "num_selected", "num_shown", "frequency", "lo", "hi"]
    rest = [column for column in counts.columns if column not in columns]
    return counts.assign(frequency=frequency, lo=lo, hi=hi)[columns + rest]
