"""Probes over files and sets, and the label-efficiency figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import here
from shared_encoders import conse_once
from sklearn.datasets import load_digits

from newtest.clip.probe import ProbeConfig, parse_shots, probe
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.report.efficiency import draw_label_efficiency, write_label_efficiency
from newtest.evaluation.scoring import probing
from newtest.evaluation.scoring.probing import Efficiency, Labelled, Source, label_efficiency, labelled

NAMES = np.array([f"digit {at}" for at in range(10)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pixels of real digits as embeddings: 1,200 to learn from, 597 to score."""
    folder, digits = tmp_path_factory.mktemp("probe"), load_digits()
    for name, rows in (("train", slice(0, 1200)), ("test", slice(1200, None))):
        np.savez(
            folder / f"{name}.npz", embeddings=digits.data[rows], labels=digits.target[rows], classes=NAMES
        )
    return folder / "train.npz", folder / "test.npz"


@pytest.fixture(scope="module")
def found(files: tuple[Path, Path]) -> Efficiency:
    train, test = (labelled(str(path), Source()) for path in files)
    return label_efficiency(
        train, test, ProbeConfig(shots=(1, 4, 16, None), seeds=3, strengths=(1.0, 10.0)), 80.0
    )


def test_more_labels_more_accuracy_and_a_number_of_shots_that_matches(found: Efficiency) -> None:
    assert [(point.shots, len(point.results)) for point in found.points] == [
        (1, 3),
        (4, 3),
        (16, 3),
        (None, 1),
    ]
    means = [point.mean for point in found.points]
    assert means == sorted(means) and means[-1] > 88
    assert found.points[-1].labels == 120 and found.points[-1].deviation is None
    assert all(point.deviation is not None and point.deviation > 0 for point in found.points[:-1])
    below = max(point.labels for point in found.points if point.mean < 80)
    above = min(point.labels for point in found.points if point.mean >= 80)
    assert found.match is not None and below < found.match <= above
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["points"][0]["probes"][0]["n"] == 597 and plain["zero_shot"] == 80


def test_the_figure_has_error_bars_and_the_zero_shot_line_and_is_the_same_every_time(
    found: Efficiency, tmp_path: Path
) -> None:
    write_label_efficiency(found, tmp_path)
    drawn = draw_label_efficiency(found)
    assert (tmp_path / "label-efficiency.png").read_bytes() == drawn.png
    svg = (tmp_path / "label-efficiency.svg").read_text()
    for text in ("zero-shot (80.0 %)", f"{found.match:.1f} labels", "all labels (120 a class)", "log scale"):
        assert text in svg
    bare = Efficiency(found.train, found.test, found.points[-1:], None, None)
    assert "zero-shot" not in draw_label_efficiency(bare).inline


def test_classes_are_matched_by_name(files: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = (labelled(str(path), Source()) for path in files)
    config = ProbeConfig(shots=(16,), seeds=1, strengths=(1.0,))
    digits = load_digits()
    order = np.random.default_rng(0).permutation(10)
    np.savez(  # the same test set, its classes listed in another order
        tmp_path / "test.npz",
        embeddings=digits.data[1200:],
        labels=np.argsort(order)[digits.target[1200:]],
        classes=NAMES[order],
    )
    shuffled = labelled(str(tmp_path / "test.npz"), Source())
    assert (
        label_efficiency(train, shuffled, config).points[0].mean
        == label_efficiency(train, test, config).points[0].mean
    )
    np.savez(
        tmp_path / "eleven.npz", embeddings=digits.data[:2], labels=[0, 1], classes=["digit 1", "eleven"]
    )
    with pytest.raises(EvaluationError, match="first 'eleven'"):
        label_efficiency(train, labelled(str(tmp_path / "eleven.npz"), Source()), config)


def test_one_image_of_each_of_many_classes_is_no_cause_for_a_warning() -> None:
    names = np.array([f"class {at}" for at in range(30)])
    some = Labelled("some", np.eye(30), names)
    found = label_efficiency(some, some, ProbeConfig(shots=(1, None), seeds=1))
    assert [point.mean for point in found.points] == [100.0, 100.0]


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    for arrays, complaint in (
        ({"embeddings": np.ones((2, 3))}, "'labels' is missing"),
        ({"embeddings": np.ones((2, 3)), "labels": np.array([0])}, "do not fit"),
        (
            {"embeddings": np.ones((1, 3)), "labels": np.array([2]), "classes": np.array(["a"])},
            "for 1 classes",
        ),
        ({"vectors": np.ones((1, 3))}, "no array 'embeddings'"),
    ):
        np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match=complaint):
            labelled(str(tmp_path / "x.npz"), Source())


def test_sets_are_embedded_and_broken_pictures_left_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "encoder", lambda *_, **__: conse_once())
    kinds = {"fish": ("goldfish", "coho", "lionfish"), "bird": ("goldfinch", "kite", "bulbul")}
    for kind, names in kinds.items():
        for name, side in zip(names, ("train", "train", "test"), strict=True):
            [photo] = (data / "images").glob(f"*_{name}.JPEG")
            place = tmp_path / side / kind / photo.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(photo)
    (tmp_path / "train" / "bird" / "broken.jpg").write_bytes(b"no picture")
    source = Source(cache=tmp_path / "cache")
    train, test = (labelled(str(tmp_path / side), source) for side in ("train", "test"))
    assert (len(train.classes), train.unreadable, test.classes.tolist()) == (4, 1, ["bird", "fish"])
    found = label_efficiency(train, test, ProbeConfig(shots=(None,)))
    assert [point.mean for point in found.points] == [100.0]


def test_shots() -> None:
    assert parse_shots("4,1,all,1") == (1, 4, None)
    assert parse_shots("2") == (2,)
    for wrong in ("", "0", "a", "1,,2", "-1"):
        with pytest.raises(UsageError):
            parse_shots(wrong)


def test_test_images_that_were_learned_from_are_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    with np.load(files[0]) as train, np.load(files[1]) as test:
        leaked = np.concatenate([test["embeddings"], train["embeddings"][:7]])
        np.savez(
            tmp_path / "leaked.npz",
            embeddings=leaked,
            labels=np.concatenate([test["labels"], train["labels"][:7]]),
            classes=NAMES,
        )
    arguments = ["--shots", "1,all", "--zeroshot", "80"]
    for name, said in ((files[1], False), (tmp_path / "leaked.npz", True)):
        done = here("probe", "--train", files[0], "--test", name, *arguments)
        assert done.returncode == 0, done.stderr
        assert ("7 images of leaked are also in" in done.stderr) is said
        assert "matched by all 120 labels per class; fewer do not reach it" in done.stdout


def test_a_rare_class_leaves_the_choice_of_c_to_the_others() -> None:
    """One class with three labels kept C at 1 for all of them."""
    digits = load_digits()
    rows = np.random.default_rng(0).permutation(len(digits.target))
    test, learn = rows[:600], rows[600:]
    x, y = digits.data / 16 - digits.data.mean() / 16, digits.target
    for labels, unsplit in ((3, 0), (1, 1)):
        rare = np.flatnonzero(y[learn] == 7)[labels:]
        kept = np.delete(learn, rare)
        config = ProbeConfig(shots=(None,))
        [chosen] = probe(x[kept], y[kept], x[test], y[test], config)
        [at_one] = probe(x[kept], y[kept], x[test], y[test], replace(config, strengths=(1.0,)))
        assert chosen.strength > 1 and chosen.accuracy > at_one.accuracy + 3
        assert chosen.unsplit == unsplit
    few = np.concatenate([np.flatnonzero(y[learn] == value)[:3] for value in range(10)])
    [three] = probe(x[learn[few]], y[learn[few]], x[test], y[test], config)
    assert three.strength == 1 and three.unsplit == 10
