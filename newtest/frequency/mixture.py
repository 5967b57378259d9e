"""How the true selection frequency is spread over a population, estimated from vote counts.

An image that k of n people selected has a true frequency s that n votes show only with noise: k ~ Binomial(n, s).
The distribution of s in a population is estimated by the nonparametric maximum-likelihood mixture (Laird 1978):
free weights on a fixed grid of frequencies, by EM. The likelihood is concave in the weights, EM never lowers it, and
images may have unequal numbers of votes. EM starts from the grid's even weights (the arcsine distribution) and stops
early: at convergence the maximum is a few spikes, which fit no better and move from sample to sample.

Classes differ. A class's own weights are the maximum a posteriori under a Dirichlet prior centred on the pooled
weights: as if ``strength`` more images of the class had been seen, spread like the pool of all classes. The strength is
estimated by the method of moments from how much the class means differ beyond their sampling noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, xlog1py, xlogy

from newtest.frequency.counts import DistinctCounts, VoteCounts, log_choose, tally

__all__ = ["ClassMixtures", "Mixture", "fit", "fit_classes", "likelihood", "resample_weights", "shrinkage"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

POINTS = 65
POOLED_ITERATIONS = 600
CLASS_ITERATIONS = 15
"""From the pooled weights; 150 instead of 15 change no drawn mean by more than the draw itself does."""
RESAMPLE_ITERATIONS = 40
TRACE = 1e-6
TOLERANCE = 1e-8
"""EM stops when an iteration raises the log-likelihood by less than this an image."""
MOST_SHRUNK = 1e6
"""The strength when class means differ by no more than noise: every class gets the pooled weights."""
CLASSES_AT_ONCE = 256
IMAGES_AT_ONCE = 1 << 15


def _grid() -> Floats:
    """0 .. 1 at even steps of arcsin(sqrt(s)): dense near the ends, where a binomial is narrow."""
    points: Floats = np.sin(np.linspace(0.0, np.pi / 2, POINTS)) ** 2
    points[-1] = 1.0
    return points


GRID = _grid()


@dataclass(frozen=True)
class Mixture:
    """A distribution of true frequencies: ``weights`` (G,) on ``GRID``, adding up to 1.

    ``log_likelihoods`` holds the mean log-likelihood an image before each EM iteration; it never falls.
    """

    weights: Floats
    log_likelihoods: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The mean true frequency."""
        return float(self.weights @ GRID)

    @property
    def variance(self) -> float:
        """The variance of the true frequency."""
        return float(self.weights @ GRID**2) - self.mean**2

    def posterior(self, counts: DistinctCounts | VoteCounts) -> Floats:
        """p(s | k, n) for each pair of counts: shape (P, G), rows add up to 1."""
        return _posterior(likelihood(counts), self.weights)


@dataclass(frozen=True)
class ClassMixtures:
    """One distribution per class: ``weights`` (C, G), shrunk with ``strength`` towards ``pooled``.

    ``members`` (C, G) is the mean posterior of a class's own images: where the weights speak of the population
    that the class's images come from, this speaks of those very images.
    """

    pooled: Mixture
    weights: Floats
    members: Floats
    strength: float

    def posterior(self, counts: VoteCounts, class_index: Ints) -> Floats:
        """p(s | k, n, class) for each image: shape (N, G)."""
        found = tally(counts)
        return _posterior(likelihood(found)[found.pair_of], self.weights[class_index])

    def mean_posterior(self, counts: VoteCounts, class_index: Ints) -> Floats:
        """The distribution of true frequencies among these images: shape (G,)."""
        pieces = range(0, len(counts), IMAGES_AT_ONCE)
        rows = [slice(start, start + IMAGES_AT_ONCE) for start in pieces]
        total: Floats = np.sum(
            [self.posterior(counts.where(r), class_index[r]).sum(axis=0) for r in rows], axis=0
        )
        return total / len(counts)

    def posterior_moments(self, counts: VoteCounts, class_index: Ints) -> tuple[Floats, Floats]:
        """Mean and variance of the true frequency of each image given its counts: two arrays (N,)."""
        found = tally(counts)
        table = likelihood(found)
        mean, square = np.empty(len(counts)), np.empty(len(counts))
        for start in range(0, len(counts), IMAGES_AT_ONCE):
            rows = slice(start, start + IMAGES_AT_ONCE)
            posterior = _posterior(table[found.pair_of[rows]], self.weights[class_index[rows]])
            mean[rows], square[rows] = posterior @ GRID, posterior @ GRID**2
        return mean, np.maximum(square - mean**2, 0.0)


def likelihood(counts: DistinctCounts | VoteCounts, alike: float = 0.0) -> Floats:
    """Binomial(k; n, s) for each pair of counts and each s of ``GRID``: shape (P, G).

    ``alike`` is the correlation of two votes on an image beyond its s: with it the votes are beta-binomial, for the
    question what the votes would say if they scattered more (Skellam 1948).
    """
    k, n = counts.num_selected[:, None].astype(np.float64), counts.num_shown[:, None].astype(np.float64)
    if not alike:
        table: Floats = np.exp(log_choose(n, k) + xlogy(k, GRID) + xlog1py(n - k, -GRID))
        return table
    inside = np.clip(GRID, 1e-6, 1 - 1e-6) * (1 - alike) / alike
    rest = (1 - alike) / alike - inside
    scattered: Floats = np.exp(log_choose(n, k) + betaln(k + inside, n - k + rest) - betaln(inside, rest))
    return scattered


def fit(counts: VoteCounts, *, iterations: int = POOLED_ITERATIONS, alike: float = 0.0) -> Mixture:
    """The distribution of true frequencies of one population, by EM; ``alike`` as in ``likelihood``."""
    found = tally(counts)
    table, images = likelihood(found, alike), found.images.astype(np.float64)
    weights, history = np.full(POINTS, 1 / POINTS), []
    for _ in range(iterations):
        marginal = table @ weights
        history.append(float(images @ np.log(marginal)) / len(counts))
        if len(history) > 1 and history[-1] - history[-2] < TOLERANCE:
            break
        weights = weights * ((images / marginal) @ table) / len(counts)
    return Mixture(weights / weights.sum(), tuple(history))


def shrinkage(counts: VoteCounts, class_index: Ints, pooled: Mixture) -> float:
    """How many pooled images a class's own images are weighed against, by the method of moments.

    Under a Dirichlet of strength a the mean frequency of a class has variance var(s) / (a + 1) between classes, so
    a = var(s) / tau^2 - 1, where tau^2 is the variance of the observed class means less their sampling variance.
    At least 1; ``MOST_SHRUNK`` when tau^2 is not positive or no two classes can be compared.
    """
    frequency = counts.frequency
    size = np.bincount(class_index).astype(np.float64)
    total = np.bincount(class_index, frequency)
    mean = total / np.maximum(size, 1)
    squares = np.bincount(class_index, (frequency - mean[class_index]) ** 2)
    usable = size >= 2
    if usable.sum() < 2:
        return MOST_SHRUNK
    sampling = squares[usable] / (size[usable] - 1) / size[usable]
    between = float(mean[usable].var(ddof=1) - sampling.mean())
    if between <= 0:
        return MOST_SHRUNK
    return float(np.clip(pooled.variance / between - 1, 1.0, MOST_SHRUNK))


def fit_classes(
    counts: VoteCounts, class_index: Ints, num_classes: int, *, strength: float | None = None
) -> ClassMixtures:
    """One distribution per class, shrunk towards the pooled one; classes without images get the pooled one.

    ``class_index`` (N,) points into 0 .. num_classes - 1. ``strength`` None estimates it (see ``shrinkage``).
    """
    pooled = fit(counts)
    if strength is None:
        strength = shrinkage(counts, class_index, pooled)
    found = tally(counts)
    table = likelihood(found)
    pairs = found.images.size
    weights, members = np.empty((num_classes, POINTS)), np.empty((num_classes, POINTS))
    order = np.argsort(class_index, kind="stable")
    ends = np.searchsorted(class_index[order], np.arange(num_classes + 1))
    for start in range(0, num_classes, CLASSES_AT_ONCE):
        stop = min(start + CLASSES_AT_ONCE, num_classes)
        rows = order[ends[start] : ends[stop]]
        cells = (class_index[rows] - start) * pairs + found.pair_of[rows]
        images = np.bincount(cells, minlength=(stop - start) * pairs).reshape(stop - start, pairs)
        weights[start:stop], members[start:stop] = _shrunk_weights(
            images.astype(np.float64), table, strength * pooled.weights
        )
    return ClassMixtures(pooled, weights, members, strength)


def resample_weights(counts: VoteCounts, random: np.random.Generator, replicates: int) -> Floats:
    """Weights (replicates, G) of the population fitted to bootstrap resamples of its images, from the fit to all.

    A trace of that fit stays in each: where an image has hundreds of votes and a resample lacks it, it would be
    impossible there.
    """
    found = tally(counts)
    images = random.multinomial(len(counts), found.images / len(counts), size=replicates).astype(np.float64)
    table = likelihood(found)
    pooled = fit(counts).weights
    weights = np.tile(pooled, (replicates, 1))
    for _ in range(RESAMPLE_ITERATIONS):
        weights *= _responsibilities(images, table, weights) / len(counts)
    return (1 - TRACE) * weights + TRACE * pooled


def _shrunk_weights(images: Floats, table: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """EM for the posterior mode of each class's weights; ``images`` (C, P), ``prior`` (G,) pseudo-images.

    Gives the weights and the mean posterior of the images under them, both (C, G).
    """
    own = images.sum(axis=1, keepdims=True)
    weights = np.tile(prior / prior.sum(), (len(images), 1))
    for _ in range(CLASS_ITERATIONS):
        weights = (weights * _responsibilities(images, table, weights) + prior) / (own + prior.sum())
    expected = weights * _responsibilities(images, table, weights)
    return weights, np.where(own > 0, expected / np.maximum(own, 1), weights)


def _responsibilities(images: Floats, table: Floats, weights: Floats) -> Floats:
    """Sum over images of likelihood / marginal, (C, G): times the weights, the expected images at each s."""
    marginal = weights @ table.T
    expected: Floats = (images / np.maximum(marginal, np.finfo(np.float64).tiny)) @ table
    return expected


def _posterior(table: Floats, weights: Floats) -> Floats:
    joint = table * weights
    posterior: Floats = joint / joint.sum(axis=-1, keepdims=True)
    return posterior
