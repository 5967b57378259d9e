"""Second labels in Python: propose other classes for the images of a set, read what people said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from newtest.api.studies import StudyLike, opened
from newtest.errors import EvaluationError, UsageError

if TYPE_CHECKING:
    from newtest.crowd.second_labels import SecondLabelRule, Stored
    from newtest.evaluation.scoring.proposals import ProposalConfig
    from newtest.evaluation.scoring.sets import EvaluationSet
    from newtest.study import Study

__all__ = ["ProposalSources", "propose_second_labels", "second_labels"]


@dataclass(frozen=True)
class ProposalSources:
    """Where proposals come from; at least one is required."""

    predictions: Sequence[str | Path] = ()
    """Files as ``newtest evaluate`` reads them. With several sets, each file proposes for the sets that it fits."""
    classes: str | Path | None = None
    """The models' classes in the order of their outputs."""
    near: int = 0
    """So many nearest classes of each image's class."""
    similar: str | Path | None = None
    """JSON of wnid -> nearest wnids, for ``near``; else WordNet's path similarity."""
    table: str | Path | None = None
    """Image -> classes (JSON), or a table of ids and classes."""


def propose_second_labels(
    study: StudyLike, sets: Sequence[str], sources: ProposalSources, config: ProposalConfig | None = None
) -> tuple[Stored, list[str]]:
    """Keep other classes that members of revisions and references may show, for ``newtest annotate plan`` to ask about.

    Also gives what was left out of the files, in words. Raises UsageError without a source, EvaluationError for a set
    or a file that cannot be read.
    """
    from newtest.crowd.second_labels import store_proposals

    with opened(study) as one:
        found, said = proposals_for(one, sets, sources, config)
        return store_proposals(one, found), said


def second_labels(study: StudyLike, rule: SecondLabelRule | None = None) -> pd.DataFrame:
    """All proposed pairs of image and class with their votes, and whether they are accepted as labels: image_id, wnid,
    sources, num_selected, num_shown, lo, hi, accepted.
    """
    from newtest.crowd.second_labels import second_label_votes

    with opened(study) as one:
        return second_label_votes(one, rule)


def proposals_for(
    study: Study, sets: Sequence[str], sources: ProposalSources, config: ProposalConfig | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """image_id, wnid, source of all sets, and what was left out. Nothing is stored. Raises as its caller says."""
    from newtest.catalog import classes
    from newtest.classes.similarity import most_similar
    from newtest.classes.wordnet import is_wnid
    from newtest.crowd.planning import read_similar
    from newtest.evaluation.scoring.proposals import from_near, from_table
    from newtest.evaluation.scoring.sets import find_set

    if not (sources.predictions or sources.near or sources.table):
        raise UsageError("nothing to propose from: give `predictions`, `near` or `proposals`")
    known = [wnid for wnid in classes.wnids(study.catalog) if is_wnid(wnid)]

    def near(wnid: str) -> list[str]:
        return [other for other, _ in most_similar(wnid, known, sources.near)] if is_wnid(wnid) else []

    similar = near if sources.similar is None else read_similar(Path(sources.similar))
    evaluated = [find_set(f"study:{name}", study.root) for name in sets]
    parts, said = _of_files(evaluated, sources, config)
    strange: set[str] | None = None
    for one in evaluated:
        if sources.near:
            parts.append(from_near(one, similar, sources.near))
        if sources.table is not None:
            found, left = from_table(one, Path(sources.table))
            parts.append(found)
            strange = left if strange is None else strange & left
    if strange:
        said.append(
            f"{sources.table}: {len(strange)} ids are not images of {', '.join(sets)}, first {min(strange)!r}"
        )
    return pd.concat(parts, ignore_index=True), said


def _of_files(
    sets: Sequence[EvaluationSet], sources: ProposalSources, config: ProposalConfig | None
) -> tuple[list[pd.DataFrame], list[str]]:
    from newtest.evaluation.scoring.proposals import from_predictions

    files = [Path(path) for path in sources.predictions]
    if not files:
        return [], []
    classes = Path(sources.classes) if sources.classes else None
    found = [from_predictions(one, files, config, classes=classes) for one in sets]
    said = [sentence for one in found for sentence in one.said]
    for path in files:
        fits = [one.used[path] for one in found if path in one.used]
        if not fits:
            raise EvaluationError(
                f"{path} fits none of {', '.join(one.name for one in sets)}: {'; '.join(said)}"
            )
        if len(fits) > 1 and all(fits):
            raise EvaluationError(
                f"{path} has rows without ids and fits several sets; name one set at a time"
            )
    # A file of one set fits no other: that needs no message.
    return [one.proposals for one in found], said if len(sets) == 1 else []
