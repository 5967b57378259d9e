"""All that is known of the workers of a study in one table, and counts with and without those who are left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from newtest.catalog import quality as rows
from newtest.catalog import transaction
from newtest.catalog.quality import CONTROLS, VoteCodes
from newtest.study import Study, now
from newtest.votes.agreement import krippendorff_alpha, outliers
from newtest.votes.dawid_skene import Votes, dawid_skene, sensitivity_specificity
from newtest.votes.frequencies import frequencies
from newtest.votes.quality import ControlCounts, QualityRule, assess

__all__ = ["agreement_of", "exclude_flagged", "side_by_side", "worker_table"]

OUTLIERS = ["assignments", "hasty", "all_ticked", "none_ticked"]


def worker_table(study: Study, rule: QualityRule | None = None) -> pd.DataFrame:
    """One row per worker, the most doubtful first.

    Columns: worker, votes, share_selected; controls, sensitivity, specificity (posterior means on controls, missing
    where no such control was shown), quality, doubt; ds_sensitivity, ds_specificity (two-parameter Dawid-Skene over
    all votes, controls as known truth); assignments, hasty, all_ticked, none_ticked; flagged, reason, excluded.
    """
    votes = rows.vote_codes(study.catalog)
    if not len(votes):
        return pd.DataFrame(columns=["worker", "votes", "flagged", "reason", "excluded"])
    counts = _control_counts(votes)
    number = np.bincount(votes.worker, minlength=len(votes.workers))
    ticked = np.bincount(votes.worker, votes.selected, minlength=len(votes.workers))
    table = pd.DataFrame({"worker": votes.workers, "votes": number, "share_selected": ticked / number})
    found = [assess(known, rule) for known in counts]
    table["controls"] = [known.total for known in counts]
    for name in ("sensitivity", "specificity", "quality", "doubt", "flagged", "reason"):
        table[name] = [getattr(one, name) for one in found]
    # Without a control of a kind there is only the prior, which says nothing about the worker.
    asked = {
        "sensitivity": [known.positives > 0 for known in counts],
        "specificity": [known.negatives > 0 for known in counts],
        "quality": [known.positives > 0 and known.negatives > 0 for known in counts],
    }
    for name, shown in asked.items():
        table[name] = table[name].where(np.array(shown))
    table = table.merge(_dawid_skene(votes), on="worker")
    stands_out = outliers(rows.assignment_rows(study.catalog))
    table = table.merge(stands_out, left_on="worker", right_index=True, how="left")
    table[OUTLIERS] = table[OUTLIERS].fillna(0).astype(int)
    excluded = rows.excluded(study.catalog)
    table["excluded"] = [excluded.get(worker, "") for worker in table["worker"]]
    return table.sort_values(["doubt", "worker"], ascending=[False, True], ignore_index=True)


def agreement_of(study: Study) -> float:
    """Krippendorff's alpha of a study's votes, controls left out. Raises VotesError without two votes on any pair."""
    votes = rows.vote_codes(study.catalog)
    plain = votes.control == 0
    return krippendorff_alpha(votes.question[plain], votes.selected[plain], num_labels=2)


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


def _control_counts(votes: VoteCodes) -> list[ControlCounts]:
    """One entry per worker, in their order."""
    size = len(votes.workers)
    columns = []
    for kind in ("positive", "negative"):
        shown = votes.control == CONTROLS[kind]
        columns.append(np.bincount(votes.worker[shown], votes.selected[shown], minlength=size))
        columns.append(np.bincount(votes.worker[shown], minlength=size))
    return [ControlCounts(*(int(value) for value in row)) for row in zip(*columns, strict=True)]


def _dawid_skene(votes: VoteCodes) -> pd.DataFrame:
    """Each worker's sensitivity and specificity by the two-parameter model."""
    truth = np.full(int(votes.question[-1]) + 1, -1, dtype=np.int8)
    truth[votes.question[votes.control == CONTROLS["positive"]]] = 1
    truth[votes.question[votes.control == CONTROLS["negative"]]] = 0
    given = Votes(
        votes.question, votes.worker, votes.selected.astype(np.int32), len(truth), len(votes.workers), 2
    )
    sensitivity, specificity = sensitivity_specificity(dawid_skene(given, known=truth))
    return pd.DataFrame(
        {"worker": votes.workers, "ds_sensitivity": sensitivity, "ds_specificity": specificity}
    )
