"""Sets with several valid labels per image: labels from a file beside the set, and what is counted by them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.loading import LoadConfig, load
from newtest.evaluation.scoring.metrics import average_precision_11
from newtest.evaluation.scoring.sets import read_set

CLASSES = ("cat", "dog", "owl", "yak")
# Files in another order than their numbers, as ImageNet's are when they are listed class by class.
NUMBERS = [3, 1, 6, 2, 5, 4, 8, 7]
GIVEN = ["cat", "cat", "dog", "dog", "owl", "owl", "yak", "yak"]
# By the number of the file, 1 to 8: two labels, none, another than the given, one, ...
BY_NUMBER = [[0, 2], [1], [0], [], [2, 3, 2], [1, 0], [3], [2]]
ANSWERS = [0, 2, 0, 1, 3, 2, 2, 3]
"""In the order of the set; the images are 3, 1, 6, 2, 5, 4 (no label), 8, 7."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in NUMBERS]
    (tmp_path / "val.json").write_text(
        json.dumps({"image_filenames": [list(pair) for pair in zip(names, GIVEN, strict=True)]})
    )
    (tmp_path / "real.json").write_text(json.dumps(BY_NUMBER))
    np.save(tmp_path / "m.npy", np.array(ANSWERS))
    return tmp_path


def test_real_as_it_is_beside_a_set_in_another_order(folder: Path) -> None:
    config = EvaluateConfig((folder / "m.npy",), labels=folder / "real.json", out=folder / "results")
    found = evaluate(str(folder / "val.json"), config)
    (row,) = found.scores
    assert (row.set, row.n) == ("val (real)", 7)
    # 3: 0 in [0]; 1: 2 in [0, 2]; 6: 0 in [1, 0]; 2: 1 in [1]; 5: 3 in [2, 3]; 8: 2 in [2]; 7: 3 in [3].
    assert row.correct.tolist() == [True] * 7
    assert row.given_correct is not None
    assert row.given_correct.tolist() == [True, False, False, True, False, False, True]
    assert (row.k, row.given_k, row.single_k, row.single_n) == (7, 3, 4, 4)
    assert [
        "3 images have no true class" in str(one) or "1 images have" in str(one) for one in found.cautions
    ]
    stored = load([folder / "results"]).set("val (real)")
    assert stored.images["num_labels"].tolist() == [1, 2, 2, 1, 2, 1, 1]
    assert stored.images["class"].tolist() == ["cat", "cat", "dog", "dog", "owl", "yak", "yak"]
    assert list(stored.images["all_classes"][1]) == ["cat", "owl"]
    assert stored.given is not None
    assert stored.given.loc["m"].tolist() == row.given_correct.tolist()


def test_each_metric_is_a_count_or_says_what_it_is(folder: Path) -> None:
    config = EvaluateConfig(
        (folder / "m.npy",), name="v", labels=folder / "real.json", out=folder / "results"
    )
    evaluate(str(folder / "val.json"), config)
    found = {}
    for metric in ("top1", "any_of", "given", "single_label", "mean_per_class"):
        table = load([folder / "results"], LoadConfig(metric=metric)).results.table
        found[metric] = round(float(table["accuracy"].iloc[0]), 2)
    assert found == {
        "top1": 100.0,
        "any_of": 100.0,
        "given": 42.86,
        "single_label": 100.0,
        "mean_per_class": 100.0,
    }
    with pytest.raises(EvaluationError, match="there are top1, any_of, given, single_label"):
        load([folder / "results"], LoadConfig(metric="f1"))


def test_a_second_model_joins_and_both_keep_their_images(folder: Path) -> None:
    np.save(folder / "other.npy", np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    for file in ("m.npy", "other.npy"):
        config = EvaluateConfig((folder / file,), name="v", labels=folder / "real.json", out=folder / "r")
        evaluate(str(folder / "val.json"), config)
    stored = load([folder / "r"]).set("v")
    assert stored.given is not None
    assert stored.given.loc["other"].all()
    assert stored.given.loc["m"].sum() == 3
    assert stored.correct.loc["other"].tolist() == [True, True, True, True, True, False, True]


def test_rows_without_names_in_no_order_are_refused(folder: Path) -> None:
    (folder / "real.json").write_text(json.dumps(BY_NUMBER[::-1]))
    config = EvaluateConfig((folder / "m.npy",), labels=folder / "real.json", out=folder / "results")
    with pytest.raises(EvaluationError, match="in no order do they hold the classes of val"):
        evaluate(str(folder / "val.json"), config)
    (folder / "real.json").write_text(json.dumps([[0], [1]]))
    with pytest.raises(EvaluationError, match="2 rows without names for the 8 images"):
        evaluate(str(folder / "val.json"), config)
    (folder / "real.json").write_text(json.dumps([[9]] * 8))
    with pytest.raises(EvaluationError, match=r"real.json: class 9 is out of range 0 to 3"):
        evaluate(str(folder / "val.json"), config)


def test_a_table_of_ids_with_a_row_per_label_and_classes_beyond_the_sets(folder: Path) -> None:
    names = json.loads((folder / "val.json").read_text())["image_filenames"]
    rows = [(name.removesuffix(".JPEG"), given) for name, given in names] + [(names[0][0][:-5], "zebra")]
    pd.DataFrame(rows, columns=["image_id", "class"]).to_csv(folder / "labels.csv", index=False)
    (folder / "classes.txt").write_text("\n".join([*CLASSES, "ant", "zebra"]))
    np.save(folder / "m.npy", np.array([5, 0, 1, 1, 2, 2, 3, 4]))
    config = EvaluateConfig(
        (folder / "m.npy",), classes=folder / "classes.txt", labels=folder / "labels.csv", out=folder / "r"
    )
    (row,) = evaluate(str(folder / "val.json"), config).scores
    assert row.correct.tolist() == [True] * 7 + [False]
    assert (row.given_k, row.single_k, row.single_n) == (6, 6, 7)
    stored = load([folder / "r"]).set("val (labels)")
    assert stored.images["num_labels"].tolist() == [2] + [1] * 7
    assert list(stored.images["all_classes"][0]) == ["cat", "zebra"]


def test_predictions_in_the_order_of_reals_own_list_fit(folder: Path) -> None:
    """All rows, those without a label among them: their places are known."""
    answers = np.array([0, 1, 0, 0, 3, 1, 3, 2])
    np.save(folder / "whole.npy", answers)
    (row,) = evaluate(
        str(folder / "real.json"), EvaluateConfig((folder / "whole.npy",), out=folder / "r")
    ).scores
    assert (row.k, row.n) == (7, 7)


def test_a_manifest_with_second_labels(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "wnid": ["cat", "dog", "owl"],
            "second_labels": [["dog"], [], ["cat", "dog"]],
        }
    )
    frame.to_parquet(tmp_path / "s.parquet")
    frame.assign(second_labels=['["dog"]', "", '["cat", "dog"]']).to_csv(tmp_path / "s.csv", index=False)
    sets = [read_set(tmp_path / name) for name in ("s.parquet", "s.csv")]
    assert sets[0].hash == sets[1].hash
    for made in sets:
        assert made.counts.tolist() == [2, 1, 3]
        assert made.agree(np.array([1, 1, 2])).tolist() == [True, True, True]
        assert made.own.tolist() == [0, 1, 2]


def test_average_precision_counts_an_image_for_each_of_its_classes() -> None:
    """Of three images two show a dog, ranked first and third, with precisions 1 and 2/3: 6 points of 1, 5 of 2/3."""
    scores = np.array([[0.9, 0.8], [0.7, 0.5], [0.1, 0.3]])
    one, both = np.array([0, 0, 1]), np.array([[0, 1], [0, 0], [1, 1]])
    cat = 1.0
    assert average_precision_11(scores, both) == pytest.approx((cat + (6 + 5 * 2 / 3) / 11) / 2)
    assert average_precision_11(scores, one) == pytest.approx((cat + 1 / 3) / 2)
