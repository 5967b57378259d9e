"""Upper bounds of shares: against SciPy's distributions and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, hypergeom

from newtest.intervals import clopper_pearson, finite_upper, stratified_upper


@pytest.mark.parametrize("population", [1, 5, 20, 60])
def test_the_bound_of_a_finite_population_is_the_largest_share_that_explains_what_was_seen(
    population: int,
) -> None:
    for drawn in sorted({1, 1 + population // 3, population}):
        for found in range(drawn + 1):
            possible = np.arange(found, population - drawn + found + 1)
            likely = hypergeom.cdf(found, population, possible, drawn) > 0.05 * (1 - 1e-7)
            assert finite_upper(found, drawn, population) == possible[likely].max() / population
            binomial = clopper_pearson(found, drawn, level=0.9)[1]
            assert finite_upper(found, drawn, population) <= binomial + 1 / population + 1e-12


def test_large_populations_and_the_binomial_bound_meet() -> None:
    for found, drawn in ((0, 300), (5, 300), (299, 300), (300, 300)):
        exact, binomial = (finite_upper(found, drawn, size) for size in (10_000_000, 10_000_001))
        assert exact == pytest.approx(binomial, rel=2e-4)
    assert finite_upper(0, 0, 10) == 1.0
    for odd in ((1, 0, 5), (-1, 2, 5), (2, 6, 5)):
        with pytest.raises(ValueError, match="must hold"):
            finite_upper(*odd)


def test_the_bound_over_strata_is_fay_and_feuers() -> None:
    """Their formula by chi-squared quantiles, as the paper has it, with SciPy's distribution."""
    found, drawn, rows = np.array([3, 0, 1]), np.array([50, 60, 40]), np.array([10_000, 3_000, 900])
    weights = rows / rows.sum() / drawn
    y, v, m = (weights * found).sum(), (weights**2 * found).sum(), weights.max()
    wanted = (v + m**2) / (2 * (y + m)) * chi2.ppf(0.95, 2 * (y + m) ** 2 / (v + m**2))
    assert stratified_upper(found, drawn, rows) == pytest.approx(wanted, rel=1e-9)
    nothing = stratified_upper([0, 0], [100, 100], [5000, 5000])
    assert nothing == pytest.approx(-np.log(0.05) / 200, rel=1e-6)  # as of one sample of 200


def test_strata_that_are_known_or_unknown() -> None:
    assert stratified_upper([1, 2], [4, 10], [4, 10]) == pytest.approx(3 / 14)
    assert stratified_upper([0, 1], [0, 10], [10, 10]) == pytest.approx((10 + 1) / 20)
    one = (10 * 0.1 + 90 * finite_upper(2, 30, 90)) / 100
    assert stratified_upper([1, 2], [10, 30], [10, 90]) == pytest.approx(one)
    assert stratified_upper([7], [50], [4000]) == finite_upper(7, 50, 4000)
    assert stratified_upper([30, 29], [30, 30], [60, 60]) == pytest.approx(1 - 1 / 120)
    with pytest.raises(ValueError, match="must hold"):
        stratified_upper([1, 1], [1, 2], [0, 5])


@pytest.mark.parametrize(
    ("rows", "drawn", "shares"),
    [
        ([20_000] * 5, [60] * 5, [0.01] * 5),
        ([20_000] * 5, [60] * 5, [0, 0, 0, 0, 0.05]),
        ([20_000] * 5, [60] * 5, [0.5] * 5),
        ([100, 1_000, 10_000, 100_000], [50] * 4, [0.3, 0.2, 0.1, 0.01]),
        ([90_000, 5_000, 5_000], [20, 140, 140], [0.05, 0, 0]),
        ([60, 80, 100], [30, 40, 50], [0.1, 0.1, 0.1]),
    ],
)
def test_the_bound_over_strata_holds_as_often_as_it_says(
    rows: list[int], drawn: list[int], shares: list[float]
) -> None:
    """600 draws each: .95 is wanted, and .93 is what chance leaves of it (1 in 70 below). benchmarks/audit_coverage.py
    draws 20,000."""
    having = np.round(np.array(rows) * np.array(shares)).astype(int)
    random = np.random.default_rng(11)
    found = random.hypergeometric(having, np.array(rows) - having, drawn, size=(600, len(rows)))
    bounds = np.array([stratified_upper(each, drawn, rows) for each in found])
    assert np.mean(bounds >= having.sum() / sum(rows) - 1e-12) >= 0.93
