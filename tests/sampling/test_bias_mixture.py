from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.draws import generator
from newtest.errors import SamplingError
from newtest.frequency import VoteCounts, fit, fit_classes
from newtest.frequency.counts import tally
from newtest.frequency.mixture import GRID, MOST_SHRUNK, likelihood, resample_weights, shrinkage


def counts(*pairs: tuple[int, int]) -> VoteCounts:
    return VoteCounts(np.array([k for k, _ in pairs]), np.array([n for _, n in pairs]))


@st.composite
def vote_counts(draw):
    shown = draw(st.lists(st.integers(1, 40), min_size=1, max_size=40))
    return counts(*[(draw(st.integers(0, n)), n) for n in shown])


@settings(deadline=None, max_examples=40)
@given(vote_counts())
def test_the_log_likelihood_never_falls(votes):
    mixture = fit(votes)
    assert np.all(np.diff(mixture.log_likelihoods) >= -1e-12)
    assert mixture.weights.sum() == pytest.approx(1)
    assert np.all(mixture.weights >= 0)
    assert np.allclose(mixture.posterior(votes).sum(axis=1), 1)


def test_a_class_objective_rises_from_the_pooled_weights():
    """Log-posterior of the class weights: sum log marginal + strength * sum pooled log weights."""
    random = generator(0, "classes")
    index = np.repeat([0, 1], 60)
    true = np.where(index == 0, random.beta(8, 2, 120), random.beta(2, 5, 120))
    votes = VoteCounts(random.binomial(12, true), np.full(120, 12))
    found = fit_classes(votes, index, 2, strength=5.0)

    def objective(weights, rows):
        table = likelihood(tally(votes.where(rows)))
        images = tally(votes.where(rows)).images
        return images @ np.log(table @ weights) + 5.0 * found.pooled.weights @ np.log(weights)

    for c in (0, 1):
        assert objective(found.weights[c], index == c) > objective(found.pooled.weights, index == c)
    assert found.weights[0] @ GRID > found.pooled.mean > found.weights[1] @ GRID


def test_the_likelihood_is_binomial():
    table = likelihood(counts((0, 3), (3, 3), (1, 2)))
    assert table[0] == pytest.approx((1 - GRID) ** 3)
    assert table[1] == pytest.approx(GRID**3)
    assert table[2] == pytest.approx(2 * GRID * (1 - GRID))


def test_a_known_distribution_is_found_with_unequal_votes():
    random = generator(0, "unequal")
    true = random.beta(4, 1.5, 30_000)
    shown = random.integers(5, 41, 30_000)
    mixture = fit(VoteCounts(random.binomial(shown, true), shown))
    assert mixture.mean == pytest.approx(true.mean(), abs=0.003)
    assert mixture.variance == pytest.approx(true.var(), abs=0.003)
    # Each point of the grid stands for the frequencies up to the middle between it and the next.
    middles = (GRID[1:] + GRID[:-1]) / 2
    below = np.cumsum(mixture.weights)[:-1]
    assert np.abs(below - (true[:, None] < middles).mean(axis=0)).max() < 0.03


def test_posterior_moments_are_those_of_the_posterior():
    votes = counts((3, 10), (9, 10), (10, 10), (30, 40), (0, 5))
    index = np.array([0, 0, 1, 1, 1])
    mixtures = fit_classes(votes, index, 2)
    posterior = mixtures.posterior(votes, index)
    mean, variance = mixtures.posterior_moments(votes, index)
    assert mean == pytest.approx(posterior @ GRID)
    assert variance == pytest.approx(posterior @ GRID**2 - mean**2)
    members = np.array([posterior[index == c].mean(axis=0) for c in (0, 1)])
    assert mixtures.members == pytest.approx(members)


def test_shrinkage_says_how_much_classes_differ():
    random = generator(0, "shrinkage")
    index = np.repeat(np.arange(400), 50)

    def strength(class_means):
        s = np.clip(random.beta(20 * class_means[index], 20 * (1 - class_means[index])), 0, 1)
        votes = VoteCounts(random.binomial(20, s), np.full(len(s), 20))
        return shrinkage(votes, index, fit(votes))

    # Means uniform on [.3, .7] around .5: variance .04/3; within: about m (1 - m) / 21.
    between = 0.4**2 / 12
    within = 0.25 / 21
    assert strength(random.uniform(0.3, 0.7, 400)) == pytest.approx(
        (between + within) / between - 1, rel=0.25
    )
    assert strength(np.full(400, 0.5)) > 50


def test_one_class_takes_the_pooled_distribution():
    votes = counts(*[(k, 10) for k in range(11)])
    index = np.zeros(11, dtype=int)
    assert shrinkage(votes, index, fit(votes)) == MOST_SHRUNK
    found = fit_classes(votes, index, 3)
    assert found.weights == pytest.approx(np.tile(found.pooled.weights, (3, 1)), abs=1e-4)


@pytest.mark.parametrize(("pair", "mean"), [((10, 10), 1.0), ((0, 10), 0.0)])
def test_all_or_none_selected(pair, mean):
    mixture = fit(counts(*[pair] * 50))
    assert mixture.mean == pytest.approx(mean, abs=0.01)


def test_one_image_with_one_vote():
    mixture = fit(counts((1, 1)))
    assert 0.5 < mixture.mean <= 1
    assert np.isfinite(mixture.posterior(counts((1, 1), (0, 1)))).all()


def test_resampled_weights_spread_around_the_fit():
    random = generator(0, "bootstrap")
    votes = VoteCounts(random.binomial(10, random.beta(2, 2, 2000)), np.full(2000, 10))
    means = resample_weights(votes, generator(1, "bootstrap"), 50) @ GRID
    assert means.mean() == pytest.approx(fit(votes).mean, abs=0.005)
    assert means.std() == pytest.approx(np.std(votes.frequency) / np.sqrt(2000), rel=0.4)


@pytest.mark.parametrize(
    ("selected", "shown", "message"),
    [
        ([1], [0], "row 0"),
        ([0, 5], [3, 4], "row 1"),
        ([-1], [3], "cannot be"),
        ([], [], "at least one image"),
        ([1, 2], [3], "one pair of counts"),
        ([0.5], [3], "whole number"),
    ],
)
def test_counts_that_cannot_be(selected, shown, message):
    with pytest.raises(SamplingError, match=message):
        VoteCounts(np.array(selected), np.array(shown))
