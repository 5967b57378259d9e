"""Accuracies forecast without labels, against the labels that the forecast never sees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import here

from newtest.errors import EvaluationError
from newtest.evaluation import forecast


def answers_of(
    skill: np.ndarray, labels: np.ndarray, hardness: np.ndarray, seed: int, classes: int = 20
) -> np.ndarray:
    """Models that are right where their skill exceeds an image's hardness, up to noise of their own."""
    random = np.random.default_rng(seed)
    margin = skill[:, None] - hardness + random.normal(0, 0.7, (len(skill), len(labels)))
    tempting = (labels + 1 + random.integers(0, 3, len(labels))) % classes  # what most wrong models say
    wrong = np.where(random.random(margin.shape) < 0.6, tempting, random.integers(0, classes, margin.shape))
    return np.where(margin > 0, labels, wrong).astype(np.int64)


@pytest.fixture(scope="module")
def simulated() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    skill = np.linspace(0.2, 1.6, 16)
    labels, others = random.integers(0, 20, 6000), random.integers(0, 20, 4000)
    old = answers_of(skill, labels, random.normal(0, 1, 6000), 1)
    new = answers_of(skill, others, random.normal(0.35, 1, 4000), 2)
    return old, labels, new, others


def test_a_harder_set_is_forecast_without_its_labels(simulated: tuple[np.ndarray, ...]) -> None:
    old, labels, new, others = simulated
    models = [f"m{at:02}" for at in range(len(old))]
    accuracy, actual = (old == labels).mean(axis=1), 100 * (new == others).mean(axis=1)
    assert (100 * accuracy - actual).mean() > 5  # the shift is there
    found = forecast(models, old, accuracy, new)
    table = found.models.set_index("model").loc[models]
    assert np.abs(table["forecast"] - actual).mean() < 2
    assert ((table["lo"] <= actual) & (actual <= table["hi"])).mean() >= 0.9
    assert np.corrcoef(table["rank"], -actual)[0, 1] > 0.97
    again = forecast(models, old, accuracy, new)
    assert again.models.equals(found.models), "the same seed gives the same table"


def test_the_same_images_give_the_same_accuracies(simulated: tuple[np.ndarray, ...]) -> None:
    old, labels, _, _ = simulated
    accuracy = (old == labels).mean(axis=1)
    found = forecast([str(at) for at in range(len(old))], old, accuracy, old)
    table = found.models.set_index("model").loc[[str(at) for at in range(len(old))]]
    assert np.allclose(table["forecast"], 100 * accuracy, atol=1e-6)


def test_where_agreements_lie_on_no_line_nothing_is_said(simulated: tuple[np.ndarray, ...]) -> None:
    old, labels, new, _ = simulated
    accuracy = (old == labels).mean(axis=1)
    shuffled = np.random.default_rng(3).permuted(new, axis=1)
    with pytest.raises(EvaluationError, match="lie on no line"):
        forecast([str(at) for at in range(len(old))], old, accuracy, shuffled)
    with pytest.raises(EvaluationError, match="at least 8 models"):
        forecast(["a", "b"], old[:2], accuracy[:2], new[:2])


def test_b33_without_its_labels(data: Path, tmp_path: Path) -> None:
    """64 models: a mean error of at most 1.5 points, ranks of at least .99, at least .9 inside (FACTS, section 8)."""
    root = data / "imagenetv2"
    files = {
        name: root / "predictions" / f"{name}.top1.npz"
        for name in ("imagenet-validation-original", "imagenetv2-b-33")
    }
    scored = here(
        "evaluate", str(root / "datasets" / "imagenetv2-b-33.json"), "--name", "b-33", "--predictions",
         str(files["imagenetv2-b-33"]), "--out", "results", cwd=tmp_path,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    ended = here(
        "report", "forecast", str(root / "datasets" / "imagenet-validation-original.json"),
         "--predictions", str(files["imagenet-validation-original"]), "--unlabelled", str(files["imagenetv2-b-33"]),
         "--exclude", "fv_*", "--check", "results", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    check = found["check"]
    assert check["models"] == len(found["models"]) == 64
    assert check["mean_error"] <= 1.5 and check["rank_correlation"] >= 0.99 and check["inside"] >= 58
    assert found["plain"] == pytest.approx(65.6, abs=0.1), "the plain line, 2.0 points above the labels' 63.6"
