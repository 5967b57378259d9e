"""Images in groups: intervals that know it, and the worst of a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.clusters import clustered, differences, gaps, worst_of
from newtest.evaluation.analysis.compare import pairs
from newtest.evaluation.analysis.line import LineConfig, fit_line
from newtest.evaluation.analysis.ranks import rank_intervals
from newtest.evaluation.scoring.results import as_results


def drawn(rng: np.random.Generator, groups: int, size: int, shared: float) -> tuple[pd.DataFrame, pd.Series]:
    """Two models on groups of images; a share of the groups is right or wrong as a whole."""
    rows = []
    for _ in range(2):
        whole = np.repeat(rng.random(groups) < 0.7, size)
        alone = rng.random(groups * size) < 0.7
        rows.append(np.where(np.repeat(rng.random(groups) < shared, size), whole, alone))
    column = pd.Series(np.repeat([f"video {at}" for at in range(groups)], size), name="video")
    return pd.DataFrame(np.stack(rows), index=["a", "b"]), column


def test_the_error_is_that_of_a_ratio_by_hand() -> None:
    """Groups of 2, 1 and 3 images with 2, 0 and 2 right: p = 4/6, residuals 2/3, -2/3, 0."""
    correct = pd.DataFrame([[True, True, False, True, True, False]], index=["m"])
    column = pd.Series(["x", "x", "y", "z", "z", "z"], name="g")
    row = clustered(correct, column).iloc[0]
    assert (row["k"], row["n"], row["groups"]) == (4, 6, 3)
    assert row["se"] == pytest.approx(100 * np.sqrt(4 / 9 / (1 - 2 / 6) + 4 / 9 / (1 - 1 / 6)) / 6)
    alone = clustered(correct, pd.Series([None] * 6, name="g")).iloc[0]
    share = 4 / 6
    assert alone["se"] == pytest.approx(100 * np.sqrt(share * (1 - share) / 5)), (
        "separate images: the usual error"
    )
    with pytest.raises(EvaluationError, match="'g' has one group"):
        clustered(correct, pd.Series(["x"] * 6, name="g"))


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_intervals_cover_where_images_are_right_together(shared: float) -> None:
    """300 sets of 60 groups of 10; separate images would give intervals that are up to three times too short."""
    rng = np.random.default_rng(0)
    hits, paired = 0, 0
    pair = pd.DataFrame({"better": ["a"], "worse": ["b"]})
    for _ in range(300):
        correct, column = drawn(rng, 60, 10, shared)
        row = clustered(correct, column).iloc[0]
        hits += row["lo"] <= 70 <= row["hi"]
        between = differences(correct, column, pair).iloc[0]
        paired += between["lo"] <= 0 <= between["hi"]
    assert 0.91 <= hits / 300 <= 0.985
    assert 0.91 <= paired / 300 <= 0.985


def test_the_worst_of_a_group_is_pm_k() -> None:
    correct = pd.DataFrame([[True, True, False, True, True, False], [True] * 6], index=["m", "all"])
    column = pd.Series(["x", "x", "y", "z", "z", "z"], name="anchor")
    found = worst_of(correct, column).set_index("model")
    assert found[["k", "n"]].to_numpy().tolist() == [[1, 3], [3, 3]]
    assert found.loc["m", "accuracy"] == pytest.approx(100 / 3)


def unequal(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Three models on 40 groups of 1 to 12 images that share a difficulty, in an order without meaning."""
    rng = np.random.default_rng(seed)
    column = np.repeat(np.arange(40), rng.integers(1, 13, 40))
    rng.shuffle(column)
    shared = rng.standard_normal(40)[column]
    right = rng.random((3, len(column))) < 1 / (1 + np.exp(-np.array([[0.2], [0.5], [0.9]]) - shared))
    return pd.DataFrame(right, index=["a", "b", "c"]), pd.Series([f"g{c}" for c in column], name="g")


def test_errors_of_accuracy_and_difference_are_those_of_statsmodels() -> None:
    """OLS on a constant, covariance clustered by groups of one size, where CR2 is what statsmodels has: G / (G - 1)."""
    sm = pytest.importorskip("statsmodels.api")
    correct, column = unequal(1)
    column = pd.Series(np.arange(len(column) // 5 * 5) // 5, name="g")
    correct = correct.iloc[:, : len(column)]
    groups = pd.factorize(column)[0]
    found = clustered(correct, column).set_index("model")

    def theirs(values: np.ndarray) -> tuple[float, float, float, float]:
        fit = sm.OLS(values, np.ones(len(values))).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True}, use_t=True
        )
        low, high = fit.conf_int()[0]
        return float(fit.bse[0]), float(low), float(high), float(fit.pvalues[0])

    for model in correct.index:
        error, low, high, _ = theirs(correct.loc[model].to_numpy(dtype=float))
        row = found.loc[model, ["se", "lo", "hi"]].to_numpy(dtype=float)
        assert row == pytest.approx(100 * np.array([error, low, high]), rel=1e-9)
    pair = differences(correct, column, pd.DataFrame({"better": ["c"], "worse": ["a"]})).iloc[0]
    both = correct.loc["c"].to_numpy(dtype=float) - correct.loc["a"].to_numpy(dtype=float)
    _, low, high, p = theirs(both)
    assert [pair["lo"], pair["hi"], pair["p"]] == pytest.approx([100 * low, 100 * high, p], rel=1e-9)
    assert pair["p_holm"] == pair["p"]


def test_unequal_groups_are_those_of_the_published_matrices() -> None:
    """Bell and McCaffrey's CR2 of a regression on a constant, written with the whole (N, N) matrices."""
    correct, column = unequal(4)
    codes = pd.factorize(column)[0]
    right = correct.loc["b"].to_numpy(dtype=float)
    n, groups = len(right), codes.max() + 1
    hat = np.full((n, n), 1 / n)
    left = right - right.mean()
    weights = np.zeros((groups, n))  # the adjusted residuals' sums, as weights of all residuals
    for group in range(groups):
        inside = codes == group
        values, vectors = np.linalg.eigh(np.eye(inside.sum()) - hat[np.ix_(inside, inside)])
        weights[group, inside] = np.ones(inside.sum()) @ (vectors / np.sqrt(values)) @ vectors.T / n
    together = codes[:, None] == codes
    pairs_ = np.outer(left, left)[together & ~np.eye(n, dtype=bool)]
    rho = max(pairs_.mean() / (left**2).mean(), 0)
    covariance = np.where(together, rho, 0.0)
    np.fill_diagonal(covariance, 1)
    spread = weights @ (np.eye(n) - hat) @ covariance @ (np.eye(n) - hat) @ weights.T
    row = clustered(correct, column).set_index("model").loc["b"]
    assert row["se"] == pytest.approx(100 * np.sqrt(((weights @ left) ** 2).sum()))
    assert row["freedom"] == pytest.approx(np.trace(spread) ** 2 / np.trace(spread @ spread))
    assert row["freedom"] < groups - 1


def test_the_gap_of_two_sets_has_both_variances() -> None:
    one, two = unequal(2), unequal(3)
    rows = pd.DataFrame({"model": ["a", "b"], "gap": [1.0, 2.0]})
    found = gaps(rows, one, two)
    errors = [clustered(*part).set_index("model").loc["a", "se"] for part in (one, two)]
    half = (found["hi"] - found["lo"]).iloc[0] / 2
    assert 1.96 < half / np.hypot(*errors) < t.ppf(0.975, 39)
    assert ((found["lo"] + found["hi"]) / 2).tolist() == pytest.approx([1.0, 2.0])


def test_ranks_by_hand() -> None:
    """Four models: best is surely better than all, second and third cannot be told apart, last is surely worst."""
    rows = pd.DataFrame(
        [
            ("a", "b", 0.001),
            ("a", "c", 0.01),
            ("a", "d", 0.0),
            ("b", "c", 0.6),
            ("b", "d", 0.02),
            ("c", "d", 0.04),
        ],
        columns=["better", "worse", "p"],
    )
    correct = pd.DataFrame(
        [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], index=list("abcd"), dtype=bool
    )
    found = rank_intervals(correct, rows)
    assert found[["model", "rank"]].to_numpy().tolist() == [["a", 1], ["b", 2], ["c", 3], ["d", 4]]
    # a: .001 x 2, .01, 0 x 3; b: .001 x 3, .02 x 2, .6; c: .01 x 3, .04 x 2 = .08, .6; d: 0, .02 x 2, .04.
    assert found[["rank_lo", "rank_hi"]].to_numpy().tolist() == [[1, 1], [2, 3], [2, 4], [4, 4]]


def test_intervals_of_ranks_hold_true_ranks_of_models_that_are_nearly_equal() -> None:
    """150 sets of 300 images, ten models within 3 points, two of them equal: all true ranks of a set are held in 95 %
    of the sets at least, model by model.
    """
    rng = np.random.default_rng(0)
    true = np.array([0.70, 0.703, 0.706, 0.71, 0.71, 0.715, 0.72, 0.725, 0.727, 0.73])
    best = np.array([1 + (true > value).sum() for value in true])
    last = np.array([(true >= value).sum() for value in true])
    held = np.zeros(len(true))
    for _ in range(150):
        correct = pd.DataFrame(rng.random((10, 300)) < true[:, None], index=[f"m{at}" for at in range(10)])
        found = rank_intervals(correct, pairs(correct, resamples=20)).set_index("model").loc[correct.index]
        held += (found["rank_lo"].to_numpy() <= best) & (found["rank_hi"].to_numpy() >= last)
    assert (held / 150 >= 0.95).all()


def test_a_line_of_images_in_groups_is_as_sure_as_its_groups() -> None:
    """Each image ten times: without clusters the line seems sqrt(10) times as sure, with them as sure as before."""
    rng = np.random.default_rng(4)
    ability = np.linspace(-0.5, 1.5, 12)
    sets = {}
    for name, shift in (("x", 0.0), ("y", 0.4)):
        hard = rng.standard_normal(300)
        right = rng.random((12, 300)) < 1 / (1 + np.exp(-(ability[:, None] - shift + hard)))
        sets[name] = pd.DataFrame(right, index=[f"m{at:02d}" for at in range(12)])
    codes = np.repeat(np.arange(300), 10)

    def widths(copies: int, clusters: list[np.ndarray] | None) -> np.ndarray:
        tables = {name: one.iloc[:, np.repeat(np.arange(300), copies)] for name, one in sets.items()}
        frame = pd.DataFrame(
            [
                {"model": model, "set": name, "k": int(k), "n": one.shape[1]}
                for name, one in tables.items()
                for model, k in one.sum(axis=1).items()
            ]
        )
        options = LineConfig(("x",), "y", "logit", resamples=200)
        line = fit_line(as_results(frame), options, list(tables.values()), clusters)
        assert line.over_images is not None
        low, high = line.over_images["slope"]
        return np.array([high - low, *(line.models["rho_hi"] - line.models["rho_lo"])])

    plain, doubled, grouped = widths(1, None), widths(10, None), widths(10, [codes, codes])
    assert grouped == pytest.approx(plain, rel=0.2)
    assert (doubled < 0.75 * plain).all()
