"""What a stored mismatch of frequencies explains of the models' accuracies on the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from newtest.catalog import revisions
from newtest.catalog.votes import totals
from newtest.errors import SamplingError
from newtest.evaluation.scoring.store import read_store
from newtest.frequency.counts import VoteCounts
from newtest.frequency.gap import ScoredSet
from newtest.sampling.bias.explained import points_explained
from newtest.sampling.diagnosis import stored_diagnostics
from newtest.study import Study

__all__ = ["explain"]


def explain(study: Study, revision: str, results: Path) -> pd.DataFrame:
    """The points of accuracy that the stored mismatch explains, a model, from results on the revision's reference.

    ``results`` is what ``newtest evaluate REFERENCE`` wrote; of its sets the one that shares most images with the
    reference is taken. Columns as in ``points_explained``. Raises SamplingError when no set holds voted images of it.
    """
    diagnosis = stored_diagnostics(study, revision)
    row = revisions.find(study.catalog, revision)
    if row is None or row.reference is None:
        raise SamplingError(f"revision {revision!r} was drawn without a reference: nothing can be explained")
    counts = totals(study.catalog, filtered=row.filtered)
    voted = revisions.reference_pairs(study.catalog, row.reference).merge(counts, on=["image_id", "wnid"])
    best: tuple[int, ScoredSet | None, list[str]] = (0, None, [])
    for stored in read_store(results):
        pairs = stored.images[["image_id", "class"]].rename(columns={"class": "wnid"}).astype(str)
        there = pairs.assign(place=np.arange(len(pairs))).merge(voted, on=["image_id", "wnid"])
        there = there[there["num_shown"] > 0]
        if len(there) > best[0]:
            correct = stored.correct.to_numpy(dtype=np.float64)[:, there["place"].to_numpy()]
            votes = VoteCounts(there["num_selected"].to_numpy(), there["num_shown"].to_numpy())
            best = (len(there), ScoredSet(votes, correct.T), [str(model) for model in stored.correct.index])
    if best[1] is None:
        raise SamplingError(
            f"{results}: no results on images of {row.reference!r} that have votes; "
            "score predictions on it with newtest evaluate first"
        )
    return points_explained(best[1], diagnosis, best[2])
