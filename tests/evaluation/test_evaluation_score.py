"""Predictions, their guards, and what is kept of them."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.outliers import far_below
from newtest.evaluation.analysis.tables import accuracy_table, by_column, render, table_by
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.class_lists import read_classes
from newtest.evaluation.scoring.classmap import class_map, restrict
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.guards import string_order
from newtest.evaluation.scoring.loading import load
from newtest.evaluation.scoring.metrics import average_precision_11, mean_per_class, rank_of_truth
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.reading import read_predictions, read_sheets
from newtest.evaluation.scoring.results import as_results, read_results
from newtest.evaluation.scoring.score import Score, ScoreConfig, score
from newtest.evaluation.scoring.sets import EvaluationSet, find_set, make_set, read_set
from newtest.evaluation.scoring.store import read_store, write_scores


def scored_file(evaluated: EvaluationSet, path: Path) -> tuple[list[Score], list[Caution]]:
    """A file's scores, and every caution of reading and of scoring it."""
    found, said = read_predictions(path, evaluated)
    scores, cautions = score(evaluated, found)
    return scores, [*said, *cautions]


def a_set(images: int = 200, classes: int = 20) -> EvaluationSet:
    labels = np.random.default_rng(0).permutation(np.arange(images) % classes)
    frame = pd.DataFrame({"image_id": [f"i{at:04d}" for at in range(images)], "label": labels})
    frame["num_shown"] = 10
    frame["num_selected"] = np.arange(images) % 11
    return make_set(frame, "s")


def answers(evaluated: EvaluationSet, share: float = 0.9, model: str = "m", **changes: object) -> Predictions:
    rng = np.random.default_rng(1)
    wrong = rng.random(len(evaluated)) > share
    values = np.where(
        wrong, (evaluated.labels + 1 + rng.integers(15, size=len(evaluated))) % 20, evaluated.labels
    )
    return Predictions(
        **({"model": model, "source": "file.npy", "kind": "labels", "values": values} | changes)
    )  # type: ignore[arg-type]


def kinds(evaluated: EvaluationSet, *predictions: Predictions) -> list[tuple[str, bool]]:
    return [(caution.kind, caution.fatal) for caution in score(evaluated, predictions)[1]]


def test_good_predictions_need_no_word() -> None:
    evaluated = a_set()
    scores, cautions = score(evaluated, [answers(evaluated)])
    assert cautions == []
    assert (scores[0].k, scores[0].n) == (int(scores[0].correct.sum()), 200)
    assert scores[0].set_hash == evaluated.hash


def test_a_wrong_length_is_named() -> None:
    evaluated = a_set()
    short = answers(evaluated)
    scores, cautions = score(
        evaluated, [answers(evaluated, values=short.values[:-1]), answers(evaluated, model="good")]
    )
    assert str(cautions[0]) == "file.npy: m: 199 predictions for the 200 images of s"
    assert [s.model for s in scores] == ["good"], "the others go on"


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (
            lambda v: v + 1,
            "out-of-range",
            "class 20 is out of range 0 to 19: one too many, so the model likely has a background",
        ),
        (lambda v: v - 1, "out-of-range", "class -1 is out of range"),
        (lambda v: np.where(v == 3, np.nan, v), "not-a-number", "answers are missing"),
        (lambda v: v / 20, "out-of-range", "fractions, not classes"),
        (
            lambda v: np.array([f"c{x}" for x in v]),
            "out-of-range",
            "answers are not classes of the set, first",
        ),
        (lambda v: np.eye(21)[v], "wrong-classes", "21 scores per image for 20 classes"),
        (lambda v: np.where(np.eye(20)[v] > 0, np.nan, 0), "not-a-number", "200 rows of scores hold NaN"),
    ],
)
def test_what_cannot_be_scored_says_why(values: object, kind: str, words: str) -> None:
    evaluated = a_set()
    bad = values(answers(evaluated).values)  # type: ignore[operator]
    given = answers(evaluated, values=bad, kind="scores" if bad.ndim == 2 else "labels")
    scores, cautions = score(evaluated, [given])
    assert scores == []
    assert (cautions[0].kind, cautions[0].fatal) == (kind, True)
    assert words in cautions[0].message


def test_ids_may_come_in_any_order_but_must_be_there() -> None:
    evaluated = a_set()
    order = np.random.default_rng(2).permutation(200)
    ids = evaluated.images["image_id"].to_numpy(dtype=str)
    given = answers(evaluated)
    shuffled = answers(evaluated, values=given.values[order], ids=ids[order])
    assert (
        score(evaluated, [shuffled])[0][0].correct.tolist()
        == score(evaluated, [given])[0][0].correct.tolist()
    )
    more = answers(evaluated, values=np.append(given.values, 0), ids=np.append(ids, "stranger"))
    scores, cautions = score(evaluated, [more])
    assert scores[0].n == 200
    assert "1 ids are not in s, first 'stranger'" in cautions[0].message
    assert kinds(evaluated, answers(evaluated, values=given.values[1:], ids=ids[1:])) == [
        ("missing-ids", True)
    ]
    assert kinds(evaluated, answers(evaluated, ids=np.append(ids[:-1], ids[0]))) == [("repeated-ids", True)]


def test_duplicate_names_are_said_unless_they_agree() -> None:
    evaluated = a_set()
    given = answers(evaluated)
    other = answers(evaluated, values=(given.values + 1) % 20, source="other.npy")
    scores, cautions = score(evaluated, [given, other])
    assert [c.kind for c in cautions] == ["duplicate-model"]
    assert scores[0].k == score(evaluated, [given])[0][0].k, "the first counts"
    ranking = np.stack([given.values, *((given.values + d) % 20 for d in (1, 2, 3, 4))], axis=1)
    same = answers(evaluated, values=ranking, kind="ranking", source="other.npy")
    scores, cautions = score(evaluated, [given, same])
    assert cautions == []
    assert scores[0].top5_k is not None, "the richer of two that agree"


@pytest.mark.parametrize(
    ("rename", "reason"),
    [
        (lambda v: string_order(20)[v], "sorted as strings"),
        (lambda v: np.argsort(string_order(20))[v], "sorted as strings"),
        (lambda v: np.random.default_rng(5).permutation(20)[v], "under the best renaming"),
    ],
)
def test_permuted_classes_are_noticed(rename: object, reason: str) -> None:
    evaluated = a_set(600)
    given = answers(evaluated)
    caution = score(evaluated, [answers(evaluated, values=rename(given.values))])[1][0]  # type: ignore[operator]
    assert (caution.kind, caution.fatal) == ("permuted", False)
    assert reason in caution.message


def test_shifted_classes_are_noticed() -> None:
    evaluated = a_set()
    values = np.clip(answers(evaluated).values + 1, 0, 19)
    assert "background class" in score(evaluated, [answers(evaluated, values=values)])[1][0].message


def test_rows_in_another_order_are_noticed() -> None:
    evaluated = a_set()
    values = np.random.default_rng(3).permutation(answers(evaluated).values)
    assert kinds(evaluated, answers(evaluated, values=values)) == [("chance", False)]


def test_a_bad_model_is_not_accused() -> None:
    evaluated = a_set(2000)
    assert kinds(evaluated, answers(evaluated, 0.2)) == []


def test_scores_give_top5_and_average_precision() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    labels = np.array([0, 2, 1])
    assert rank_of_truth(scores, labels).tolist() == [0, 1, 1]
    assert average_precision_11(np.eye(3)[labels], labels) == pytest.approx(1)
    # Class 2 is second of three for its only image: precision 1/2 at every recall; the tie keeps the set's order.
    assert average_precision_11(
        np.array([[1.0, 0, 0.4], [0, 1.0, 0.5], [0, 0, 0.45]]), np.array([0, 1, 2])
    ) == pytest.approx((1 + 1 + 0.5) / 3)
    assert mean_per_class(np.array([True, True, False]), np.array([0, 0, 2])) == pytest.approx(0.5)


def test_every_form_of_file_gives_the_same(tmp_path: Path) -> None:
    evaluated = a_set()
    given = answers(evaluated).values
    ids = evaluated.images["image_id"]
    np.save(tmp_path / "a.npy", given)
    np.save(tmp_path / "b.npy", np.eye(20)[given])
    np.savez(tmp_path / "c.npz", models=["m"], top1=given[None])
    np.savez(tmp_path / "d.npz", m=given.astype(np.uint16))
    np.savez(tmp_path / "e.npz", labels=given, image_ids=ids.to_numpy(dtype=str))
    (tmp_path / "f.json").write_text(json.dumps({"m": given.tolist()}))
    with gzip.open(tmp_path / "g.json.gz", "wt") as handle:
        json.dump(dict(zip(ids, given.tolist(), strict=True)), handle)
    (tmp_path / "h.json").write_text(json.dumps(given.tolist()))
    pd.DataFrame({"image_id": ids, "prediction": given})[::-1].to_csv(tmp_path / "i.csv", index=False)
    pd.DataFrame({"image_id": ids, "m": given}).to_parquet(tmp_path / "j.parquet")
    pd.DataFrame({"model": "m", "prediction": given}).to_csv(tmp_path / "k.csv", index=False)
    (tmp_path / "l.json").write_text(
        json.dumps({i: [int(v), -1, -2, -3, -4] for i, v in zip(ids, given, strict=True)})
    )
    expected = int((given == evaluated.labels).sum())
    for path in sorted(tmp_path.iterdir()):
        scores, cautions = scored_file(evaluated, path)
        if path.name == "l.json":
            assert [c.kind for c in cautions] == ["wrong-classes"], (
                "a ranking by id, with classes that are none"
            )
            continue
        assert (cautions, scores[0].k) == ([], expected), path.name


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY but no", b"{", b"[]"])
def test_files_that_are_no_predictions(tmp_path: Path, content: bytes) -> None:
    for suffix in ("npy", "npz", "json", "csv", "parquet", "txt"):
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(content)
        evaluated = a_set()
        try:
            found = scored_file(evaluated, path)
        except EvaluationError as error:
            assert path.name in str(error)
        else:
            assert found[0] == []


def test_pickles_are_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(EvaluationError, match=r"evil\.npy"):
        read_sheets(tmp_path / "evil.npy")


def test_sets_come_in_many_forms(tmp_path: Path) -> None:
    for wnid, name in (("n02", "b.png"), ("n01", "a.jpg"), ("n02", "notes.txt")):
        (tmp_path / "folder" / wnid).mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / wnid / name).write_bytes(b"")
    folder = read_set(tmp_path / "folder")
    assert (folder.classes, folder.labels.tolist()) == (("n01", "n02"), [0, 1])
    (tmp_path / "release").mkdir()
    pd.DataFrame(
        {"image_id": ["x", "y"], "wnid": ["n02", "n01"], "file": ["n02/x.jpg", "../../etc/passwd"]}
    ).to_csv(tmp_path / "release" / "manifest.csv", index=False)
    release = read_set(tmp_path / "release", classes=("n02", "n01"))
    assert release.labels.tolist() == [0, 1]
    assert release.images["path"].tolist() == [str(tmp_path / "release" / "n02" / "x.jpg"), ""], (
        "names never become paths"
    )
    np.save(tmp_path / "labels.npy", np.array([2, 0]))
    assert read_set(tmp_path / "labels.npy").classes == ("0", "1", "2")
    for name, words in (("empty.csv", "no images"), ("none.csv", "no class column")):
        (tmp_path / name).write_text("image_id,wnid\n" if name == "empty.csv" else "a,b\n1,2\n")
        with pytest.raises(EvaluationError, match=words):
            read_set(tmp_path / name)
    with pytest.raises(EvaluationError, match="no such file or folder, and no study"):
        find_set("matched-0", tmp_path)


def test_a_hash_names_the_members_not_their_order() -> None:
    frame = pd.DataFrame({"image_id": ["a", "b", "c"], "wnid": ["n1", "n2", "n1"]})
    assert make_set(frame, "s").hash == make_set(frame[::-1], "s").hash
    assert make_set(frame, "s").hash != make_set(frame.assign(wnid="n1"), "s").hash


def test_many_classes_onto_few() -> None:
    evaluated = a_set()
    names = {str(at): "low" if at < 10 else "high" for at in range(20)} | {"19": "other"}
    coarse = restrict(evaluated, names, ("high", "low"))
    assert len(coarse) == 190
    mapping = class_map(evaluated.classes, ("high", "low"), names)
    keep = evaluated.labels != 19
    given = answers(evaluated, values=evaluated.labels[keep])
    found = score(coarse, [given], ScoreConfig(mapping=mapping))[0][0]
    assert found.k == 190
    spread = np.eye(20)[evaluated.labels[keep]]
    assert (
        score(coarse, [answers(evaluated, values=spread, kind="scores")], ScoreConfig(mapping=mapping))[0][
            0
        ].k
        == 190
    )
    with pytest.raises(EvaluationError, match="reached by no output"):
        class_map(("a",), ("a", "b"))


def test_a_subset_of_classes_is_scored_from_the_model_s_own(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("n1 one\nn2 two\nn3 three\n")
    pd.DataFrame({"image_id": ["a", "b"], "wnid": ["n3", "n1"]}).to_csv(tmp_path / "set.csv", index=False)
    np.save(tmp_path / "m.npy", np.array([[0.1, 5.0, 0.2], [0.3, 0.2, 0.1]]))
    options = EvaluateConfig((tmp_path / "m.npy",), classes=tmp_path / "classes.txt", out=tmp_path / "out")
    assert evaluate(str(tmp_path / "set.csv"), options).scores[0].k == 2, "n2 is not a class of this set"
    assert read_classes(tmp_path / "classes.txt", ("n1", "n3")) == ("n1", "n2", "n3")


def scored(evaluated: EvaluationSet, model: str, share: float) -> Score:
    return score(evaluated, [answers(evaluated, share, model=model)])[0][0]


def test_results_are_kept_and_joined(tmp_path: Path) -> None:
    evaluated = a_set()
    write_scores(tmp_path, evaluated, [scored(evaluated, "a", 0.9), scored(evaluated, "b", 0.5)])
    folder = write_scores(
        tmp_path, evaluated, [scored(evaluated, "b", 0.8), scored(evaluated, "../c", 0.7)], groups={"b": "g"}
    )
    (kept,) = read_store(tmp_path)
    assert kept.results["model"].tolist() == ["../c", "a", "b"]
    assert kept.results["group"].tolist() == ["", "", "g"]
    assert kept.correct.sum(axis=1).tolist() == kept.results["k"].tolist()
    assert kept.correct.loc["b"].tolist() == scored(evaluated, "b", 0.8).correct.tolist()
    assert sorted(p.name for p in folder.iterdir()) == [
        ".lock",
        ".newtest-made",
        "correct.npz",
        "images.parquet",
        "results.csv",
        "set.json",
    ]
    assert read_results([folder / "results.csv"]).table["k"].tolist() == kept.results["k"].tolist()


def test_a_row_whose_images_a_kill_lost_never_was(tmp_path: Path) -> None:
    evaluated = a_set()
    folder = write_scores(tmp_path, evaluated, [scored(evaluated, "a", 0.9)])
    old = (folder / "results.csv").read_text()
    write_scores(tmp_path, evaluated, [scored(evaluated, "a", 0.5), scored(evaluated, "b", 0.5)])
    (folder / "results.csv").write_text(old)  # as if killed between the two files
    assert read_store(tmp_path)[0].results.empty
    write_scores(tmp_path, evaluated, [scored(evaluated, "a", 0.5)])
    assert read_store(tmp_path)[0].results["model"].tolist() == ["a"]
    (folder / "correct.npz").write_bytes(b"half")
    with pytest.raises(EvaluationError, match="damaged results"):
        read_store(tmp_path)


def test_tables_by_class_frequency_and_column(tmp_path: Path) -> None:
    evaluated = a_set(220)
    write_scores(tmp_path, evaluated, [scored(evaluated, "a", 0.9)])
    stored = read_store(tmp_path)
    bins = table_by(stored, "frequency")
    assert bins["frequency"].tolist() == ["0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0"]
    assert bins["n"].tolist() == [40, 40, 40, 40, 60], "2 of 10 is in the second bin, 10 of 10 in the last"
    assert bins["k"].sum() == stored[0].results["k"].sum()
    classes = table_by(stored, "class")
    assert len(classes) == 20
    assert (classes["lo"] <= classes["accuracy"]).all()
    with pytest.raises(EvaluationError, match="no column 'colour'"):
        table_by(stored, "colour")
    assert by_column(stored[0].correct, pd.Series([None] * 220, name="x")).empty


def test_exact_intervals_at_the_ends_and_hostile_cells() -> None:
    frame = pd.DataFrame({"model": ["a|b", "c_d&"], "set": "s", "k": [0, 10], "n": 10})
    table = accuracy_table(as_results(frame).table).set_index("model")
    assert table.loc["a|b", ["s lo", "s hi"]].tolist() == pytest.approx([0.0, 30.85], abs=0.005)
    assert table.loc["c_d&", ["s lo", "s hi"]].tolist() == pytest.approx([69.15, 100.0], abs=0.005)
    assert "| a\\|b | 0.00 [0.00, 30.85] |" in render(table.reset_index(), "markdown")
    assert r"c\_d\&" in render(table.reset_index(), "latex")
    assert render(table.reset_index(), "csv").splitlines()[0] == "model,group,s,s lo,s hi"


def test_bad_result_tables() -> None:
    good = pd.DataFrame({"model": ["a"], "set": ["s"], "k": [1], "n": [2]})
    for change, words in (
        ({"k": 3}, "cannot be"), ({"n": 1.5}, "whole numbers"), ({"k": -1}, "cannot be"),
    ):  # fmt: skip
        with pytest.raises(EvaluationError, match=words):
            as_results(good.assign(**change))
    empty = as_results(good.assign(k=0, n=0))
    assert empty.table["accuracy"].isna().all()
    assert empty.cautions[0].kind == "empty-set"
    with pytest.raises(EvaluationError, match="an accuracy of 101 cannot be"):
        as_results(pd.DataFrame({"model": ["a"], "set": ["s"], "accuracy": [101]}))
    mixed = pd.DataFrame({"model": ["a", "b"], "val": [76.1, 80.2], "v2": [0.63, 0.7]})
    with pytest.raises(EvaluationError, match="set v2: no accuracy is above 1 while others are in percent"):
        as_results(mixed)
    signed = mixed.assign(val=["76.1 %", "80.2 %"])
    with pytest.raises(EvaluationError, match="say `unit` percent if they are"):
        as_results(signed)
    assert as_results(signed, unit="percent").table["accuracy"].tolist() == [76.1, 80.2, 0.63, 0.7]
    stray = pd.DataFrame({"model": list("abcd"), "val": [76.1, 80.2, 0.63, 70]})
    assert "a fraction among percentages" in as_results(stray).cautions[0].message
    some = pd.DataFrame({"model": list("abc"), "set": "s", "k": [1, 1, None], "n": [2, None, 2]})
    found = as_results(some)
    assert found.table["model"].tolist() == ["a"]
    assert found.cautions[0].message == "2 rows have no k or no n, first 'b' on 's'; they are left out"
    assert as_results(mixed[["model", "v2"]]).table["accuracy"].tolist() == [63, 70]


def test_a_model_far_below_the_others_is_named() -> None:
    x = np.linspace(30, 80, 30)
    y = x - 10 + np.random.default_rng(0).normal(0, 0.3, 30)
    y[7] = 2.5
    rows = [(f"m{at}", name, values[at]) for name, values in (("x", x), ("y", y)) for at in range(30)]
    table = as_results(pd.DataFrame(rows, columns=["model", "set", "accuracy"])).table
    (caution,) = far_below(table, "x", "y")
    assert (caution.model, caution.kind) == ("m7", "far-below")
    assert far_below(table[table["model"] != "m7"], "x", "y") == []
    equal = table.assign(accuracy=50.0)
    assert far_below(equal, "x", "y") == [], "all models equal"


def test_a_model_that_could_not_answer_is_wrong_there_and_no_more() -> None:
    evaluated = make_set(pd.DataFrame({"id": list("abcd"), "wnid": ["n0", "n1", "n0", "n1"]}), "gaps")
    ranking = np.array([[0, 2], [-1, -1], [0, 1], [1, 0]])
    one = Predictions("m", "m", "ranking", ranking, gaps=True)
    mapping = class_map(("n0", "n1", "n2"), evaluated.classes)
    for options in (ScoreConfig(), ScoreConfig(mapping=mapping)):
        given = one if options.mapping else replace(one, values=np.minimum(ranking, 1))
        scores, cautions = score(evaluated, [given], options)
        assert [(s.k, s.correct.tolist()) for s in scores] == [(3, [True, False, True, True])]
        assert not [caution for caution in cautions if caution.fatal]
    _, [caution] = score(evaluated, [replace(one, gaps=False, values=np.minimum(ranking, 1))])
    assert caution.fatal and "class -1 is out of range" in caution.message


def test_average_precision_does_not_depend_on_the_order_of_equal_scores() -> None:
    labels = np.repeat([0, 1], 10)
    constant = np.ones((20, 2))
    assert average_precision_11(constant, labels) == pytest.approx(0.5)
    order = np.random.default_rng(0).permutation(20)
    coarse = np.round(np.random.default_rng(1).random((20, 2)), 1)
    assert average_precision_11(coarse[order], labels[order]) == average_precision_11(coarse, labels)


def test_a_class_map_takes_a_set_of_wnids_and_predictions_in_its_order(tmp_path: Path) -> None:
    """The original, in the model's own classes, on the classes of a new set: the x axis of a line."""
    members = [[f"i{at}", f"n{at % 4:08d}"] for at in range(40)]
    (tmp_path / "val.json").write_text(json.dumps({"image_filenames": members}))
    (tmp_path / "map.csv").write_text("from,to\nn00000000,low\nn00000001,low\nn00000003,high\n")
    truth = np.array([at % 4 for at in range(40)])
    given = truth.copy()
    given[[1, 3, 4]] = 0, 1, 2  # right: the same superclass; wrong: the other; wrong: no class of the set
    np.save(tmp_path / "m.npy", given)
    np.save(tmp_path / "scores.npy", np.eye(4)[given] + 0.1 * np.eye(4)[truth])
    options = EvaluateConfig(
        (tmp_path / "m.npy", tmp_path / "scores.npy"), class_map=tmp_path / "map.csv", out=tmp_path / "out"
    )
    outcome = evaluate(str(tmp_path / "val.json"), options)
    assert [(s.model, s.k, s.n) for s in outcome.scores] == [("m", 28, 30), ("scores", 29, 30)]
    assert [(caution.kind, caution.model, caution.fatal) for caution in outcome.cautions] == [
        ("classes-outside", "", False),
        ("other-classes", "m", False),
    ]
    assert "1 classes of the set are reached by no output: 'n00000002'; 10 images are left out" in (
        outcome.cautions[0].message
    )


def test_a_set_without_images_of_a_class_is_scored_among_all_of_the_map(tmp_path: Path) -> None:
    pd.DataFrame({"image_id": ["a", "b"], "class": ["cat", "cat"]}).to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "map.csv").write_text("from,to\ntabby,cat\nlion,cat\nbeagle,dog\n")
    (tmp_path / "classes.txt").write_text("beagle\nlion\ntabby\n")
    np.save(tmp_path / "m.npy", np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.9]]))
    options = EvaluateConfig(
        (tmp_path / "m.npy",), classes=tmp_path / "classes.txt", class_map=tmp_path / "map.csv", out=tmp_path
    )
    assert evaluate(str(tmp_path / "new.csv"), options).scores[0].k == 1, "one is called a dog"


def test_five_outputs_are_no_five_classes_where_a_map_merges_them() -> None:
    evaluated = make_set(pd.DataFrame({"image_id": ["a"], "class": ["x"]}), "s", classes=tuple("xyzuvw"))
    outputs = tuple(f"o{at}" for at in range(8))
    mapping = class_map(outputs, evaluated.classes, dict(zip(outputs, "xyzuvwww", strict=True)))
    given = Predictions("m", "f", "ranking", np.array([[7, 6, 5, 4, 0]]))
    assert score(evaluated, [given], ScoreConfig(mapping=mapping))[0][0].top5_k is None


def test_results_of_one_set_from_two_folders_are_joined(tmp_path: Path) -> None:
    evaluated = a_set()
    shuffled = make_set(evaluated.images.sample(frac=1, random_state=0).reset_index(drop=True), "s")
    assert shuffled.hash == evaluated.hash
    write_scores(tmp_path / "one", evaluated, [scored(evaluated, "a", 0.9), scored(evaluated, "both", 0.8)])
    ids = evaluated.images["image_id"].to_numpy(dtype=str)
    given = answers(evaluated, 0.7, model="b", ids=ids)
    write_scores(tmp_path / "two", shuffled, score(shuffled, [given, replace(given, model="both")])[0])
    loaded = load([tmp_path / "one", tmp_path / "two"])
    stored = loaded.stored["s"]
    assert stored.correct.index.tolist() == ["a", "both", "b"]
    assert stored.correct.loc["b"].tolist() == score(evaluated, [given])[0][0].correct.tolist()
    assert stored.correct.sum(axis=1).tolist() == loaded.results.table["k"].tolist()
    assert [(caution.kind, caution.model) for caution in loaded.results.cautions] == [
        ("duplicate-model", "both")
    ]


def test_a_set_listed_in_another_order_keeps_its_images_apart(tmp_path: Path) -> None:
    evaluated = a_set()
    shuffled = make_set(evaluated.images.sample(frac=1, random_state=0).reset_index(drop=True), "s")
    given = answers(evaluated, 0.7, ids=evaluated.images["image_id"].to_numpy(dtype=str))
    write_scores(tmp_path, evaluated, score(evaluated, [given])[0])
    write_scores(tmp_path, shuffled, score(shuffled, [replace(given, model="again")])[0])
    (kept,) = read_store(tmp_path)
    assert (kept.correct.loc["m"] == kept.correct.loc["again"]).all(), (
        "the same answers are right on the same images"
    )


def test_names_of_images_are_text_and_stand_once(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("image_id,class\n0001,a\n0002,b\n")
    (tmp_path / "p.csv").write_text("image_id,prediction\n0002,b\n0001,a\n")
    evaluated = read_set(tmp_path / "s.csv")
    assert evaluated.images["image_id"].tolist() == ["0001", "0002"]
    assert scored_file(evaluated, tmp_path / "p.csv")[0][0].k == 2
    (tmp_path / "s.csv").write_text("image_id,class\n0001,a\n0002,b\n0001,a\n")
    with pytest.raises(EvaluationError, match="1 rows repeat an image of a class, first '0001'"):
        read_set(tmp_path / "s.csv")


def test_cells_that_are_no_numbers_are_said() -> None:
    frame = pd.DataFrame({"model": ["a", "b", "c"], "set": "s", "accuracy": ["76.1 points", 50.0, None]})
    [caution] = as_results(frame).cautions
    assert (caution.kind, "first '76.1 points'" in caution.message) == ("not-a-number", True)
    with pytest.raises(EvaluationError, match="'k' must hold whole numbers"):
        as_results(pd.DataFrame({"model": ["a"], "set": ["s"], "k": ["x"], "n": [3]}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.json", b"[" * 100_000),
        ("mixed.json", b'{"m": {"a": 1}, "n": [1, 2]}'),
        ("times.npy", np.zeros(3, "M8[s]")),
        ("pairs.npy", np.zeros(3, "u8,u8")),
        ("vast.npz", (10**13,)),
        ("empty.npz", None),
    ],
)
def test_hostile_files_are_one_sentence(tmp_path: Path, name: str, content: object) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            if content is not None:
                header = io.BytesIO()
                about = {"descr": "<f8", "fortran_order": False, "shape": content}
                np.lib.format.write_array_header_1_0(header, about)
                archive.writestr("top1.npy", header.getvalue() + bytes(100))
    with pytest.raises(EvaluationError, match=name):
        read_sheets(path)


def test_no_name_is_a_command_of_latex_or_an_interval() -> None:
    frame = pd.DataFrame({"model": ["[b]", "*c\n\n"], "set": "ends lo", "k": [5, 4], "n": 10})
    table = accuracy_table(as_results(frame).table)
    latex = render(table, "latex")
    assert "\n{[}b]" in latex and "\n{*}c &" in latex, "a row's end would take them for its argument"
    assert "ends lo" in render(table, "markdown").splitlines()[0]
