"""All that is known of the workers of a study in one table, and counts with and without those who are left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from newtest.catalog import quality as rows
from newtest.catalog import transaction
from newtest.study import Study, now
from newtest.votes.agreement import krippendorff_alpha, outliers
from newtest.votes.dawid_skene import Votes, dawid_skene, sensitivity_specificity
from newtest.votes.frequencies import frequencies
from newtest.votes.quality import ControlCounts, QualityRule, assess, control_counts

__all__ = ["agreement_of", "exclude_flagged", "side_by_side", "worker_table"]

NO_CONTROLS = ControlCounts(0, 0, 0, 0)
OUTLIERS = ["assignments", "hasty", "all_ticked", "none_ticked"]


def worker_table(study: Study, rule: QualityRule | None = None) -> pd.DataFrame:
    """One row a worker, the most doubtful first.

    Columns: worker, votes, share_selected; controls, sensitivity, specificity (posterior means on controls), quality,
    doubt; ds_sensitivity, ds_specificity (two-parameter Dawid-Skene over all votes, controls as known truth);
    assignments, hasty, all_ticked, none_ticked; flagged, reason, excluded.
    """
    votes = rows.vote_rows(study.catalog)
    if votes.empty:
        return pd.DataFrame(columns=["worker", "votes", "flagged", "reason", "excluded"])
    counts = control_counts(votes)
    table = (
        votes.groupby("worker", sort=True)["selected"].agg(votes="size", share_selected="mean").reset_index()
    )
    found = [assess(_counts(counts, worker), rule) for worker in table["worker"]]
    table["controls"] = [_counts(counts, worker).total for worker in table["worker"]]
    for name in ("sensitivity", "specificity", "quality", "doubt", "flagged", "reason"):
        table[name] = [getattr(one, name) for one in found]
    table = table.merge(_dawid_skene(votes), on="worker")
    stands_out = outliers(rows.assignment_rows(study.catalog))
    table = table.merge(stands_out, left_on="worker", right_index=True, how="left")
    table[OUTLIERS] = table[OUTLIERS].fillna(0).astype(int)
    excluded = rows.excluded(study.catalog)
    table["excluded"] = [excluded.get(worker, "") for worker in table["worker"]]
    return table.sort_values(["doubt", "worker"], ascending=[False, True], ignore_index=True)


def agreement_of(study: Study) -> float:
    """Krippendorff's alpha of a study's votes, controls left out. Raises VotesError without two votes on any pair."""
    votes = rows.vote_rows(study.catalog)
    votes = votes[votes["control"].isna()]
    return krippendorff_alpha(_pairs(votes), votes["selected"].to_numpy(), num_labels=2)


def exclude_flagged(study: Study, table: pd.DataFrame) -> int:
    """Leave the flagged workers of a table out of filtered counts, with the reason; gives how many are new."""
    flagged = table[table["flagged"].astype(bool)]
    with study.exclusive("votes"), transaction(study.catalog):
        return rows.exclude(study.catalog, zip(flagged["worker"], flagged["reason"], strict=True), at=now())


def side_by_side(study: Study) -> pd.DataFrame:
    """Selection frequencies of all votes; where workers are excluded, beside them those without: kept_selected,
    kept_shown, kept_frequency. A pair that only excluded workers voted on has kept_shown 0 and no kept_frequency."""
    table = frequencies(study)
    if not rows.excluded(study.catalog):
        return table
    kept = frequencies(study, filtered=True)[["image_id", "wnid", "num_selected", "num_shown", "frequency"]]
    kept.columns = pd.Index(["image_id", "wnid", "kept_selected", "kept_shown", "kept_frequency"])
    both = table.merge(kept, on=["image_id", "wnid"], how="left")
    columns = ["kept_selected", "kept_shown"]
    both[columns] = both[columns].fillna(0).astype(int)
    return both


def _counts(counts: pd.DataFrame, worker: str) -> ControlCounts:
    return ControlCounts(*map(int, counts.loc[worker])) if worker in counts.index else NO_CONTROLS


def _dawid_skene(votes: pd.DataFrame) -> pd.DataFrame:
    """Each worker's sensitivity and specificity by the two-parameter model."""
    workers, worker_numbers = np.unique(votes["worker"].to_numpy(dtype=str), return_inverse=True)
    questions = _pairs(votes)
    truth = np.full(int(questions.max()) + 1, -1)
    control = votes["control"]
    truth[questions[(control == "positive").to_numpy()]] = 1
    truth[questions[(control == "negative").to_numpy()]] = 0
    labels = votes["selected"].to_numpy(dtype=np.int64)
    fit = dawid_skene(Votes(questions, worker_numbers, labels, len(truth), len(workers), 2), known=truth)
    sensitivity, specificity = sensitivity_specificity(fit)
    return pd.DataFrame({"worker": workers, "ds_sensitivity": sensitivity, "ds_specificity": specificity})


def _pairs(votes: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A number for each (image, class)."""
    numbers = votes.groupby(["image_id", "wnid"], sort=True).ngroup()
    return np.asarray(numbers, dtype=np.int64)
