"""The closed form: original s ~ Beta(4, 1.5), pool s ~ Beta(2, 2), P(correct | s) = .15 + .8 s. The true gap is 0."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, betabinom

from newtest.draws import generator
from newtest.frequency import ScoredSet, VoteCounts, adjusted_gap, fit, solve
from newtest.frequency.counts import tally
from newtest.frequency.mixture import GRID
from newtest.sampling.histogram import bin_of

ORIGINAL, POOL = (4.0, 1.5), (2.0, 2.0)
EDGES = (0.2, 0.4, 0.6, 0.8)


def accuracy(frequency):
    return 100 * (0.15 + 0.8 * frequency)


def false_gap_of_bins(votes: int, edges: tuple[float, ...] | None) -> float:
    """Exactly: the pool drawn so that each bin of k/n (each k, without edges) has the original's share."""
    k = np.arange(votes + 1)
    original, pool = betabinom(votes, *ORIGINAL).pmf(k), betabinom(votes, *POOL).pmf(k)
    posterior_mean = (POOL[0] + k) / (sum(POOL) + votes)
    bins = k if edges is None else bin_of(k, np.full_like(k, votes), edges)
    drawn = sum(
        original[bins == b].sum() * np.average(posterior_mean[bins == b], weights=pool[bins == b])
        for b in set(bins)
    )
    return accuracy(beta(*ORIGINAL).mean()) - accuracy(drawn)


@pytest.mark.parametrize(("votes", "points"), [(10, 5.19), (20, 3.03), (40, 1.65)])
def test_exact_matching_on_counts_leaves_the_known_false_gap(votes, points):
    assert false_gap_of_bins(votes, None) == pytest.approx(points, abs=0.005)


@pytest.mark.parametrize(("votes", "points"), [(10, 6.19), (20, 4.20), (40, 2.93)])
def test_the_published_five_bins_leave_more(votes, points):
    assert false_gap_of_bins(votes, EDGES) == pytest.approx(points, abs=0.005)


def draw_counts(name: str, shape: tuple[float, float], images: int, votes, seed: int):
    random = generator(seed, "closed-form", name)
    true = random.beta(*shape, size=images)
    shown = np.broadcast_to(votes, (images,)) if np.ndim(votes) == 0 else random.choice(votes, size=images)
    return VoteCounts(random.binomial(shown, true), shown), true


@pytest.mark.parametrize("votes", [10, 20, 40, (5, 10, 40)])
def test_the_correction_leaves_at_most_half_a_point(votes):
    gaps = []
    for seed in range(4):
        original, original_true = draw_counts("original", ORIGINAL, 10_000, votes, seed)
        pool, pool_true = draw_counts("pool", POOL, 100_000, votes, seed)
        found = tally(pool)
        posterior = fit(pool).posterior(found)
        solution = solve(
            fit(original).weights[None],
            posterior[None],
            found.images[None].astype(float),
            np.array([10_000.0]),
        )
        share = solution.images[0] / found.images
        drawn = np.average(pool_true, weights=share[found.pair_of])
        gaps.append(accuracy(original_true.mean()) - accuracy(drawn))
        assert solution.mean[0] == pytest.approx(posterior @ GRID @ solution.images[0] / 10_000)
    assert abs(np.mean(gaps)) < 0.5
    assert np.max(np.abs(gaps)) < 1.0


def test_adjusted_gaps_on_a_replica_with_fresh_votes():
    """The replica: the pool matched on 10 votes by k. Judged by 10 fresh votes: naive > jackknife > mixture ~ 0."""
    random = generator(0, "fresh")
    original, original_true = draw_counts("original", ORIGINAL, 20_000, 10, 0)
    pool, pool_true = draw_counts("pool", POOL, 400_000, 10, 0)
    wanted = np.bincount(original.num_selected, minlength=11)
    chosen = np.concatenate(
        [
            random.choice(np.flatnonzero(pool.num_selected == k), min(wanted[k], 15_000), replace=False)
            for k in range(11)
        ]
    )
    true = pool_true[chosen]
    fresh = VoteCounts(random.binomial(10, true), np.full(len(true), 10))
    sets = (
        ScoredSet(original, accuracy(original_true) / 100),
        ScoredSet(fresh, accuracy(true) / 100),
    )
    gap = {m: adjusted_gap(*sets, method=m, replicates=2) for m in ("naive", "jackknife", "mixture")}
    assert gap["mixture"].observed[0] == pytest.approx(5.19, abs=0.5)
    assert abs(gap["mixture"].adjusted[0]) < 0.5
    assert abs(gap["jackknife"].adjusted[0]) < 0.7 * gap["naive"].adjusted[0]
    assert gap["naive"].adjusted[0] > 1.5


def test_the_votes_that_chose_the_replica_need_the_pool():
    """By the votes that chose them observed frequencies agree; only the pool's counts show what is hidden."""
    original, original_true = draw_counts("original", ORIGINAL, 20_000, 10, 1)
    pool, pool_true = draw_counts("pool", POOL, 400_000, 10, 1)
    random = generator(1, "chosen")
    wanted = np.bincount(original.num_selected, minlength=11)
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(pool.num_selected == k), wanted[k], replace=False) for k in range(11)]
    )
    sets = (
        ScoredSet(original, accuracy(original_true) / 100),
        ScoredSet(pool.where(chosen), accuracy(pool_true[chosen]) / 100),
    )
    fooled = adjusted_gap(*sets, replicates=2)
    told = adjusted_gap(*sets, pool=pool, replicates=2)
    assert fooled.adjusted[0] > 4
    assert abs(told.adjusted[0]) < 0.5
