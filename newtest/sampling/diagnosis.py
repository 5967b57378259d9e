"""Diagnoses of revisions: made when a revision is drawn, stored in its summary, read back and explained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from newtest.catalog import revisions
from newtest.catalog.votes import totals
from newtest.errors import SamplingError, UsageError
from newtest.sampling.bias.counts import VoteCounts
from newtest.sampling.bias.diagnostics import Diagnostics, diagnose
from newtest.sampling.bias.explained import points_explained
from newtest.sampling.bias.gap import ScoredSet
from newtest.sampling.bias.held_out import held_out
from newtest.sampling.sample import Draft, strategy_of
from newtest.study import Study

__all__ = ["diagnose_draft", "explain", "stored_diagnostics"]


def diagnose_draft(draft: Draft) -> Diagnostics | None:
    """Diagnose what a draft draws; None when no class has both drawn images with votes and originals with votes.

    The held-out check is made of the rules that match frequencies; the others match nothing that could be checked.
    """
    config, plan = draft.config, draft.plan
    checked = None
    if config.strategy == "matched-frequency":
        checked = held_out(strategy_of(config), plan.eligible, draft.reference, config)
    return diagnose(plan.eligible, draft.reference, draft.rows, config, checked)


def stored_diagnostics(study: Study, revision: str) -> Diagnostics:
    """The diagnosis that was stored when the revision was drawn. Raises UsageError, SamplingError."""
    found = revisions.find(study.catalog, revision)
    if found is None:
        known = ", ".join(revisions.names(study.catalog)) or "none"
        raise UsageError(f"there is no revision {revision!r}; the study has {known}")
    values: Mapping[str, Any] | None = json.loads(found.summary).get("diagnostics")
    if values is None:
        raise SamplingError(
            f"revision {revision!r} has no diagnosis: no class of it has both members and originals with votes"
        )
    return Diagnostics.of(values)


def explain(study: Study, revision: str, results: Path) -> pd.DataFrame:
    """The points of accuracy that the stored mismatch explains, a model, from results on the revision's reference.

    ``results`` is what ``newtest evaluate REFERENCE`` wrote; of its sets the one that shares most images with the
    reference is taken. Columns as in ``points_explained``. Raises SamplingError when no set holds voted images of it.
    """
    from newtest.evaluation.store import read_store

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
            f"score predictions on it with newtest evaluate first"
        )
    return points_explained(best[1], diagnosis.mismatch, best[2])
