"""The public numbers, from predictions to the line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.compare import rank_correlations
from newtest.evaluation.analysis.gap import decompose
from newtest.evaluation.analysis.line import LineConfig, fit_line
from newtest.evaluation.analysis.tables import accuracy_table
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.loading import LoadConfig, Loaded, load
from newtest.evaluation.scoring.results import as_results

SETS = {"val": "imagenet-validation-original", "b-33": "imagenetv2-b-33"}


@pytest.fixture(scope="module")
def imagenet(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, list[str]]:
    """67 models on both sets as `newtest evaluate` keeps them, fv_16k's ranking read the right way round."""
    out = tmp_path_factory.mktemp("results")
    cautions = []
    for name, file in SETS.items():
        top1, top5 = (data / "imagenetv2" / "predictions" / f"{file}.{kind}.npz" for kind in ("top1", "top5"))
        options = EvaluateConfig((top1, top5), name=name, out=out)
        cautions += evaluate(str(data / "imagenetv2" / "datasets" / f"{file}.json"), options).cautions
        if name == "b-33":
            turned = EvaluateConfig((top1, top5), name=name, out=out, reversed_models=("fv_16k",))
            outcome = evaluate(str(data / "imagenetv2" / "datasets" / f"{file}.json"), turned)
            assert not outcome.cautions
    return load([out]), [str(caution) for caution in cautions]


def test_a_ranking_stored_backwards_is_named(imagenet: tuple[Loaded, list[str]]) -> None:
    assert imagenet[1] == [
        "imagenetv2-b-33.top5.npz: fv_16k: the ranking is likely stored in reverse: its first column is right for "
        "2.47 % of the images, its last for 19.24 %; if so, name the model with `reversed_models`"
    ]


def test_imagenetv2_drop_and_resnet50(imagenet: tuple[Loaded, list[str]]) -> None:
    table = imagenet[0].results.table
    gap = decompose(table, "val", "b-33")
    assert gap.models == 67
    assert gap.mean == pytest.approx(11.83, abs=0.005)
    row = accuracy_table(table, "val").set_index("model").loc["resnet50"]
    assert [round(row[c], 2) for c in ("val", "b-33", "b-33 lo", "b-33 hi")] == [76.13, 63.33, 62.38, 64.28]
    assert round(table.set_index(["model", "set"]).loc[("fv_16k", "b-33"), "accuracy"], 2) == 19.24


def test_imagenetv2_lines(imagenet: tuple[Loaded, list[str]]) -> None:
    results = imagenet[0].results
    linear = fit_line(results, LineConfig(("val",), "b-33", "linear", exclude=("fv_*",)))
    assert linear.n == 64
    found = (round(linear.slope, 4), round(linear.fit.intercept, 3), round(linear.fit.r2, 4))
    assert found == (1.1098, -20.263, 0.9913)
    logit = fit_line(results, LineConfig(("val",), "b-33", "logit", exclude=("fv_*",)))
    assert (round(logit.slope, 4), round(logit.fit.r2, 4)) == (0.9315, 0.9957)


def test_cifar_10_1(data: Path, tmp_path: Path) -> None:
    folder = data / "cifar10"
    for name, labels in (("cifar10_test", "cifar10_test_labels"), ("cifar10.1_v4", "cifar10.1_v4_labels")):
        options = EvaluateConfig((folder / f"{name}.predictions.json.gz",), name=name, out=tmp_path)
        assert evaluate(str(folder / f"{labels}.npy"), options).cautions == ()
    results = load([tmp_path]).results
    line = fit_line(results, LineConfig(("cifar10_test",), "cifar10.1_v4", "linear"))
    assert (line.n, round(line.slope, 4), round(line.fit.intercept, 2), round(line.fit.r2, 4)) == (
        30,
        1.6166,
        -65.51,
        0.9887,
    )
    gap = decompose(results.table, "cifar10_test", "cifar10.1_v4")
    assert gap.smallest is not None
    assert gap.largest is not None
    assert (round(gap.smallest, 2), round(gap.largest, 2)) == (4.14, 15.37)
    assert line.over_images is not None, "labels without ids still give counts"


def test_the_seed_slides_example() -> None:
    """80 -> 75 and 90 -> 77: gaps of 5 and 13 points, and no rank changes."""
    rows = [("one", "old", 800), ("one", "new", 750), ("two", "old", 900), ("two", "new", 770)]
    table = as_results(pd.DataFrame(rows, columns=["model", "set", "k"]).assign(n=1000)).table
    gap = decompose(table, "old", "new")
    assert (gap.smallest, gap.largest, gap.mean, gap.rank_changes) == (
        pytest.approx(5),
        pytest.approx(13),
        pytest.approx(9),
        0,
    )
    changes = accuracy_table(table, "old").set_index("model")
    assert changes["new change"].round(6).to_dict() == {"two": -13.0, "one": -5.0}
    assert rank_correlations([80, 90], [75, 77]) == pytest.approx({"spearman": 1.0, "kendall": 1.0})


def test_soups_are_read_as_fractions_and_span_too_little_for_a_line(data: Path) -> None:
    frame = pd.read_json(data / "soups" / "individual_model_results.jsonl", lines=True)
    results = as_results(frame.rename(columns={"model_name": "model"}))
    assert [caution.kind for caution in results.cautions] == ["fractions"]
    with pytest.raises(
        EvaluationError,
        match=r"72 models of the table span 74\.99 to 80\.39 % on ImageNet, 0\.181 of the probit",
    ):
        fit_line(results, LineConfig(("ImageNet",), "ImageNetV2", "probit"))


def test_groups_and_metrics_of_tables(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("model,set,metric,value\na,s,f1,80\na,s,em,70\nb,s,f1,81\nb,s,em,69\n")
    (tmp_path / "g.csv").write_text("model,type\na,big\n")
    table = load([tmp_path / "t.csv"], LoadConfig(groups=tmp_path / "g.csv", metric="em")).results.table
    assert table.set_index("model")["accuracy"].to_dict() == {"a": 70, "b": 69}
    assert table.set_index("model")["group"].to_dict() == {"a": "big", "b": ""}
