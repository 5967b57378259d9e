from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from newtest.draws import generator
from newtest.frequency import round_systematically, solve
from newtest.frequency.mixture import GRID
from newtest.frequency.weights import EVEN, MEAN, group_of, solve_together


def problem(seed: int, classes: int = 3, groups: int = 6):
    random = generator(seed, "problem")
    target = random.dirichlet(np.ones(len(GRID)), size=classes)
    posteriors = random.dirichlet(np.full(len(GRID), 0.3), size=(classes, groups))
    available = random.integers(0, 12, size=(classes, groups)).astype(float)
    return target, posteriors, available


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_weights_are_not_negative_within_supply_and_add_up(seed, wanted):
    target, posteriors, available = problem(seed)
    solution = solve(target, posteriors, available, np.full(3, float(wanted)))
    assert np.all(solution.images >= 0)
    assert np.all(solution.images <= available + 1e-6)
    assert solution.images.sum(axis=1) == pytest.approx(np.minimum(wanted, available.sum(axis=1)), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_the_one_an_active_set_method_finds(seed):
    target, posteriors, available = problem(seed, groups=8)
    available += 1
    solution = solve(target, posteriors, available, np.full(3, 7.0))
    width = np.sqrt(np.gradient(GRID))
    for c in range(3):
        share = available[c] / available[c].sum()
        rows = np.vstack(
            [
                (np.cumsum(posteriors[c], axis=1) * width).T / 7,
                np.sqrt(MEAN) * (posteriors[c] @ GRID)[None] / 7,
                np.sqrt(EVEN) * np.diag(1 / np.sqrt(share)) / 7,
                1e3 * np.ones((1, 8)),
            ]
        )
        goal = np.concatenate(
            [
                np.cumsum(target[c]) * width,
                [np.sqrt(MEAN) * target[c] @ GRID],
                np.sqrt(EVEN) * np.sqrt(share),
                [7e3],
            ]
        )
        best = lsq_linear(rows, goal, bounds=(0, available[c]), method="bvls", tol=1e-14).x
        assert solution.images[c] == pytest.approx(best, abs=0.02)


def test_a_reachable_target_is_reached():
    random = generator(0, "reachable")
    posteriors = random.dirichlet(np.full(len(GRID), 0.3), size=(1, 5))
    available = np.full((1, 5), 100.0)
    mixing = np.array([0.1, 0.4, 0.1, 0.1, 0.3])
    target = mixing @ posteriors[0]
    solution = solve(target[None], posteriors, available, np.array([50.0]))
    assert solution.mean[0] == pytest.approx(target @ GRID, abs=2e-3)


def test_what_one_class_cannot_reach_the_other_makes_up():
    at = [np.eye(len(GRID))[np.searchsorted(GRID, s)] for s in (0.3, 0.5, 0.7, 0.9)]
    target = np.array([at[2], at[2]])
    # The first class has nothing above .5, the second has candidates on both sides.
    posteriors = np.array([[at[0], at[1], at[1]], [at[1], at[2], at[3]]])
    available, wanted = np.full((2, 3), 40.0), np.full(2, 10.0)
    alone, together = (f(target, posteriors, available, wanted) for f in (solve, solve_together))
    goal = float(target[0] @ GRID)
    assert alone.mean.mean() < goal - 0.08
    assert together.mean.mean() > alone.mean.mean() + 0.03
    assert together.mean[0] <= alone.mean[0] + 0.01
    assert goal < together.mean[1] < goal + 0.11
    assert together.images.sum(axis=1) == pytest.approx([10, 10])


def test_groups_are_half_open_and_closed_at_one():
    assert group_of(np.array([0.0, 1.0])).tolist() == [0, 23]
    assert np.all(np.diff(group_of(GRID)) >= 0)


def test_a_class_without_candidates_gets_nothing():
    target, posteriors, available = problem(0)
    available[1] = 0
    solution = solve(target, posteriors, available, np.full(3, 5.0))
    assert solution.images[1] == pytest.approx(0)
    assert np.isfinite(solution.images).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=12), st.floats(0, 0.999))
def test_rounding_keeps_within_one_and_the_sum(values, start):
    values = np.array(values)
    values[-1] += np.ceil(values.sum()) - values.sum()
    whole = round_systematically(values, start)
    assert whole.sum() == round(values.sum())
    assert np.all(np.abs(whole - values) < 1 + 1e-6)


def test_rounding_is_right_on_average():
    values = np.array([0.3, 1.25, 0.0, 2.4, 0.05])
    mean = np.mean(
        [round_systematically(values, start) for start in np.linspace(0, 1, 400, endpoint=False)], axis=0
    )
    assert mean == pytest.approx(values, abs=0.005)


def test_rounding_nothing():
    assert round_systematically(np.array([]), 0.5).size == 0
