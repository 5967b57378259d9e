"""What ``gap_parts`` needs of a set that was evaluated here: the mean model, numbers of labels, votes, clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.clusters import clustered, codes_of, gaps
from newtest.evaluation.analysis.frequency_gap import has_votes
from newtest.evaluation.analysis.gap import decompose, model_gaps
from newtest.evaluation.analysis.gap_parts import GapParts, MeasuredSet, gap_parts
from newtest.evaluation.analysis.tables import image_column
from newtest.evaluation.scoring.store import StoredSet
from newtest.evaluation.scoring.vote_columns import votes_of
from newtest.frequency.counts import VoteCounts
from newtest.frequency.gap import NO_POOL

__all__ = [
    "by_metric",
    "clustered_gap",
    "has_parts",
    "kept_per_image",
    "measured",
    "numbers_of_labels",
    "split_gap",
]


def kept_per_image(metric: str) -> bool:
    """Whether which images are right by a metric is kept: by any label, and by the one that the set gives."""
    return metric in ("top1", "any_of", "given")


def by_metric(stored: StoredSet, metric: str) -> StoredSet:
    """The set with ``correct`` by a metric. Raises EvaluationError where it is not kept per image."""
    if not kept_per_image(metric):
        raise EvaluationError(
            f"`metric` {metric}: which images are right is kept for top1, any_of and given alone"
        )
    return replace(stored, correct=stored.given) if metric == "given" and stored.given is not None else stored


def has_parts(original: StoredSet, new: StoredSet) -> bool:
    """Whether both sets have votes, or numbers of labels."""
    sets = (original, new)
    return all(map(has_votes, sets)) or all(numbers_of_labels(one) is not None for one in sets)


def numbers_of_labels(stored: StoredSet) -> npt.NDArray[np.int64] | None:
    """How many valid labels each image has, (N,); None where nobody looked for further ones."""
    images = stored.images
    if "num_labels" in images.columns:
        return images["num_labels"].to_numpy(dtype=np.int64)
    if "second_labels" in images.columns:  # people were asked, and no image shows a second class
        return np.array([1 + (0 if cell is None else len(cell)) for cell in images["second_labels"]])
    return None


def measured(
    stored: StoredSet,
    models: list[str],
    *,
    cluster: str | None = None,
    voted: bool = True,
) -> tuple[MeasuredSet, int]:
    """The set with the mean of ``models``, and how many images were left out because they have no votes (``voted``).

    Raises EvaluationError for a column that the images lack.
    """
    labels = numbers_of_labels(stored)
    whole = MeasuredSet(
        stored.correct.loc[models].to_numpy(dtype=np.float64).mean(axis=0),
        None if labels is None else labels > 1,
    )
    groups = None if cluster is None else codes_of(image_column(stored, cluster))
    if not (voted and has_votes(stored)):
        return _with(whole, clusters=groups), 0
    selected, shown = votes_of(stored.images, stored.name)
    asked = shown > 0
    found = whole.where(asked)
    votes = VoteCounts(selected[asked], shown[asked])
    return _with(found, votes=votes, clusters=None if groups is None else groups[asked]), int((~asked).sum())


def split_gap(
    original: StoredSet,
    new: StoredSet,
    *,
    cluster: str | None = None,
    pool: VoteCounts | None = None,
    seed: int = 0,
) -> GapParts:
    """The gap of the mean model, over the models that both sets have, in parts (see ``gap_parts``).

    Images without votes are left out where both sets have votes, and a warning counts them. Raises EvaluationError.
    """
    models = [model for model in original.correct.index if model in set(new.correct.index)]
    if not models:
        raise EvaluationError(f"{original.name} and {new.name} have no model in common")
    voted = has_votes(original) and has_votes(new)
    sets = [measured(one, models, cluster=cluster, voted=voted) for one in (original, new)]
    found = gap_parts(sets[0][0], sets[1][0], pool=pool if voted else None, seed=seed)
    warnings = [
        f"{gone} images of {one.name} have no votes and are left out of the parts"
        for one, (_, gone) in zip((original, new), sets, strict=True)
        if gone
    ]
    if voted and pool is None:
        warnings.append(NO_POOL)
    return replace(found, warnings=(*warnings, *found.warnings))


def clustered_gap(
    table: pd.DataFrame, original: StoredSet, new: StoredSet, cluster: str
) -> tuple[dict[str, Any], pd.DataFrame]:
    """``gap.decompose`` as JSON and ``gap.model_gaps``, with intervals for images in groups of ``cluster``.

    Raises EvaluationError where which images a model gets right is not kept, or a set's images lack the column.
    """
    whole = decompose(table, original.name, new.name)
    rows = model_gaps(table, original.name, new.name)
    one, two = ((stored.correct, image_column(stored, cluster)) for stored in (original, new))
    kept = rows["model"].isin(set(one[0].index) & set(two[0].index))
    if not kept.all():
        first = rows.loc[~kept, "model"].iloc[0]
        raise EvaluationError(
            f"which images {first!r} gets right is not known; `cluster` needs it of every model"
        )
    found = gaps(rows, one, two)
    alone = clustered(two[0].loc[rows["model"]], two[1])
    bound = float(np.maximum(alone["accuracy"] - alone["lo"], alone["hi"] - alone["accuracy"]).max())
    return replace(whole, generalization_bound=bound).to_json(), found


def _with(measured_set: MeasuredSet, **parts: Any) -> MeasuredSet:
    return MeasuredSet(**{**vars(measured_set), **parts})
