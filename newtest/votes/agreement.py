"""Agreement among workers: Krippendorff's alpha, and people whose times or shares of ticks stand out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import VotesError

__all__ = ["krippendorff_alpha", "outliers"]


def krippendorff_alpha(
    questions: npt.ArrayLike, labels: npt.ArrayLike, *, num_labels: int | None = None
) -> float:
    """Krippendorff's alpha for nominal labels: 1 for perfect agreement, 0 for that of chance.

    ``questions`` and ``labels`` are one entry per vote (labels from 0). Questions with a single vote say nothing and
    are left out. NaN when every vote is for the same label: chance then agrees as perfectly as people do. Raises
    VotesError when no question has two votes.

    alpha = 1 - (n - 1) sum_c (o_c. - o_cc) / sum_c n_c (n - n_c), with coincidences o weighted by 1 / (m_u - 1)
    (Krippendorff, "Computing Krippendorff's alpha-reliability", 2011).
    """
    units, inverse = np.unique(np.asarray(questions), return_inverse=True)
    values = np.asarray(labels, dtype=np.int64)
    k = int(num_labels if num_labels is not None else values.max(initial=-1) + 1)
    counts = np.bincount(inverse * k + values, minlength=len(units) * k).reshape(len(units), k).astype(float)
    sizes = counts.sum(axis=1)
    counts, sizes = counts[sizes > 1], sizes[sizes > 1]
    if not len(counts):
        raise VotesError("no question has two votes: there is no agreement to measure")
    totals = counts.sum(axis=0)
    n = totals.sum()
    agreeing = (counts * (counts - 1) / (sizes - 1)[:, None]).sum()
    expected = (totals * (totals - 1)).sum() / (n - 1)
    return float((agreeing - expected) / (n - expected)) if n > expected else float("nan")


def outliers(assignments: pd.DataFrame, *, hasty: float = 1 / 3) -> pd.DataFrame:
    """Workers whose pace or ticks stand out, one row per worker (index): hasty, all_ticked, none_ticked, assignments.

    ``assignments`` has one row per assignment: worker, seconds, images, selected. *hasty* counts assignments done in
    less than that share of the median time of all; *all_ticked* and *none_ticked* those with every image or with none
    selected. They are grounds to look, not to reject: a class without any fitting image is rightly left unticked.
    """
    median = assignments["seconds"].median()
    table = pd.DataFrame(
        {
            "worker": assignments["worker"].to_numpy(),
            "hasty": (assignments["seconds"] < hasty * median).to_numpy(dtype=int),
            "all_ticked": (assignments["selected"] == assignments["images"]).to_numpy(dtype=int),
            "none_ticked": (assignments["selected"] == 0).to_numpy(dtype=int),
            "assignments": np.ones(len(assignments), dtype=int),
        }
    )
    return table.groupby("worker", sort=True).sum()
