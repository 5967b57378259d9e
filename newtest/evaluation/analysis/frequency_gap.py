"""The gap and the selection frequency: accuracy as a function of it, and what is left at equal frequencies.

Needs the correctness of each image and the votes. The adjustment is ``newtest.frequency.gap`` (Engstrom et al.
2020): the new set's accuracy if its true frequencies were spread as the original's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.catalog.evaluation import pool_votes
from newtest.errors import EvaluationError
from newtest.evaluation.analysis.clusters import codes_of
from newtest.evaluation.analysis.tables import frequency_bins, image_column
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.store import StoredSet
from newtest.evaluation.scoring.vote_columns import VOTE_COLUMNS, votes_of
from newtest.frequency.counts import VoteCounts
from newtest.frequency.gap import ScoredSet, adjusted_gap
from newtest.intervals import clopper_pearson
from newtest.reading.separated import it_has
from newtest.study import Study

__all__ = [
    "ByFrequency",
    "adjusted",
    "by_frequency",
    "has_votes",
    "pool_counts",
    "read_pool",
    "study_pool",
]

REPLICATES = 50
"""Of the bootstrap behind the standard errors: each fits the mixtures anew."""
BINS = tuple(f"{at / 5:.1f}-{(at + 1) / 5:.1f}" for at in range(5))


@dataclass(frozen=True)
class ByFrequency:
    """Accuracy of all models together in each frequency bin: ``k`` of ``n`` (models x images), arrays of shape (5,)."""

    set: str
    k: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    images: npt.NDArray[np.int64]

    def to_json(self) -> dict[str, object]:
        """One row per bin; the interval is over images, for the mean model."""
        rows: list[dict[str, object]] = []
        for name, k, n, images in zip(BINS, self.k, self.n, self.images, strict=True):
            low, high = clopper_pearson(round(k * images / n) if n else 0, images)
            known = bool(n)
            rows.append(
                {
                    "frequency": name,
                    "images": int(images),
                    "accuracy": 100 * float(k / n) if known else None,
                    "lo": 100 * float(low) if known else None,
                    "hi": 100 * float(high) if known else None,
                }
            )
        return {"set": self.set, "bins": rows}


def has_votes(stored: StoredSet) -> bool:
    """Whether any image of the set has votes."""
    columns = set(VOTE_COLUMNS)
    return columns <= set(stored.images.columns) and bool(votes_of(stored.images, stored.name)[1].any())


def by_frequency(stored: StoredSet) -> ByFrequency:
    """Accuracy in the five frequency bins; raises EvaluationError where the images have no votes."""
    bins = pd.Categorical(frequency_bins(stored.images, stored.name), categories=list(BINS))
    codes = np.asarray(bins.codes)
    asked = codes >= 0
    right = stored.correct.to_numpy(dtype=np.int64)[:, asked].sum(axis=0)
    images = np.bincount(codes[asked], minlength=5)
    k = np.bincount(codes[asked], weights=right, minlength=5).astype(np.int64)
    return ByFrequency(stored.name, k, images * len(stored.correct), images.astype(np.int64))


def read_pool(path: Path) -> VoteCounts:
    """Vote counts of a pool: a table of num_selected and num_shown (``newtest frequencies`` writes one). Raises
    EvaluationError.
    """
    return pool_counts(read_frame(path), str(path))


def study_pool(root: Path) -> VoteCounts | None:
    """The counts of all candidates of the study at ``root``: what its revisions were drawn by. None without a study or
    without votes.
    """
    if not (root / "study.sqlite").exists():
        return None
    with Study(root) as study:
        frame = pool_votes(study.catalog)
    return pool_counts(frame, str(root)) if len(frame) else None


def pool_counts(frame: pd.DataFrame, source: str) -> VoteCounts:
    """The counts of the rows that have votes. Raises EvaluationError without the two columns, or without votes."""
    if not {"num_selected", "num_shown"} <= set(frame.columns):
        raise EvaluationError(
            f"{source}: a table of votes has the columns num_selected and num_shown; {it_has(frame.columns)}"
        )
    selected, shown = votes_of(frame, source)
    asked = shown > 0
    if not asked.any():
        raise EvaluationError(f"{source}: no image has votes")
    return VoteCounts(selected[asked], shown[asked])


def adjusted(
    original: StoredSet,
    new: StoredSet,
    *,
    pool: VoteCounts | None = None,
    seed: int = 0,
    cluster: str | None = None,
) -> dict[str, object]:
    """Observed and bias-adjusted gap of the mean model, in points with standard errors, and the adjustment's warnings.

    Over the models that both sets have and the images that have votes. ``pool`` holds the counts that the new set was
    chosen by. ``cluster``: the images' column of groups, for the errors. Raises EvaluationError where votes or common
    models are missing.
    """
    models = [model for model in original.correct.index if model in set(new.correct.index)]
    if not models:
        raise EvaluationError(f"{original.name} and {new.name} have no model in common")
    sets = [_scored(stored, models, cluster) for stored in (original, new)]
    found = adjusted_gap(sets[0], sets[1], pool=pool, replicates=REPLICATES, seed=seed)
    return {
        "models": len(models),
        "method": found.method,
        "observed": float(found.observed[0]),
        "observed_error": float(found.observed_error[0]),
        "adjusted": float(found.adjusted[0]),
        "adjusted_error": float(found.adjusted_error[0]),
        "pool_used": pool is not None,
        "warnings": list(found.warnings),
    }


def _scored(stored: StoredSet, models: list[str], cluster: str | None) -> ScoredSet:
    """The mean model: what share of the models gets each image right."""
    if not has_votes(stored):
        raise EvaluationError(f"{stored.name}: its images have no votes (num_selected, num_shown)")
    selected, shown = votes_of(stored.images, stored.name)
    asked = shown > 0
    share = stored.correct.loc[models].to_numpy(dtype=np.float64)[:, asked].mean(axis=0)
    groups = None if cluster is None else codes_of(image_column(stored, cluster))[asked]
    return ScoredSet(VoteCounts(selected[asked], shown[asked]), share, groups)
