"""What the columns of a file of predictions mean, and that nothing wrong comes out in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.class_lists import read_classes
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.reading import read_predictions, read_sheets
from newtest.evaluation.scoring.score import Score, ScoreConfig, score
from newtest.evaluation.scoring.sets import EvaluationSet, make_set, read_set
from newtest.evaluation.scoring.store import read_store, write_scores

CLASSES = ("cat", "dog", "owl")
TRUTH = np.array([at % 3 for at in range(30)])
GIVEN = np.where(np.arange(30) % 5 == 0, (TRUTH + 1) % 3, TRUTH)  # 24 of 30


def a_set(classes: tuple[str, ...] = CLASSES) -> EvaluationSet:
    ids = [f"{classes[at]}/{row:02d}.jpg" for row, at in enumerate(TRUTH)]
    return make_set(
        pd.DataFrame({"image_id": ids, "class": [classes[at] for at in TRUTH]}), "s", classes=classes
    )


def named(values: np.ndarray, classes: tuple[str, ...] = CLASSES) -> list[str]:
    return [classes[at] for at in values]


def read(
    path: Path, evaluated: EvaluationSet | None = None, columns: tuple[str, ...] = (), **options: Any
) -> tuple[list[Score], list[Caution]]:
    evaluated = evaluated or a_set()
    found, said = read_predictions(path, evaluated, columns=columns)
    scores, cautions = score(evaluated, found, ScoreConfig(**options))
    return scores, [*said, *cautions]


def table(path: Path, **columns: object) -> Path:
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


IDS = a_set().images["image_id"].tolist()


@pytest.mark.parametrize(
    "columns",
    [
        {"image_id": IDS, "label": named(TRUTH), "top1": named(GIVEN)},
        {"label": named(TRUTH), "resnet50": named(GIVEN)},
        {"label": TRUTH, "y_pred": GIVEN},
        {"class": named(TRUTH), "predicted": named(GIVEN)},
        {"file": IDS, "ground truth": named(TRUTH), "vit": GIVEN},
        {"y_true": TRUTH, "resnet50": GIVEN, "confidence": np.linspace(0, 1, 30)},
        {
            "image_id": IDS,
            "Target": named(TRUTH),
            "prediction": named(GIVEN),
            "correct": (TRUTH == GIVEN).astype(int),
        },
        {"image_id": IDS, "wnid": named(TRUTH), "top1": named(GIVEN), "top2": named((GIVEN + 1) % 3)},
        {"label": named(TRUTH), "p_cat": GIVEN == 0, "p_dog": GIVEN == 1, "p_owl": GIVEN == 2},
    ],
)
def test_the_truth_beside_the_answers_is_never_scored(tmp_path: Path, columns: dict[str, object]) -> None:
    scores, cautions = read(table(tmp_path / "m.csv", **columns))
    assert [s.k for s in scores] == [24], cautions
    assert not any(caution.fatal for caution in cautions)
    [left] = [caution for caution in cautions if caution.kind == "left-out"]
    assert "(the truth)" in left.message and scores[0].columns in left.message


def test_a_column_that_may_be_the_truth_is_asked_for(tmp_path: Path) -> None:
    alone = table(tmp_path / "alone.csv", image_id=IDS, label=named(TRUTH))
    scores, [caution] = read(alone)
    assert scores == [] and caution.fatal and "it may be the truth" in caution.message
    assert read(alone, columns=("label",))[0][0].k == 30
    beside = table(tmp_path / "beside.csv", image_id=IDS, kategorie=named(TRUTH), vit=named(GIVEN))
    scores, cautions = read(beside)
    assert [(s.model, s.k) for s in scores] == [("vit", 24)]
    assert cautions[0].fatal and "'kategorie' equals the set's classes" in cautions[0].message
    scores, cautions = read(beside, columns=("kategorie", "vit"))
    assert ([(s.model, s.k) for s in scores], cautions) == [("kategorie", 30), ("vit", 24)] or (
        [(s.model, s.k) for s in scores] == [("kategorie", 30), ("vit", 24)]
    )
    with_model = table(tmp_path / "perfect.csv", image_id=IDS, resnet=named(TRUTH))
    assert read(with_model)[0][0].k == 30, "a model's name, and nothing beside it"
    _, cautions = read(alone, columns=("resnet",))
    assert "no column 'resnet'; there are image_id, label" in cautions[0].message


def test_a_column_called_answer_may_be_the_truth(tmp_path: Path) -> None:
    """ "answer" is the truth of many a data set."""
    for model in ("resnet50", "top1"):
        beside = table(tmp_path / "m.csv", image_id=IDS, answer=named(TRUTH), **{model: named(GIVEN)})
        scores, cautions = read(beside)
        assert [one.k for one in scores] == [24]
        assert [one.kind for one in cautions if one.fatal] == ["truth"]
    alone = table(tmp_path / "m.csv", image_id=IDS, answer=named(GIVEN), loss=np.linspace(0, 1, 30))
    assert [one.k for one in read(alone)[0]] == [24]


def test_two_names_of_the_truth(tmp_path: Path) -> None:
    scores, cautions = read(table(tmp_path / "m.csv", image_id=IDS, target=named(TRUTH), label=named(GIVEN)))
    assert [(s.k, s.columns) for s in scores] == [(24, "label")]
    assert not any(caution.fatal for caution in cautions)
    scores, [caution] = read(table(tmp_path / "n.csv", image_id=IDS, label=TRUTH, **{"class": named(TRUTH)}))
    assert scores == [] and caution.fatal, "no column of answers at all"


def test_a_label_beside_a_probability_may_be_the_truth(tmp_path: Path) -> None:
    sure = np.linspace(0.4, 0.9, 30)
    assert [s.k for s in read(table(tmp_path / "m.csv", filename=IDS, label=named(GIVEN), prob=sure))[0]] == [
        24
    ]
    scores, [caution] = read(table(tmp_path / "m.csv", filename=IDS, label=named(TRUTH), prob=sure))
    assert scores == [] and "it may be the truth" in caution.message
    scores, _ = read(table(tmp_path / "m.csv", filename=IDS, label=named(TRUTH), vit=named(GIVEN), prob=sure))
    assert [(s.model, s.k) for s in scores] == [("vit", 24)]


def test_a_file_called_as_one_of_its_models_holds_them_all(tmp_path: Path) -> None:
    path = table(
        tmp_path / "vit.csv", image_id=IDS, label=named(TRUTH), vit=named(GIVEN), cnn=named((TRUTH + 1) % 3)
    )
    assert [(s.model, s.k) for s in read(path)[0]] == [("vit", 24), ("cnn", 0)]


def test_rows_by_position_are_checked_by_a_truth_column(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(30)
    path = table(tmp_path / "m.csv", label=named(TRUTH[order]), resnet50=named(GIVEN[order]))
    scores, [caution] = read(path)
    assert scores == [] and "they are in another order than the set's" in caution.message
    keyed = table(
        tmp_path / "k.csv", photo=[IDS[at] for at in order], label=named(TRUTH[order]), m=named(GIVEN[order])
    )
    scores, _ = read(keyed)
    assert [(s.k, s.key) for s in scores] == [(24, "photo")], "a key by its cells, whatever its name"
    one_off = TRUTH.copy()
    one_off[3] = (one_off[3] + 1) % 3
    scores, cautions = read(table(tmp_path / "o.csv", label=one_off, m=GIVEN))
    assert scores[0].key == "rows by position"
    assert "'label' differs from the set's classes for 1 of 30 images" in cautions[0].message


def test_scores_are_matched_by_name_or_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores_of = 0.2 * rng.random((30, 3)) + np.eye(3)[GIVEN]
    for names in (("p_owl", "p_cat", "p_dog"), ("owl", "cat", "dog"), ("prob_Owl", "prob_CAT", "prob_dog")):
        order = [CLASSES.index(name.split("_")[-1].lower()) for name in names]
        path = table(
            tmp_path / "m.csv", id=IDS, **{n: scores_of[:, at] for n, at in zip(names, order, strict=True)}
        )
        found, cautions = read(path)
        assert [(s.k, s.kind) for s in found] == [(24, "scores")], (names, cautions)
        assert found[0].class_rule == "by name; among all 3 classes"
    many = tuple(f"class {at:02d}" for at in range(12))
    evaluated = a_set((*CLASSES, *many))
    wide = np.zeros((30, 15))
    wide[:, :3] = scores_of
    columns = {f"p_{at}": wide[:, at] for at in sorted(range(15), key=str)}  # p_0, p_1, p_10, ...
    assert read(table(tmp_path / "n.csv", **columns), evaluated)[0][0].k == 24
    more = table(
        tmp_path / "more.csv",
        id=IDS,
        p_owl=scores_of[:, 2],
        p_bee=9.0,
        p_cat=scores_of[:, 0],
        p_dog=scores_of[:, 1],
    )
    assert [(s.k, s.among) for s in read(more)[0]] == [(24, "set")]
    assert [(s.k, s.among) for s in read(more, among="both")[0]] == [(24, "set"), (0, "all")]
    less = table(tmp_path / "less.csv", id=IDS, p_owl=scores_of[:, 2], p_cat=scores_of[:, 0])
    assert "1 classes have no column among p_owl..p_cat, first 'dog'" in read(less)[1][0].message
    from_one = table(tmp_path / "one.csv", id=IDS, **{f"p_{at + 1}": scores_of[:, at] for at in range(3)})
    assert "numbered 1 to 3" in read(from_one)[1][0].message


@pytest.mark.parametrize(
    "name",
    ["pred_{}", "P({})", "{}_score", "conf {}", "logits/{}", "class={}", "{}"],
)
@pytest.mark.parametrize("numbers", ["scores", "one-hot", "true and false"])
def test_a_column_a_class_under_any_name(tmp_path: Path, name: str, numbers: str) -> None:
    rows: np.ndarray = np.eye(3, dtype=int)[GIVEN]
    rows = {"scores": rows * 0.8 + 0.1, "one-hot": rows, "true and false": rows == 1}[numbers]
    order = (2, 0, 1)
    frame = pd.DataFrame({name.format(CLASSES[at]): rows[:, at] for at in order}, index=IDS)
    frame.to_csv(tmp_path / "m.csv")
    frame.to_parquet(tmp_path / "m.parquet")
    for file in ("m.csv", "m.parquet"):
        scores, cautions = read(tmp_path / file)
        kind = "scores" if numbers == "scores" else "one-hot rows"
        assert [(one.model, one.k, one.kind) for one in scores] == [("m", 24, kind)], (file, cautions)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_that_are_numbered_are_told_by_their_values(tmp_path: Path, form: str) -> None:
    """``DataFrame(rows).to_csv`` calls its columns 0, 1, 2, ...."""
    ranking = np.stack([GIVEN, (GIVEN + 1) % 3, (GIVEN + 2) % 3], axis=1)
    hot = np.eye(3, dtype=int)[GIVEN]
    for rows, kind in (
        (ranking, "ranking"),
        (hot, "one-hot rows"),
        (hot * 7 + 1, "scores"),
        (hot * 0.8, "scores"),
    ):
        frame = pd.DataFrame(rows)
        frame.columns = frame.columns.astype(str)
        getattr(frame, f"to_{form}")(tmp_path / f"m.{form}")
        scores, cautions = read(tmp_path / f"m.{form}")
        assert [(one.k, one.kind) for one in scores] == [(24, kind)], cautions


@pytest.mark.parametrize("levels", [("split", "image"), ("model", "image"), (None, None)])
def test_each_level_of_an_index_is_a_key(tmp_path: Path, levels: tuple[str | None, ...]) -> None:
    order = np.random.default_rng(0).permutation(30)
    index = pd.MultiIndex.from_arrays([["val"] * 30, [IDS[at] for at in order]], names=levels)
    pd.DataFrame({"pred": named(GIVEN[order])}, index=index).to_parquet(tmp_path / "m.parquet")
    scores, cautions = read(tmp_path / "m.parquet")
    assert [(one.model, one.k) for one in scores] == [("val" if levels[0] == "model" else "m", 24)], cautions


def test_an_index_of_class_and_file_is_a_path(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(30)
    parts = [IDS[at].split("/") for at in order]
    index = pd.MultiIndex.from_tuples([("val", *part) for part in parts])
    pd.DataFrame({"pred": named(GIVEN[order])}, index=index).to_parquet(tmp_path / "m.parquet")
    scores, cautions = read(tmp_path / "m.parquet")
    assert [one.k for one in scores] == [24], cautions


def test_a_set_is_one_in_any_form_of_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image_id": IDS, "label": named(TRUTH)})
    levels = pd.MultiIndex.from_arrays([["val"] * 30, IDS])
    parts = pd.MultiIndex.from_tuples([("val", *one.split("/")) for one in IDS])
    frame.to_json(tmp_path / "columns.json")
    frame.to_json(tmp_path / "split.json", orient="split")
    frame.to_json(tmp_path / "table.json", orient="table")
    frame.set_index("image_id").to_json(tmp_path / "index.JSON", orient="index")
    frame.to_json(tmp_path / "lines.JSONL", orient="records", lines=True)
    frame.to_json(tmp_path / "records.json.gz", orient="records")
    frame.set_index(levels)[["label"]].to_parquet(tmp_path / "levels.parquet")
    frame.set_index(levels.set_names(["split", "image"]))[["label"]].to_parquet(tmp_path / "named.parquet")
    frame.set_index(parts)[["label"]].to_parquet(tmp_path / "parts.PARQUET")
    answers = table(tmp_path / "m.csv", image=IDS[::-1], pred=named(GIVEN[::-1]))
    for path in sorted(tmp_path.glob("*.[jlpJ]*")):
        made = read_set(path)
        assert (made.name, len(made)) == (path.name.partition(".")[0], 30)
        assert [(one.k, one.n) for one in read(answers, made)[0]] == [(24, 30)], path.name


def test_rows_with_addresses_are_never_taken_by_position(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(30)
    urls = [f"https://h.example/{IDS[at]}?raw=1" for at in order]
    scores, _ = read(table(tmp_path / "m.csv", url=urls, pred=named(GIVEN[order])))
    assert [(one.k, one.key) for one in scores] == [(24, "url, by the file name of the address")]
    other = [f"https://h.example/{at}x.jpg" for at in order]
    scores, cautions = read(table(tmp_path / "m.csv", foto=other, pred=named(GIVEN[order])))
    assert (scores, cautions[-1].kind) == ([], "missing-ids")


def test_pairs_of_label_and_score(tmp_path: Path) -> None:
    """What transformers' image-classification pipeline returns, and an object of scores per image."""
    order = np.random.default_rng(0).permutation(30)
    pairs = [
        [{"label": CLASSES[(at + 1) % 3], "score": 0.2}, {"label": CLASSES[at], "score": 0.7}] for at in GIVEN
    ]
    forms = {
        "positions": pairs,
        "ids": {IDS[at]: pairs[at] for at in order},
        "records": [{"image": IDS[at], "predictions": pairs[at]} for at in order],
        "objects": {
            IDS[at]: {CLASSES[c]: float(c == GIVEN[at]) * 0.6 + 0.2 for c in (2, 0, 1)} for at in order
        },
    }
    for name, form in forms.items():
        (tmp_path / "m.json").write_text(json.dumps(form))
        scores, cautions = read(tmp_path / "m.json")
        assert [one.k for one in scores] == [24], (name, cautions)


def test_pairs_of_label_and_probability(tmp_path: Path) -> None:
    ranks = np.stack([GIVEN, (GIVEN + 1) % 3, (GIVEN + 2) % 3], axis=1)
    for start in (0, 1):
        pairs: dict[str, object] = {"filename": [one.split("/")[1] for one in IDS]}
        for at in (2, 0, 1):  # in any order of columns, and of the classes in each row
            pairs |= {f"label_{at + start}": named(ranks[:, at]), f"prob_{at + start}": [0.7, 0.2, 0.1][at]}
        scores, _ = read(table(tmp_path / "m.csv", **pairs))
        assert [(s.k, s.kind, s.key) for s in scores] == [(24, "ranking", "filename, by file name")]
        mixed = {k.replace("_0", "_x").replace("_1", "_0").replace("_x", "_1"): v for k, v in pairs.items()}
        if start == 0:
            assert read(table(tmp_path / "m.csv", **mixed))[0][0].k == 24, (
                "the probabilities order the answers"
            )


def test_file_names_are_ids_where_they_tell_the_images_apart(tmp_path: Path) -> None:
    for form in (
        lambda one: f"/data/val/{one}",
        lambda one: one.split("/")[1],
        lambda one: one.split("/")[1].split(".")[0],
        lambda one: one.replace("/", "\\"),
        lambda one: f"./{one}",
    ):
        order = np.random.default_rng(0).permutation(30)
        path = table(tmp_path / "m.csv", filename=[form(IDS[at]) for at in order], prediction=GIVEN[order])
        assert [s.k for s in read(path)[0]] == [24], form(IDS[0])
    twice = make_set(pd.DataFrame({"image_id": ["cat/0.jpg", "dog/0.jpg"], "class": ["cat", "dog"]}), "s")
    path = table(tmp_path / "m.csv", filename=["0.jpg", "1.jpg"], prediction=[0, 1])
    scores, [caution] = read(path, twice)
    assert scores == [] and caution.kind == "missing-ids"
    empty = table(tmp_path / "e.csv", image_id=["", *IDS[1:]], prediction=GIVEN)
    assert "1 rows have an empty image id" in read(empty)[1][0].message
    (tmp_path / "s.csv").write_text("image_id,class\n,cat\nb,dog\n")
    with pytest.raises(EvaluationError, match="1 rows have an empty image_id"):
        read_set(tmp_path / "s.csv")


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
def test_rows_of_numbers_are_told_by_their_values(tmp_path: Path, dtype: type) -> None:
    ten = tuple(f"c{at}" for at in range(10))
    evaluated = a_set(ten)
    rng = np.random.default_rng(0)
    rest = np.array([[at for at in rng.permutation(10) if at != given] for given in GIVEN])
    ranking = np.concatenate([GIVEN[:, None], rest], axis=1)
    votes = rng.integers(0, 3, (30, 10))
    votes[np.arange(30), GIVEN] = 7
    cases = {
        "ranking": (ranking, "ranking"), "top5": (ranking[:, :5], "ranking"), "top1": (ranking[:, :1], "labels"),
        "one-hot": (np.eye(10)[GIVEN], "one-hot rows"), "votes": (votes, "scores"),
    }  # fmt: skip
    for name, (values, kind) in cases.items():
        np.save(tmp_path / "m.npy", values.astype(dtype))
        scores, cautions = read(tmp_path / "m.npy", evaluated)
        assert [(s.k, s.kind) for s in scores] == [(24, kind)], (name, cautions)
    np.save(tmp_path / "m.npy", (votes[:, :5] % 3).astype(dtype))
    assert read(tmp_path / "m.npy", evaluated)[0] == [], "repeated in a row, and no column per class"


def test_two_classes_in_rows_of_two_are_asked_for(tmp_path: Path) -> None:
    evaluated = make_set(pd.DataFrame({"image_id": list("abcd"), "class": ["no", "yes"] * 2}), "s")
    np.save(tmp_path / "m.npy", np.eye(2, dtype=int)[[0, 1, 0, 0]])
    scores, [caution] = read(tmp_path / "m.npy", evaluated)
    assert scores == [] and "say which with `kind`" in caution.message
    assert read(tmp_path / "m.npy", evaluated, kind="scores")[0][0].k == 3
    assert read(tmp_path / "m.npy", evaluated, kind="ranking")[0][0].k == 1


@pytest.mark.parametrize(
    ("classes", "answers", "right"),
    [
        (("001", "002", "010"), ["001", "010"], 2),
        (("001", "002", "010"), [1, 10], 2),  # names: 10 is not a number of three classes
        (("001", "002", "010"), [0, 2], 2),  # numbers: 0 is not a name
        (("001", "002", "010"), [1, 2], None),  # either
        (("0", "2", "3"), [0, 3], 2),
        (("0", "2", "3"), [0, 2], None),
        (("0", "1", "2"), [0, 2], 2),
        (("1.0", "2.0", "3.0"), ["1.0", "3.0"], 2),
        (("1.0", "2.0", "3.0"), [1.0, 3.0], 2),
        (("NA", "None", "nan"), ["NA", "nan"], 2),
        (("False", "None", "True"), ["False", "True"], 2),
        (("false", "null", "true"), ["false", "true"], 2),
        (("", "b", "c"), [0, 2], 2),
        (("a, b", 'c "d"', "e'f g"), ["a, b", "e'f g"], 2),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_answers_by_name_or_number(
    tmp_path: Path, classes: tuple[str, ...], answers: list[Any], right: int | None, form: str
) -> None:
    if "" in classes:
        classes = ("a", *classes[1:])
    evaluated = make_set(
        pd.DataFrame({"image_id": ["x", "y"], "class": [classes[0], classes[2]]}), "s", classes=classes
    )
    frame = pd.DataFrame({"image_id": ["x", "y"], "prediction": answers})
    path = tmp_path / f"m.{form}"
    frame.to_json(path, orient="records") if form == "json" else getattr(frame, f"to_{form}")(
        path, index=False
    )
    scores, cautions = read(path, evaluated)
    if right is None:
        assert scores == [] and cautions[0].kind == "ambiguous"
        assert read(path, evaluated, answers="name")[0] + read(path, evaluated, answers="number")[0]
        return
    assert [s.k for s in scores] == [right], cautions


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_classes_that_look_like_nothing_stay_text(tmp_path: Path, form: str) -> None:
    names = ["NA", "None", "nan", "true", "1.0", "NULL", "#N/A", "007"]
    frame = pd.DataFrame({"image_id": [f"i{at}" for at in range(8)], "class": names})
    getattr(frame, f"to_{form}")(tmp_path / f"s.{form}", index=False)
    evaluated = read_set(tmp_path / f"s.{form}")
    assert set(evaluated.classes) == set(names)
    getattr(frame.rename(columns={"class": "resnet"}), f"to_{form}")(tmp_path / f"m.{form}", index=False)
    assert read(tmp_path / f"m.{form}", evaluated)[0][0].k == 8
    gone = frame.assign(**{"class": [*names[:-1], None]})
    getattr(gone, f"to_{form}")(tmp_path / f"s.{form}", index=False)
    with pytest.raises(EvaluationError, match="1 rows have no class"):
        read_set(tmp_path / f"s.{form}")
    getattr(gone.rename(columns={"class": "resnet"}), f"to_{form}")(tmp_path / f"m.{form}", index=False)
    assert "1 answers are missing" in read(tmp_path / f"m.{form}", evaluated)[1][0].message


def test_class_lists(tmp_path: Path) -> None:
    def listed(name: str, content: str, known: tuple[str, ...] = ()) -> tuple[str, ...]:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return read_classes(tmp_path / name, known)

    two = ("tiger cat", "tiger shark")
    assert listed("a.txt", "\ufefftiger cat\ntiger shark\n\n") == two, "a byte order mark, and whole lines"
    assert listed("b.json", '\ufeff["tiger cat", "tiger shark"]') == two
    assert listed("c.json", json.dumps({"1": "tiger shark", "0": "tiger cat"})) == two
    assert listed("d.json", json.dumps({"tiger shark": 1, "tiger cat": 0})) == two
    assert listed("e.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n") == ("n01440764", "n01443537")
    assert listed("f.txt", "a one\nb two\n", ("b",)) == ("a", "b")
    assert listed("g.csv", 'class\n"a, b"\nNA\n') == ("a, b", "NA")
    for name, content, words in (
        ("h.txt", "a\n\nb\n", "line 2 is empty"),
        ("i.txt", "a\na\n", "named twice, 'a'"),
        ("j.json", '{"1": "a", "2": "b"}', "not 0 to 1"),
        ("k.txt", "", "no classes"),
        ("l.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "a Git LFS pointer"),
    ):
        with pytest.raises(EvaluationError, match=words):
            listed(name, content)


@pytest.mark.parametrize("suffix", ["npy", "npz", "pt", "json", "csv", "parquet"])
def test_a_git_lfs_pointer_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m.{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    with pytest.raises(EvaluationError, match="a Git LFS pointer"):
        read_sheets(path)
    if suffix in ("npy", "json", "csv", "parquet"):
        with pytest.raises(EvaluationError, match="a Git LFS pointer"):
            read_set(path)


def test_four_of_four_is_no_guess(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("image_id,class\na,cat\nb,dog\nc,cat\nd,dog\n")
    (tmp_path / "p.csv").write_text("image_id,resnet\na,cat\nb,dog\nc,cat\nd,dog\n")
    scores, cautions = read(tmp_path / "p.csv", read_set(tmp_path / "two.csv"))
    assert (scores[0].k, cautions) == (4, [])
    for right in range(5):
        answers = ["cat" if (at % 2 == 0) == (at < right) else "dog" for at in range(4)]
        table(tmp_path / "q.csv", image_id=list("abcd"), resnet=answers)
        scores, cautions = read(tmp_path / "q.csv", read_set(tmp_path / "two.csv"))
        assert scores[0].k == right
        assert bool(cautions) == (right == 0), (
            "four images tell a guess from a model only where all are wrong"
        )


def test_the_causes_of_a_low_accuracy_fit_the_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"image_id": [f"i{at}" for at in range(300)], "class": [f"c{at % 10}" for at in range(300)]}
    )
    evaluated = make_set(frame, "s")
    guesses = rng.integers(0, 10, 300)
    np.save(tmp_path / "m.npy", guesses)
    message = read(tmp_path / "m.npy", evaluated)[1][0].message
    assert message.index("(1) the rows are in another order") < message.index("(2) the classes are numbered")
    path = table(tmp_path / "m.csv", image_id=frame["image_id"], prediction=[f"c{at}" for at in guesses])
    message = read(path, evaluated)[1][0].message
    assert "another order" not in message and "untrained" in message


def test_two_measures_are_kept_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text("cat\ndog\nowl\nbee\n")
    evaluated_csv = table(tmp_path / "s.csv", image_id=IDS, **{"class": named(TRUTH)})
    scores = np.eye(4)[GIVEN]
    scores[:12, 3] = 2.0
    np.save(tmp_path / "m.npy", scores)
    options = {"classes": tmp_path / "all.txt", "out": tmp_path / "out"}
    for among, expected in (("auto", 24), ("all", 15)):
        outcome = evaluate(
            str(evaluated_csv),
            EvaluateConfig((tmp_path / "m.npy",), among=among, **options),
            lambda *_: None,
        )  # type: ignore[arg-type]
        assert [s.k for s in outcome.scores] == [expected]
    assert outcome.folder is not None
    rows = pd.read_csv(outcome.folder / "results.csv")
    assert rows[["model", "among", "k", "class_rule"]].to_numpy().tolist() == [
        ["m", "set", 24, "by number; among the set's 3 of 4 classes"],
        ["m", "all", 15, "by number; among all 4 classes"],
    ]
    for among, k in (("auto", 24), ("set", 24), ("all", 15)):
        [stored] = read_store(tmp_path / "out", among)
        assert (stored.results["k"].tolist(), int(stored.correct.loc["m"].sum())) == ([k], k)
    answers = EvaluateConfig((tmp_path / "m.npy",), among="both", **options)  # type: ignore[arg-type]
    assert [s.among for s in evaluate(str(evaluated_csv), answers).scores] == ["set", "all"]
    np.save(tmp_path / "m.npy", scores.argmax(1))
    outcome = evaluate(
        str(evaluated_csv), EvaluateConfig((tmp_path / "m.npy",), among="set", **options), lambda *_: None
    )  # type: ignore[arg-type]
    assert outcome.scores == () and "answers alone cannot be compared" in outcome.cautions[0].message


def test_results_of_the_first_version_are_read(tmp_path: Path) -> None:
    evaluated = a_set()
    folder = write_scores(tmp_path, evaluated, read(table(tmp_path / "m.csv", id=IDS, m=GIVEN))[0])
    rows = pd.read_csv(folder / "results.csv")
    rows.drop(columns=["among", "columns", "key", "kind", "class_rule"]).to_csv(
        folder / "results.csv", index=False
    )
    with np.load(folder / "correct.npz") as packed:
        np.savez_compressed(folder / "correct.npz", models=packed["models"], correct=packed["correct"])
    [stored] = read_store(tmp_path)
    assert stored.results["k"].tolist() == [24]
    write_scores(tmp_path, evaluated, read(table(tmp_path / "n.csv", id=IDS, n=GIVEN))[0])
    assert read_store(tmp_path)[0].results["model"].tolist() == ["m", "n"]


def test_a_partial_class_map_scores_those_and_lists_the_rest(tmp_path: Path) -> None:
    """The case classes/partial-map of the shared cases, and its neighbours."""
    names = ["golden retriever", "great white shark", "tiger cat", "tiger shark"]
    table(tmp_path / "s.csv", image_id=list("abcd"), **{"class": names})
    (tmp_path / "map.csv").write_text("from,to\nn02099601,golden retriever\nn01484850,great white shark\n")
    np.save(tmp_path / "right.npy", np.arange(4))

    def run(*files: str, **more: Any) -> Any:
        options = EvaluateConfig(
            tuple(tmp_path / one for one in files),
            class_map=tmp_path / "map.csv",
            out=tmp_path / "out",
            **more,
        )
        return evaluate(str(tmp_path / "s.csv"), options)

    outcome = run("right.npy")
    assert [(s.k, s.n) for s in outcome.scores] == [(2, 2)]
    assert "'tiger cat', 'tiger shark'; 2 images are left out" in outcome.cautions[0].message
    assert [(s.k, s.n) for s in run("right.npy", unreachable="wrong").scores] == [(2, 4)]
    table(
        tmp_path / "wnids.csv", image_id=list("abcd"), m=["n02099601", "n01484850", "n02099601", "n02099601"]
    )
    assert [(s.k, s.n, s.class_rule[:7]) for s in run("wnids.csv").scores] == [(2, 2, "by name")]
    (tmp_path / "map.csv").write_text("from,to\nx,y\n")
    with pytest.raises(EvaluationError, match="no class of the set is in it, neither as 'from' nor as 'to'"):
        run("right.npy")


def test_a_class_map_of_other_names_is_no_silence(tmp_path: Path) -> None:
    evaluated = tmp_path / "s.csv"
    pd.DataFrame({"image_id": IDS, "label": named(TRUTH)}).to_csv(evaluated, index=False)
    np.save(tmp_path / "m.npy", GIVEN)
    (tmp_path / "classes.txt").write_text("tabby\npoodle\neagle owl\n")

    def counted(rows: str) -> tuple[list[int], list[str]]:
        (tmp_path / "map.csv").write_text(f"from,to\n{rows}")
        done = evaluate(
            str(evaluated),
            EvaluateConfig(
                predictions=(tmp_path / "m.npy",),
                classes=tmp_path / "classes.txt",
                class_map=tmp_path / "map.csv",
                out=tmp_path / "results",
            ),
        )
        return [one.k for one in done.scores], [one.message for one in done.cautions]

    assert counted("tabby ,cat\n poodle,dog\neagle owl,owl\n") == ([24], [])
    _, said = counted("tabby,cat\npoodle,dog\nowl,owl\n")
    assert "1 classes 'from' are not among the model's 3 classes, first 'owl'" in said
    with pytest.raises(EvaluationError, match="none of its classes 'from' is one of the model's 3"):
        counted("Tabby,cat\nPoodle,dog\n")
    with pytest.raises(EvaluationError, match="the class map has no rows"):
        counted("")


def test_several_true_labels_in_a_csv(tmp_path: Path) -> None:
    labels = [
        [CLASSES[at], CLASSES[(at + 1) % 3]] if row % 5 == 0 else [CLASSES[at]]
        for row, at in enumerate(TRUTH)
    ]
    pd.DataFrame({"image_id": IDS, "label": labels}).to_csv(tmp_path / "s.csv", index=False)
    np.save(tmp_path / "m.npy", GIVEN)
    made = read_set(tmp_path / "s.csv")
    assert made.classes == CLASSES
    assert [one.k for one in read(tmp_path / "m.npy", made)[0]] == [30]


def test_several_true_labels(tmp_path: Path) -> None:
    """ReaL's JSON is a list of lists, an empty one for an image without a label."""
    (tmp_path / "real.json").write_text(json.dumps([[0], [1, 2], [], [2, 0]]))
    evaluated = read_set(tmp_path / "real.json")
    assert (len(evaluated), evaluated.unlabelled) == (3, 1)
    np.save(tmp_path / "m.npy", np.array([0, 2, 1]))
    assert read(tmp_path / "m.npy", evaluated)[0][0].correct.tolist() == [True, True, False]
    (tmp_path / "vid.json").write_text(json.dumps({"a/1.jpg": ["cat", "dog"], "b/1.jpg": ["owl"]}))
    video = read_set(tmp_path / "vid.json")
    assert video.classes == ("cat", "dog", "owl")
    path = table(tmp_path / "m.csv", image_id=["b/1.jpg", "a/1.jpg"], m=["cat", "dog"])
    assert read(path, video)[0][0].correct.tolist() == [True, False]
    frame = pd.DataFrame({"image_id": ["a", "b"], "labels": [["cat", "dog"], ["owl"]]})
    frame.to_parquet(tmp_path / "s.parquet")
    assert read_set(tmp_path / "s.parquet").also is not None
    assert (
        read_set(tmp_path / "s.parquet").hash
        != make_set(pd.DataFrame({"image_id": ["a", "b"], "class": ["cat", "owl"]}), "s").hash
    )


Form = Callable[[Path, list[str], np.ndarray, np.random.Generator], Path]


def _csv_ids(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    order = rng.permutation(len(ids))
    return table(root / "m.csv", image_id=[ids[at] for at in order], prediction=given[order])


def _csv_truth(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    order = rng.permutation(len(ids))
    truth = [ids[at].split("/")[0] for at in order]
    return table(root / "m.csv", file=[ids[at] for at in order], label=truth, m=given[order])


def _npy(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    np.save(root / "m.npy", given)
    return root / "m.npy"


def _one_hot(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    np.save(root / "m.npy", np.eye(_classes(ids), dtype=int)[given])
    return root / "m.npy"


def _classes(ids: list[str]) -> int:
    return len({one.split("/")[0] for one in ids})


def _probs(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    count = _classes(ids)
    scores = 0.3 * rng.random((len(ids), count)) + np.eye(count)[given]
    names = sorted({one.split("/")[0] for one in ids})
    columns = {f"p_{names[at]}": scores[:, at] for at in rng.permutation(count)}
    return table(root / "m.csv", id=ids, **columns)


def _numbered(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    count = _classes(ids)
    scores = 0.3 * rng.random((len(ids), count)) + np.eye(count)[given]
    pd.DataFrame({f"prob_{at}": scores[:, at] for at in sorted(range(count), key=str)}).to_parquet(
        root / "m.parquet"
    )
    return root / "m.parquet"


def _index(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    order = rng.permutation(len(ids))
    pd.DataFrame({"top1": given[order]}, index=[ids[at] for at in order]).to_parquet(root / "m.parquet")
    return root / "m.parquet"


def _json(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    (root / "m.json").write_text(json.dumps(dict(zip(ids, given.tolist(), strict=True))))
    return root / "m.json"


def _ranking(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    count = _classes(ids)
    rest = np.array(
        [rng.permutation([at for at in range(count) if at != top])[: max(1, count // 2)] for top in given]
    )
    np.savez(root / "m.npz", m=np.concatenate([given[:, None], rest], axis=1))
    return root / "m.npz"


def _names(root: Path, ids: list[str], given: np.ndarray, rng: np.random.Generator) -> Path:
    names = sorted({one.split("/")[0] for one in ids})
    return table(
        root / "m.csv", image_path=[f"/data/{one}" for one in ids], resnet50=[names[at] for at in given]
    )


FORMS: tuple[Form, ...] = (
    _csv_ids, _csv_truth, _npy, _one_hot, _probs, _numbered, _index, _json, _ranking, _names,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_same_predictions_in_any_form_give_the_same_count_or_none(
    tmp_path: Path, form: Form, seed: int
) -> None:
    """Random tables: numbers of classes and images, names of all kinds, accuracies from guessing to perfect."""
    rng = np.random.default_rng(seed)
    count, n = int(rng.integers(2, 14)), int(rng.integers(14, 60))
    kinds = [
        [f"c{at}" for at in range(count)], [str(at) for at in range(count)], [f"{at:03d}" for at in range(count)],
        [str(2 * at) for at in range(count)], [f"n{at:08d}" for at in range(count)],
    ]  # fmt: skip
    names = sorted(kinds[seed % len(kinds)])
    truth = np.concatenate([np.arange(count), rng.integers(0, count, n)])
    ids = [f"{names[at]}/{row}.jpg" for row, at in enumerate(truth)]
    evaluated = make_set(
        pd.DataFrame({"image_id": ids, "class": [names[at] for at in truth]}), "s", classes=tuple(names)
    )
    given = np.where(rng.random(len(truth)) < rng.random(), truth, rng.integers(0, count, len(truth)))
    expected = int((given == truth).sum())
    scores, cautions = read(form(tmp_path, ids, given, rng), evaluated)
    if not scores:
        assert any(caution.fatal for caution in cautions)
    else:
        assert [s.k for s in scores] == [expected], cautions
        for one in scores:
            assert all((one.columns, one.key, one.kind, one.class_rule)), one
