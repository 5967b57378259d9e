from __future__ import annotations

import numpy as np
import pytest

from newtest.draws import generator
from newtest.errors import SamplingError
from newtest.frequency import ScoredSet, VoteCounts, adjusted_gap, delete_d_jackknife
from newtest.frequency.gap import _histogram


def scored(seed: int, images: int, shape=(3.0, 1.5), votes=10, models: int = 2) -> ScoredSet:
    random = generator(seed, "scored")
    true = random.beta(*shape, size=images)
    shown = np.full(images, votes) if np.ndim(votes) == 0 else random.integers(*votes, size=images)
    correct = (random.random((images, models)) < (0.1 + 0.8 * true)[:, None]).astype(float)
    return ScoredSet(VoteCounts(random.binomial(shown, true), shown), correct)


@pytest.mark.parametrize(("n", "d"), [(10, 5), (10, 1), (7, 3)])
def test_the_jackknife_is_exact_for_a_bias_of_order_one_over_n(n, d):
    """p^2 estimated by (k/n)^2 has bias p(1-p)/n. Its mean over all ways to delete d votes, and the formula, give the
    unbiased k(k-1) / (n(n-1)), whatever d is."""
    k = np.arange(n + 1)
    counts = VoteCounts(k, np.full(n + 1, n))
    # The expectation over subsets of m = n - d votes of (k'/m)^2, by the same hypergeometric histogram.
    m = n - d
    spread = _histogram(counts, np.eye(n + 1), d / n, equal=True)
    at_fewer = (np.arange(m + 1) / m) ** 2 @ spread
    jackknifed = delete_d_jackknife((k / n) ** 2, at_fewer, m / n)
    assert jackknifed == pytest.approx(k * (k - 1) / (n * (n - 1)))


def test_the_jackknife_leaves_the_second_order():
    """theta_n = theta + b / n + c / n^2 is left with -c / (n (n - d))."""
    theta, b, c, n, d = 0.5, 1.0, 3.0, 10, 4

    def at(n: float) -> float:
        return theta + b / n + c / n**2

    jackknifed = delete_d_jackknife(np.array(at(n)), np.array(at(n - d)), (n - d) / n)
    assert float(jackknifed) == pytest.approx(theta - c / (n * (n - d)))


@pytest.mark.parametrize("method", ["naive", "jackknife", "mixture"])
@pytest.mark.parametrize("votes", [10, (5, 41)])
def test_equal_populations_have_no_gap(method, votes):
    gap = adjusted_gap(
        scored(0, 6000, votes=votes), scored(1, 6000, votes=votes), method=method, replicates=20, fresh=True
    )
    assert gap.adjusted.shape == gap.adjusted_error.shape == (2,)
    assert np.all(np.abs(gap.adjusted) < 4 * gap.adjusted_error + 0.1)
    assert np.all(np.abs(gap.observed) < 4 * gap.observed_error)
    assert gap.warnings == ()


def test_a_real_gap_stays():
    """Accuracy 10 points lower at every frequency: the mixture must not explain it away."""
    original, replica = scored(0, 8000), scored(1, 8000, shape=(2.0, 2.0))
    random = generator(0, "worse")
    worse = ScoredSet(replica.counts, replica.correct * (random.random(replica.correct.shape) > 0.15))
    gap = adjusted_gap(original, worse, replicates=20)
    expected = 15 * (0.1 + 0.8 * 2 / 3)
    assert gap.adjusted == pytest.approx(expected, abs=4 * gap.adjusted_error.max())


def test_the_same_seed_gives_the_same_bytes():
    first, second = (adjusted_gap(scored(0, 500), scored(1, 500), replicates=5, seed=3) for _ in range(2))
    assert first.adjusted_error.tobytes() == second.adjusted_error.tobytes()


def test_warnings_where_it_fails():
    near_one = ScoredSet(VoteCounts(np.full(300, 9), np.full(300, 10)), np.ones(300))
    low = ScoredSet(VoteCounts(np.arange(300) % 4, np.full(300, 10)), np.zeros(300))
    disjoint = adjusted_gap(near_one, low, replicates=2).warnings
    assert any("no weights reach" in w for w in disjoint)
    with pytest.raises(SamplingError, match="share no frequency"):
        adjusted_gap(near_one, low, method="naive")
    few = adjusted_gap(scored(0, 50, votes=3), scored(1, 50, votes=3), replicates=2).warnings
    assert any("3 votes" in w for w in few)
    assert any("50 images" in w for w in few)
    part = adjusted_gap(scored(0, 50, models=1), low, method="naive", replicates=0).warnings
    assert any("left out" in w for w in part)


def test_degenerate_sets():
    sure = ScoredSet(VoteCounts(np.full(5, 4), np.full(5, 4)), np.ones(5))
    for method in ("naive", "jackknife", "mixture"):
        gap = adjusted_gap(sure, sure, method=method, replicates=0)
        assert gap.adjusted == pytest.approx([0.0])
        assert np.isnan(gap.adjusted_error).all()
    one = ScoredSet(VoteCounts(np.array([1]), np.array([1])), np.array([1.0]))
    assert adjusted_gap(one, one, method="mixture", replicates=0).adjusted == pytest.approx([0.0])
    with pytest.raises(SamplingError, match="at least 2 votes"):
        adjusted_gap(one, one, method="jackknife", replicates=0)


def test_resamples_that_allow_no_estimate_are_counted():
    a = ScoredSet(VoteCounts(np.array([0, 2]), np.array([2, 2])), np.array([0.0, 1.0]))
    gap = adjusted_gap(a, a, method="naive", replicates=40)
    assert any("allow no estimate" in warning for warning in gap.warnings)
    assert np.isfinite(gap.adjusted_error).all()


def test_arguments_that_cannot_be():
    a = scored(0, 20)
    with pytest.raises(SamplingError, match="same models"):
        adjusted_gap(a, scored(0, 20, models=3))
    with pytest.raises(SamplingError, match="no method 'jacknife'"):
        adjusted_gap(a, a, method="jacknife")
    with pytest.raises(SamplingError, match="pool"):
        adjusted_gap(a, a, method="naive", pool=a.counts)
    with pytest.raises(SamplingError, match="deleted"):
        adjusted_gap(a, a, method="jackknife", deleted=1.0)
    with pytest.raises(SamplingError, match="one row per image"):
        ScoredSet(a.counts, np.ones(3))
    with pytest.raises(SamplingError, match="between 0"):
        ScoredSet(a.counts, np.full(20, 2.0))
