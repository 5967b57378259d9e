from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from newtest.errors import VotesError
from newtest.votes.agreement import krippendorff_alpha, outliers
from newtest.votes.quality import ControlCounts, QualityRule, assess, control_counts


def test_posteriors_are_those_of_a_uniform_prior() -> None:
    found = assess(ControlCounts(8, 10, 1, 10))
    assert found.sensitivity == pytest.approx(9 / 12)
    assert found.specificity == pytest.approx(10 / 12)
    low, high = stats.beta(9, 3).interval(0.95)
    assert found.sensitivity_interval == pytest.approx((low, high))
    draws = np.random.default_rng(0)
    quality = (draws.beta(9, 3, 400_000) + draws.beta(10, 2, 400_000)) / 2
    assert found.doubt == pytest.approx((quality < 0.75).mean(), abs=0.005)


@pytest.mark.parametrize(
    ("counts", "flagged"),
    [
        (ControlCounts(0, 10, 0, 10), True),  # never ticks
        (ControlCounts(10, 10, 10, 10), True),  # always ticks
        (ControlCounts(5, 10, 5, 10), True),  # tosses a coin
        (ControlCounts(0, 4, 5, 5), False),  # all wrong, but on nine controls only
        (ControlCounts(9, 10, 1, 10), False),
        (ControlCounts(6, 10, 1, 10), False),  # poor, but not clearly
        (ControlCounts(0, 0, 0, 0), False),
    ],
)
def test_only_a_clear_posterior_on_ten_controls_flags(counts: ControlCounts, flagged: bool) -> None:
    assert assess(counts).flagged is flagged


def test_the_rule_is_the_users() -> None:
    assert not assess(ControlCounts(5, 10, 5, 10), QualityRule(floor=0.3)).flagged
    assert assess(ControlCounts(0, 2, 3, 3), QualityRule(min_controls=5)).flagged
    assert "5 of 10 positive" in assess(ControlCounts(5, 10, 5, 10)).reason


def test_counts_are_taken_from_controls_alone() -> None:
    votes = pd.DataFrame(
        {
            "worker": ["a", "a", "a", "b", "a"],
            "selected": [1, 0, 1, 1, 1],
            "control": ["positive", "positive", "negative", "negative", None],
        }
    )
    table = control_counts(votes)
    assert table.loc["a"].to_list() == [1, 2, 1, 1]
    assert table.loc["b"].to_list() == [0, 0, 1, 1]


def test_alpha_agrees_with_the_published_example() -> None:
    """Krippendorff 2011, the nominal data of four observers and twelve units: alpha = .743."""
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    votes = [(unit, label - 1) for row in rows for unit, label in enumerate(row) if label is not None]
    units, labels = zip(*votes, strict=True)
    assert krippendorff_alpha(units, labels) == pytest.approx(0.743, abs=5e-4)


def test_alpha_is_one_for_agreement_and_about_zero_for_chance() -> None:
    units = np.repeat(np.arange(2_000), 4)
    assert krippendorff_alpha(units, units % 2) == pytest.approx(1)
    draws = np.random.default_rng(0)
    assert krippendorff_alpha(units, draws.integers(0, 2, len(units))) == pytest.approx(0, abs=0.03)
    assert np.isnan(krippendorff_alpha([0, 0], [1, 1]))
    with pytest.raises(VotesError, match="two votes"):
        krippendorff_alpha([0, 1], [0, 1])


def test_hasty_and_one_sided_work_stands_out() -> None:
    table = outliers(
        pd.DataFrame(
            {
                "worker": ["a", "a", "b", "c"],
                "seconds": [60.0, 70.0, 5.0, 65.0],
                "images": [48] * 4,
                "selected": [20, 0, 48, 21],
            }
        )
    )
    assert table.loc["a"].to_list() == [0, 0, 1, 2]
    assert table.loc["b"].to_list() == [1, 1, 0, 1]
    assert table.loc["c"].to_list() == [0, 0, 0, 1]
