"""Diagnoses of revisions: made when a revision is drawn, stored in its summary, read back and explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from newtest.catalog import revisions
from newtest.catalog.kept import believed
from newtest.errors import NotFoundError, SamplingError
from newtest.sampling.bias.diagnostics import Diagnostics, diagnose
from newtest.sampling.bias.held_out import held_out
from newtest.sampling.sample import Draft, strategy_of
from newtest.study import Study

__all__ = ["diagnose_draft", "stored_diagnostics"]


def diagnose_draft(draft: Draft, votes: pd.DataFrame | None = None) -> Diagnostics | None:
    """Diagnose what a draft draws; None when no class has both drawn images with votes and originals with votes.

    ``votes`` are the single votes where they are known (``newtest.catalog.votes.single_votes``): they tell whether
    workers and crowds differ. The held-out check is made of the rules that match frequencies; the others match nothing
    that could be checked.
    """
    config, plan = draft.config, draft.plan
    checked = None
    if config.strategy == "matched-frequency":
        checked = held_out(strategy_of(config), plan.eligible, draft.reference, config)
    return diagnose(plan.eligible, draft.reference, draft.rows, config, checked, votes)


def stored_diagnostics(study: Study, revision: str) -> Diagnostics:
    """The diagnosis that was stored when the revision was drawn. Raises UsageError, SamplingError."""
    found = revisions.find(study.catalog, revision)
    if found is None:
        known = ", ".join(revisions.names(study.catalog)) or "none"
        raise NotFoundError(f"there is no revision {revision!r}; the study has {known}")
    values: Mapping[str, Any] | None = found.summary_values().get("diagnostics")
    if values is None:
        raise SamplingError(
            f"revision {revision!r} has no diagnosis: no class of it has both members and originals with votes"
        )
    with believed(f"the diagnosis of revision {revision!r}"):
        return Diagnostics.of(values)
