"""How much of an accuracy gap remains once the selection frequencies of both sets are made equal.

For sets that exist already. The adjusted accuracy on the replica is what a model would score there if the replica's
true frequencies were spread as the original's; the adjusted gap is the original's accuracy less that (Engstrom et al.
2020). Three estimators of it:

``naive``
    reweigh the replica's images so that the histogram of k/n equals the original's. Biased like the published
    sampling rule: k/n is not the true frequency.
``jackknife``
    the naive estimate at n and at n - d votes, extrapolated to infinitely many: the delete-d jackknife removes what
    falls as 1/n.
``mixture``
    the distributions of true frequency are estimated from the counts (``mixture``), and images weighted by their
    counts so that the mixture of their posteriors matches the original's distribution (``weights``).

All of them want votes that had no part in choosing the replica. If the replica was drawn by the same votes, its counts
are a selected sample, which no binomial mixture describes: then give the counts of the pool it was drawn from (for
the mixture only).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from newtest.draws import bootstrap_rows, generator
from newtest.errors import SamplingError
from newtest.frequency.chosen import misfit
from newtest.frequency.counts import VoteCounts, log_choose, tally
from newtest.frequency.mixture import GRID, fit
from newtest.frequency.weights import GROUPS, group_of, solve

__all__ = ["AdjustedGap", "ScoredSet", "adjusted_gap", "delete_d_jackknife", "matched_accuracy"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Method = Literal["naive", "jackknife", "mixture"]
Estimator = Callable[["ScoredSet", "ScoredSet"], Floats]

UNEQUAL_BINS = 10
"""Bins of k/n for sets whose images have unequal numbers of votes; with equal numbers every k is a bin of its own."""
MOST_WEIGHT = 1000.0
FEW_EFFECTIVE = 200.0
FEW_VOTES = 5
CERTAIN = 0.001
NO_POOL = (
    "the adjusted gap holds if the votes had no part in choosing the new set; if they chose it, give the counts of the "
    "pool it was drawn from"
)
OUT_OF_REACH = 0.005
"""A mean frequency that is missed by more counts as out of reach."""


@dataclass(frozen=True)
class ScoredSet:
    """A set with votes and the correctness of models: ``correct`` is (N,) or (N, models), each value in [0, 1].

    Raises SamplingError when the shapes or values do not fit.
    """

    counts: VoteCounts
    correct: Floats
    clusters: Ints | None = None
    """The group of each image, for the bootstrap; None: every image is drawn by itself."""

    def __post_init__(self) -> None:
        correct = np.asarray(self.correct, dtype=np.float64)
        if correct.ndim == 1:
            correct = correct[:, None]
        if correct.ndim != 2 or len(correct) != len(self.counts):
            raise SamplingError(
                f"correctness must have one row per image: {len(self.counts)} images, shape {correct.shape}"
            )
        if not np.all((correct >= 0) & (correct <= 1)):
            raise SamplingError("correctness lies between 0 (wrong) and 1 (right), without gaps")
        object.__setattr__(self, "correct", correct)

    def where(self, rows: Ints) -> ScoredSet:
        """Some of the images, or some of them several times."""
        return ScoredSet(self.counts.where(rows), self.correct[rows])


@dataclass(frozen=True)
class AdjustedGap:
    """Gaps in accuracy points (original less replica), arrays of shape (models,).

    ``observed`` is the plain difference, ``adjusted`` what is left at equal frequencies, each with its standard error
    by the bootstrap over images of both sets. ``warnings`` says where not to trust it.
    """

    method: Method
    observed: Floats
    adjusted: Floats
    observed_error: Floats
    adjusted_error: Floats
    warnings: tuple[str, ...]


def adjusted_gap(
    original: ScoredSet,
    replica: ScoredSet,
    *,
    method: Method = "mixture",
    pool: VoteCounts | None = None,
    deleted: float = 0.5,
    replicates: int = 100,
    seed: int = 0,
    fresh: bool | None = None,
) -> AdjustedGap:
    """The gap between two sets at equal selection frequencies; see the module's docstring for the methods.

    ``fresh``: whether the replica's votes had no part in choosing it. False without ``pool`` is warned of, and so is
    not saying (None), since counts that were matched look like fresh ones. ``pool``: counts of the pool that the
    replica was drawn from by these same votes (mixture only). ``deleted``: the share d/n of votes that the jackknife
    leaves out. Raises SamplingError for unusable arguments.
    """
    if original.correct.shape[1] != replica.correct.shape[1]:
        raise SamplingError(
            f"the sets must be scored by the same models: {original.correct.shape[1]} and {replica.correct.shape[1]}"
        )
    if pool is not None and method != "mixture":
        raise SamplingError(f"the method {method} cannot use the pool's counts; use the mixture")
    if not 0 < deleted < 1:
        raise SamplingError(f"the share of deleted votes lies between 0 and 1, got {deleted}")
    if method not in get_args(Method):
        raise SamplingError(f"there is no method {method!r}; known are {', '.join(get_args(Method))}")
    warnings = _chosen(replica.counts, pool, fresh=fresh)
    estimate = _estimator(method, pool, deleted, warnings)
    observed = _accuracy(original) - _accuracy(replica)
    adjusted = _accuracy(original) - estimate(original, replica)
    warnings += _few(original, replica)
    random = generator(seed, "adjusted-gap", method)
    errors, failed = _bootstrap(original, replica, _estimator(method, pool, deleted, []), replicates, random)
    if failed:
        warnings.append(
            f"{failed} of {replicates} resamples of the images allow no estimate; errors are of the rest"
        )
    warnings = list(dict.fromkeys(warnings))
    return AdjustedGap(method, observed, adjusted, errors[0], errors[1], tuple(warnings))


def _bootstrap(
    original: ScoredSet, replica: ScoredSet, estimate: Estimator, replicates: int, random: np.random.Generator
) -> tuple[Floats, int]:
    """Standard errors of the observed and the adjusted gap, (2, models), NaN below two estimates; and the failures."""
    resampled = []
    draws = [(s, bootstrap_rows(len(s.counts), s.clusters)) for s in (original, replica)]
    for _ in range(replicates):
        a, b = (s.where(rows(random)) for s, rows in draws)
        try:
            resampled.append((_accuracy(a) - _accuracy(b), _accuracy(a) - estimate(a, b)))
        except SamplingError:  # a resample of a small set can lack what the method needs
            continue
    failed = replicates - len(resampled)
    if len(resampled) < 2:
        return np.full((2, original.correct.shape[1]), np.nan), failed
    errors: Floats = np.array(resampled).std(axis=0, ddof=1)
    return errors, failed


def delete_d_jackknife(at_n: Floats, at_fewer: Floats, ratio: float) -> Floats:
    """(n theta_n - (n - d) mean theta_{n-d}) / d, written with ``ratio`` = (n - d) / n.

    Exact for an estimator whose bias is b / n; leaves terms of order 1 / n^2.
    """
    return (at_n - ratio * at_fewer) / (1 - ratio)


def _estimator(method: Method, pool: VoteCounts | None, deleted: float, warnings: list[str]) -> Estimator:
    """The function that gives the adjusted accuracy on the replica in points; it appends to ``warnings``."""
    if method == "naive":
        return lambda original, replica: _naive(original.counts, replica, warnings)
    if method == "jackknife":
        return lambda original, replica: _jackknife(original.counts, replica, deleted, warnings)
    return lambda original, replica: matched_accuracy(original.counts, replica, pool, warnings)


def _naive(original: VoteCounts, replica: ScoredSet, warnings: list[str], deleted: float = 0.0) -> Floats:
    """The replica's accuracy reweighed by the histograms of k/n, after a share of the votes is deleted.

    The mean over all ways to delete votes is taken within the histograms: each image counts in every bin with the
    hypergeometric probability that its votes fall there. So nothing is drawn at random.
    """
    equal = len(np.unique(np.concatenate([original.num_shown, replica.counts.num_shown]))) == 1
    theirs = _histogram(original, np.ones((len(original), 1)), deleted, equal=equal)[:, 0] / len(original)
    size = _histogram(replica.counts, np.ones((len(replica.counts), 1)), deleted, equal=equal)[:, 0]
    right = _histogram(replica.counts, replica.correct, deleted, equal=equal)
    here = size > 0
    missed = float(theirs[~here].sum())
    if missed > 0:
        warnings.append(
            f"{100 * missed:.1f} % of the original lies at frequencies that the replica lacks; they are left out"
        )
    if missed > 1 - 1e-9:
        raise SamplingError("the sets share no frequency: there is nothing to reweigh")
    accuracy: Floats = 100 * theirs[here] @ (right[here] / size[here, None]) / (1 - missed)
    return accuracy


def _jackknife(original: VoteCounts, replica: ScoredSet, deleted: float, warnings: list[str]) -> Floats:
    shown = np.concatenate([original.num_shown, replica.counts.num_shown])
    fewer = _fewer(shown, deleted)
    # With unequal votes n stands for the harmonic mean: the bias goes with the mean of 1 / n.
    ratio = float(np.mean(1 / shown) / np.mean(1 / fewer))
    if ratio >= 1:
        raise SamplingError("the jackknife leaves votes out: images with at least 2 votes are needed")
    at_n = _naive(original, replica, warnings)
    return delete_d_jackknife(at_n, _naive(original, replica, warnings, deleted), ratio)


def matched_accuracy(
    original: VoteCounts, replica: ScoredSet, pool: VoteCounts | None, warnings: list[str]
) -> Floats:
    """The mixture's estimate: accuracy on the replica in points, (models,), if its true frequencies were spread as the
    original's. Appends to ``warnings``.
    """
    target, found = fit(original), tally(replica.counts)
    posterior = fit(replica.counts if pool is None else pool).posterior(found)
    group = group_of(posterior @ GRID)
    images = np.bincount(group, found.images, minlength=GROUPS).astype(np.float64)
    means = np.zeros((GROUPS, len(GRID)))
    np.add.at(means, group, posterior * found.images[:, None])
    means /= np.maximum(images, 1)[:, None]
    # No group is in short supply here: an image may weigh as much as MOST_WEIGHT average ones.
    solution = solve(target.weights[None], means[None], images[None], np.array([images.sum() / MOST_WEIGHT]))
    weight = solution.images[0] / solution.images[0].sum() / np.maximum(images, 1)
    weights = weight[group[found.pair_of]]
    off = abs(target.mean - float(solution.mean[0]))
    if off > OUT_OF_REACH:
        warnings.append(
            f"no weights reach the original's frequencies: the mean stays off by {100 * off:.1f} points of frequency"
        )
    effective = 1 / float(np.sum(weights**2))
    if effective < FEW_EFFECTIVE:
        warnings.append(
            f"the weights leave as much as {effective:.0f} equally weighted images of the replica"
        )
    accuracy: Floats = 100 * weights @ replica.correct
    return accuracy


def _histogram(counts: VoteCounts, values: Floats, deleted: float, *, equal: bool) -> Floats:
    """Sums of ``values`` (N, V) over bins of k/n, of the votes that are not deleted: shape (bins, V).

    With ``equal`` numbers of votes every k is a bin of its own.
    """
    found = tally(counts)
    fewer = _fewer(found.num_shown, deleted)
    sums = np.zeros((found.images.size, values.shape[1]))
    np.add.at(sums, found.pair_of, values)
    kept = np.arange(int(fewer.max()) + 1)
    chance = _hypergeometric(kept, found.num_selected[:, None], found.num_shown[:, None], fewer[:, None])
    bins = len(kept) if equal else UNEQUAL_BINS
    places = np.minimum(kept * (1 if equal else bins) // (1 if equal else fewer[:, None]), bins - 1)
    result = np.zeros((bins, values.shape[1]))
    np.add.at(result, np.broadcast_to(places, chance.shape), chance[:, :, None] * sums[:, None, :])
    return result


def _hypergeometric(kept: Ints, selected: Ints, shown: Ints, drawn: Ints) -> Floats:
    """The chance that ``drawn`` of ``shown`` votes hold ``kept`` of the ``selected`` ones."""
    logarithm = (
        log_choose(selected, kept) + log_choose(shown - selected, drawn - kept) - log_choose(shown, drawn)
    )
    chance: Floats = np.exp(logarithm)
    return chance


def _fewer(num_shown: Ints, deleted: float) -> Ints:
    """Votes left when a share of them is deleted: at least one."""
    fewer: Ints = np.maximum(np.rint(num_shown * (1 - deleted)).astype(np.int64), 1)
    return fewer


def _accuracy(scored: ScoredSet) -> Floats:
    accuracy: Floats = 100 * scored.correct.mean(axis=0)
    return accuracy


def _chosen(replica: VoteCounts, pool: VoteCounts | None, *, fresh: bool | None) -> list[str]:
    """The warning about votes that may have chosen the replica."""
    if pool is not None:
        return []
    if fresh is False or misfit(replica) < CERTAIN:
        why = "" if fresh is False else " (no population shows counts like the replica's: they are cut off)"
        return [
            f"the votes are those that chose the replica{why}: its counts are a selected sample, and the adjusted gap "
            "is wrong; give the counts of the pool it was drawn from, or votes of other people"
        ]
    return [] if fresh else [NO_POOL]


def _few(original: ScoredSet, replica: ScoredSet) -> list[str]:
    warnings = []
    for name, scored in (("original", original), ("replica", replica)):
        votes = float(np.median(scored.counts.num_shown))
        if votes < FEW_VOTES:
            warnings.append(
                f"the {name} has {votes:g} votes per image: too few to tell true frequencies apart"
            )
        if len(scored.counts) < FEW_EFFECTIVE:
            warnings.append(f"the {name} has {len(scored.counts)} images: its distribution is hardly known")
    return warnings
