"""The line: the public numbers, the refusals, the properties."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.analysis.line import LineConfig, fit_line
from newtest.evaluation.analysis.line_interval import fitted, over_models
from newtest.evaluation.analysis.line_model import ols, ols_each, predict
from newtest.evaluation.analysis.line_noise import Noise
from newtest.evaluation.analysis.scales import from_percent, ticks, to_percent
from newtest.evaluation.report.figures import draw_scatter, scatter_of
from newtest.evaluation.scoring.results import Results, as_results, read_results

V2 = "imagenetv2-matched-frequency-format-val"


def table_of(x: object, y: object, **more: object) -> pd.DataFrame:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    names = [f"m{at:05d}" for at in range(len(x))]
    parts = [pd.DataFrame({"model": names, "set": s, "accuracy": v, **more}) for s, v in (("x", x), ("y", y))]
    return pd.concat(parts)


def test_the_testbed_gives_its_published_line(data: Path) -> None:
    results = read_results([data / "testbed" / "robustness_top1s.csv"])
    line = fit_line(results, LineConfig(("val",), V2, "logit", "STANDARD"))
    assert line.n == 85
    assert (round(line.slope, 5), round(line.fit.intercept, 5), round(line.fit.r2, 5)) == (
        0.92323,
        -0.49769,
        0.99605,
    )
    rho = line.models.set_index("model")["rho"].round(2)
    assert rho[["resnet50_clip_zeroshot", "vit_b_32_clip_zeroshot", "resnet152-imagenet11k"]].tolist() == [
        5.79,
        5.63,
        2.12,
    ]
    assert {model for model, _ in line.left_out} == {
        "resnet50_aws_baseline",
        "resnet50_imagenet_100percent_batch64_original_images",
    }
    low, high = line.over_models["slope"]
    assert low < line.slope < high
    assert high - low < 0.05


def test_zero_shot_models_are_drawn_above_the_line_as_a_group_of_their_own(
    data: Path, tmp_path: Path
) -> None:
    testbed = data / "testbed"
    types = pd.read_csv(testbed / "model_types.csv")
    types.loc[types["model"].str.endswith("_clip_zeroshot"), "type"] = "ZERO-SHOT"
    types.to_csv(tmp_path / "groups.csv", index=False)
    results = read_results([testbed / "robustness_top1s.csv"], groups=tmp_path / "groups.csv")
    # A table of groups of one's own: the testbed's two repeats of ResNet-50 have to be named.
    repeats = ("resnet50_aws_baseline", "resnet50_imagenet_100percent_batch64_original_images")
    line = fit_line(results, LineConfig(("val",), V2, "logit", "STANDARD", repeats))
    above = line.models.set_index("model").query("group == 'ZERO-SHOT'")
    assert above["rho"].round(2).to_dict() == {"resnet50_clip_zeroshot": 5.79, "vit_b_32_clip_zeroshot": 5.63}
    assert (above["rho_lo"] > 0).all()
    drawn = draw_scatter(scatter_of(results.table, ("val", V2), "logit", line))
    assert ">ZERO-SHOT<" in drawn.inline
    assert f"resnet50_clip_zeroshot: {above.at['resnet50_clip_zeroshot', 'x']:.2f} →" in drawn.inline


def test_several_axes_and_a_pivot(data: Path) -> None:
    results = read_results([data / "testbed" / "robustness_top1s.csv"])
    both = fit_line(results, LineConfig(("val", "imagenet-sketch"), V2, "logit", "STANDARD"))
    assert len(both.fit.slopes) == 2
    assert set(both.over_models) == {"slope:val", "slope:imagenet-sketch", "intercept", "r2"}
    one = fit_line(results, LineConfig(("val",), V2, "logit", "STANDARD"))
    assert both.fit.r2 >= one.fit.r2
    with pytest.raises(UsageError, match="bends one axis"):
        fit_line(results, LineConfig(("val", "imagenet-sketch"), V2, "logit", pivot=70))


def test_a_pivot_finds_the_bend() -> None:
    x = np.linspace(20, 80, 31)
    y = np.where(x < 50, x, 50 + 2 * (x - 50) / 2.5)
    line = fit_line(as_results(table_of(x, y)), LineConfig(("x",), "y", "linear", pivot=50))
    assert line.slope == pytest.approx(1.0)
    assert line.fit.bend == pytest.approx(-0.2)
    assert np.abs(line.models["rho"]).max() < 1e-9


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["logit", "probit", "linear"]),
    st.floats(0.5, 1.5),
    st.floats(-0.8, 0.2),
    st.integers(8, 40),
)
def test_a_line_through_points_on_a_line(scale: str, slope: float, shift: float, count: int) -> None:
    x = np.linspace(30, 70, count)
    intercept = shift * (10 if scale == "linear" else 1)
    y = to_percent(slope * from_percent(x, scale) + intercept, scale)  # type: ignore[arg-type]
    if scale == "linear":
        y = np.clip(y, 0, 100)
        if y.max() >= 100 or y.min() <= 0:
            return
    line = fit_line(as_results(table_of(x, y), unit="percent"), LineConfig(("x",), "y", scale, resamples=50))  # type: ignore[arg-type]
    assert line.slope == pytest.approx(slope, abs=1e-9)
    assert line.fit.intercept == pytest.approx(intercept, abs=1e-7)
    assert line.fit.r2 == pytest.approx(1)
    assert np.abs(line.models["rho"]).max() < 1e-9, "rho is 0 on the line"


def test_points_at_0_and_1_and_holes_are_named() -> None:
    x = np.linspace(20, 80, 12)
    y = x - 5
    y[0], y[1] = 0, np.nan
    x[2] = 100
    line = fit_line(as_results(table_of(x, y)), LineConfig(("x",), "y"))
    assert line.n == 9
    assert dict(line.left_out) == {
        "m00000": "0 % on y is infinite on the logit scale",
        "m00001": "no accuracy on y",
        "m00002": "100 % on x is infinite on the logit scale",
    }
    linear = fit_line(as_results(table_of(x, y)), LineConfig(("x",), "y", "linear"))
    assert [model for model, _ in linear.left_out] == ["m00001"]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([50.0], "no line from 1 models"),
        (np.linspace(20, 80, 7), "at least 8 are needed"),
        (np.full(20, 50.0), "span 50.00 to 50.00 %"),
        (np.linspace(50, 59, 20), "span 50.00 to 59.00 % on x, 0.364 of the logit scale"),
    ],
)
def test_refusals(x: object, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        fit_line(as_results(table_of(x, np.asarray(x) - 5)), LineConfig(("x",), "y"))


def test_the_range_is_measured_on_the_scale_of_the_fit(data: Path) -> None:
    """The published lines of Vid-Robust and YTBB-Robust span 6 and 4 points, and more than 2 of the logit."""
    results = read_results([data / "testbed" / "robustness_top1s.csv"])
    for name in ("vid", "ytbb"):
        y = "imagenet-vid-robust_pm0" if name == "vid" else "ytbb-robust_pm0"
        line = fit_line(
            results, LineConfig((f"val-on-{name}-robust-classes",), y, "logit", "STANDARD", resamples=50)
        )
        assert line.n > 80 and line.fit.r2 > 0.5
    x = np.linspace(94, 99, 20)
    with pytest.raises(EvaluationError, match="5 of the linear scale, and at least 10"):
        fit_line(as_results(table_of(x, x - 5)), LineConfig(("x",), "y", "linear"))


def test_two_fits_at_a_pivot_are_two_lines(data: Path) -> None:
    x = np.linspace(20, 80, 31)
    y = np.where(x < 50, 5 + 0.2 * x, 1.5 * x - 60)
    line = fit_line(as_results(table_of(x, y)), LineConfig(("x",), "y", "linear", pivot=50, two_fits=True))
    assert (line.slope, line.fit.bend) == (pytest.approx(0.2), pytest.approx(1.3))
    assert line.fit.jump == pytest.approx(1.5 * 50 - 60 - (5 + 0.2 * 50))
    assert np.abs(line.models["rho"]).max() < 1e-9
    assert set(line.over_models) == {"slope", "bend", "jump", "intercept", "r2"}
    results = read_results([data / "testbed" / "robustness_top1s.csv"])
    axes = ("val-on-imagenet-a-classes",), "imagenet-a", "logit", "STANDARD"
    both = fit_line(results, LineConfig(*axes, pivot=92, two_fits=True, resamples=50))
    part = both.models[both.models["fitted"]]
    for side in (part["x"] < 92, part["x"] >= 92):
        slope, intercept = np.polyfit(
            *(from_percent(part.loc[side, axis], "logit") for axis in ("x", "y")), 1
        )
        predicted = to_percent(slope * from_percent(part.loc[side, "x"], "logit") + intercept, "logit")
        assert np.allclose(predicted, part.loc[side, "predicted"], atol=1e-6), "two separate least squares"
    with pytest.raises(EvaluationError, match="each of two fits needs at least 4"):
        fit_line(as_results(table_of(x, y)), LineConfig(("x",), "y", pivot=79, two_fits=True))
    with pytest.raises(UsageError, match="two fits need a place to part"):
        fit_line(as_results(table_of(x, y)), LineConfig(("x",), "y", two_fits=True))


def test_an_unknown_group_or_set_is_said() -> None:
    results = as_results(table_of(np.linspace(20, 80, 12), np.linspace(20, 80, 12), group="cnn"))
    with pytest.raises(EvaluationError, match="groups are cnn"):
        fit_line(results, LineConfig(("x",), "y", group="STANDARD"))
    with pytest.raises(EvaluationError, match="sets are x, y"):
        fit_line(results, LineConfig(("x",), "z"))


def test_relative_robustness_is_the_change_on_the_new_set() -> None:
    table = table_of(np.linspace(20, 80, 12), np.linspace(10, 70, 12))
    table["base"] = np.where(table["model"] == "m00005", "m00003", "")
    models = fit_line(as_results(table), LineConfig(("x",), "y")).models.set_index("model")
    assert models.at["m00005", "tau"] == pytest.approx(models.at["m00005", "y"] - models.at["m00003", "y"])
    assert models["tau"].notna().sum() == 1


def test_ten_thousand_models() -> None:
    x = np.linspace(20, 80, 10_000)
    line = fit_line(as_results(table_of(x, x - 5)), LineConfig(("x",), "y", resamples=50))
    assert line.n == 10_000
    assert len(line.to_json()["models"]) == 10_000


def test_images_are_redrawn_from_counts_or_from_correctness() -> None:
    rng = np.random.default_rng(0)
    shares = np.linspace(0.3, 0.8, 20)
    correct = [
        pd.DataFrame(rng.random((20, 400)) < shares[:, None] - drop, index=[f"m{at:05d}" for at in range(20)])
        for drop in (0, 0.1)
    ]
    parts = [
        pd.DataFrame({"model": matrix.index, "set": name, "k": matrix.sum(axis=1).to_numpy(), "n": 400})
        for name, matrix in zip("xy", correct, strict=True)
    ]
    results = as_results(pd.concat(parts))
    paired = fit_line(results, LineConfig(("x",), "y"), correct)
    counted = fit_line(results, LineConfig(("x",), "y"))
    for line, is_paired in ((paired, True), (counted, False)):
        assert line.images_paired is is_paired
        assert line.over_images is not None
        low, high = line.over_images["slope"]
        assert low < high
    assert fit_line(results, LineConfig(("x",), "y"), correct).over_images == paired.over_images


def test_ols_agrees_with_numpy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(70, 5, (30, 2)), rng.normal(60, 5, 30)
    coefficients, r2 = ols(x, y)
    expected, residual = np.linalg.lstsq(np.column_stack([x, np.ones(30)]), y, rcond=None)[:2]
    assert coefficients[0] == pytest.approx(expected)
    assert r2[0] == pytest.approx(1 - residual[0] / ((y - y.mean()) ** 2).sum())
    each = ols_each(np.stack([x, 2 * x], axis=1), np.stack([y, y], axis=1), np.ones((30, 2)))
    assert np.allclose(each, [coefficients[0], coefficients[0] * [0.5, 0.5, 1]])


def test_predict_keeps_shapes(data: Path) -> None:
    results = read_results([data / "testbed" / "robustness_top1s.csv"])
    line = fit_line(results, LineConfig(("val",), V2, "logit", "STANDARD"))
    assert predict(line.fit, line.options, [70.0, 80.0]).shape == (2,)
    assert predict(line.fit, line.options, 76.13) == pytest.approx(63.85, abs=0.5)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["logit", "probit", "linear"]), st.floats(0.1, 98), st.floats(0.5, 90))
def test_ticks_are_round_few_and_inside(scale: str, low: float, span: float) -> None:
    high = min(99.9, low + span)
    marks = ticks(low, high, scale)  # type: ignore[arg-type]
    assert len(marks) <= 12
    assert all(low - 1e-9 <= mark <= high + 1e-9 and mark == round(mark, 2) for mark in marks)


def test_what_is_not_a_number_is_null_in_json() -> None:
    table = table_of(np.linspace(20, 80, 12), np.full(12, 50.0))
    found = fit_line(as_results(table), LineConfig(("x",), "y")).to_json()
    assert found["slope"] == pytest.approx(0)
    assert found["r2"] is None
    assert json.loads(json.dumps(found, allow_nan=False))["models"][0]["tau"] is None


def test_the_interval_over_images_covers_what_more_images_would_show() -> None:
    """Percentiles of redrawn lines cover the true slope in 3 of 4 sets of this size, and the true R2 in none."""
    rng = np.random.default_rng(4)
    true_x = rng.uniform(50, 85, 20)
    true_y = to_percent(0.9 * from_percent(true_x, "logit") - 0.5 + rng.normal(0, 0.1, 20), "logit")
    slope = np.polyfit(from_percent(true_x, "logit"), from_percent(true_y, "logit"), 1)[0]
    r2 = np.corrcoef(from_percent(true_x, "logit"), from_percent(true_y, "logit"))[0, 1] ** 2
    covered = {"slope": 0, "r2": 0}
    for seed in range(40):
        table = table_of(true_x, true_y, n=500)
        table["k"] = rng.binomial(500, table.pop("accuracy") / 100)
        line = fit_line(as_results(table), LineConfig(("x",), "y", resamples=200, seed=seed))
        assert line.over_images is not None
        for name, truth in (("slope", slope), ("r2", r2)):
            low, high = line.over_images[name]
            covered[name] += low <= truth <= high
            assert low <= {"slope": line.slope, "r2": line.fit.r2}[name] <= high
    assert min(covered.values()) >= 34, covered


def test_no_tick_is_minus_zero() -> None:
    assert not np.signbit(ticks(0.0, 88.0, "linear")).any()


def test_standard_errors_are_those_of_statsmodels() -> None:
    """HC3 with t quantiles (statsmodels 0.15), for a line, two axes, a hinge and a jump."""
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(2)
    x = rng.normal(1, 0.5, (12, 2))
    hinge = np.column_stack([x[:, 0], np.maximum(x[:, 0] - 1, 0), x[:, 0] >= 1]).astype(float)
    y = 0.9 * x[:, 0] + rng.normal(0, 0.1 + 0.1 * x[:, 0] ** 2, 12)
    silent = Noise(np.zeros(12), np.ones(12, dtype=bool))
    for columns, axes in ((x[:, :1], 1), (x, 2), (hinge, 1)):
        coefficients, r2 = ols(columns, y)
        ours = over_models(fitted(columns, y, coefficients[0], axes), float(r2[0]), [silent] * axes, 0.95)
        theirs = api.OLS(y, np.column_stack([columns, np.ones(12)])).fit(cov_type="HC3", use_t=True)
        assert np.allclose(ours[:-1], theirs.conf_int(0.05))


def test_fisher_z_is_the_interval_of_r2_where_the_line_is_normal() -> None:
    """Quantiles of the normal distribution have a kurtosis near 3, where Fisher's formula holds as it is."""
    x = norm.ppf((np.arange(200) + 0.5) / 200)
    y = x + 0.3 * np.random.default_rng(0).permutation(x)
    coefficients, r2 = ols(x[:, None], y)
    sure = fitted(x[:, None], y, coefficients[0], 1)
    low, high = over_models(sure, float(r2[0]), [Noise(np.zeros(200), np.ones(200, dtype=bool))], 0.95)[-1]
    z, half = np.arctanh(np.sqrt(r2[0])), 1.96 / np.sqrt(197)
    assert (low, high) == (
        pytest.approx(np.tanh(z - half) ** 2, abs=1e-3),
        pytest.approx(np.tanh(z + half) ** 2, abs=1e-3),
    )


def simulated(rng: np.random.Generator, models: int, images: int) -> tuple[Results, np.ndarray]:
    """Models, the last three of them exactly on the line, and each model's true rho in points."""
    x = rng.normal(0.8, 0.45, models)
    off = rng.normal(0, 0.08, models)
    off[-3:] = 0
    on_line = 0.92 * x - 0.5
    tables = [
        pd.DataFrame(
            {
                "model": [f"m{at:03d}" for at in range(models)],
                "set": name,
                "k": rng.binomial(images, to_percent(axis, "logit") / 100),
                "n": images,
            }
        )
        for name, axis in (("x", x), ("y", on_line + off))
    ]
    rho = to_percent(on_line + off, "logit") - to_percent(on_line, "logit")
    return as_results(pd.concat(tables)), rho


@pytest.mark.parametrize(("models", "images"), [(12, 2_000), (60, 10_000)])
def test_rho_holds_the_luck_of_the_models_own_images(models: int, images: int) -> None:
    """Without the model's own k of n about half of the models on the line seem to be off it."""
    rng = np.random.default_rng(models)
    held, zero, slope = [], [], []
    for _ in range(40):
        results, rho = simulated(rng, models, images)
        options = LineConfig(("x",), "y", exclude=(f"m{models - 1:03d}",), resamples=20)
        line = fit_line(results, options)
        low, high = line.models["rho_lo"].to_numpy(), line.models["rho_hi"].to_numpy()
        held.append((low <= rho) & (rho <= high))
        zero.append((low[-3:] <= 0) & (high[-3:] >= 0))
        slope.append(line.over_models["slope"][0] <= 0.92 <= line.over_models["slope"][1])
        assert line.models["counted"].all()
    assert 0.92 < np.mean(held) < 0.98
    assert np.mean(zero) > 0.89
    assert np.mean(slope) > 0.85


def test_without_n_the_interval_of_rho_knows_only_the_line() -> None:
    results, _ = simulated(np.random.default_rng(3), 20, 2_000)
    bare = results.table[["model", "set", "accuracy"]]
    with_n = fit_line(results, LineConfig(("x",), "y", resamples=20)).models
    without = fit_line(as_results(bare, unit="percent"), LineConfig(("x",), "y", resamples=20)).models
    assert with_n["counted"].all() and not without["counted"].any()
    wide = with_n["rho_hi"] - with_n["rho_lo"]
    assert wide.median() > 1.5 * (without["rho_hi"] - without["rho_lo"]).median()
    assert np.allclose(with_n["rho"], without["rho"])


def test_models_that_fail_on_the_same_images_are_better_known_beside_one_another() -> None:
    """Luck that all models share moves the line with them: the paired intervals of rho are narrower."""
    rng = np.random.default_rng(5)
    names = [f"m{at:03d}" for at in range(20)]
    ability = np.linspace(-1, 1.5, 20)
    correct = [
        pd.DataFrame(
            to_percent(ability[:, None] - 3 * rng.normal(size=2_000) - drop, "logit") > 50, index=names
        )
        for drop in (0, 0.5)
    ]
    parts = [
        pd.DataFrame({"model": names, "set": name, "k": matrix.sum(axis=1).to_numpy(), "n": 2_000})
        for name, matrix in zip("xy", correct, strict=True)
    ]
    results = as_results(pd.concat(parts))
    paired = fit_line(results, LineConfig(("x",), "y"), correct).models
    counted = fit_line(results, LineConfig(("x",), "y")).models
    ratio = (paired["rho_hi"] - paired["rho_lo"]) / (counted["rho_hi"] - counted["rho_lo"])
    assert ratio.median() < 0.7
